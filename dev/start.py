"""`make start`: runs the stack until Ctrl-C, and prints how to use it."""

import argparse
import json
import os
import shlex
import shutil
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from dev import hunt, samples, setup
from dev.stack.child import NO_PROXY, ChildError
from dev.stack.stack import Stack
from dev.start_lines import Lines

OPS = setup.ROOT / "ops.local.http"
_STAGED = {
    "404": {"knownEvents": "registered"},
    "403": {"faults": [{"kind": "status", "status": 403}]},
    "429": {"faults": [{"kind": "status", "status": 429, "retry_after": 20, "times": 1}]},
    "outage": {"faults": [{"kind": "reset"}]},
    "the end": {"knownEvents": "all", "faults": []},
}
"""What Defender can be made to do, by the simulator's switches."""


@contextmanager
def filled(stack: Stack, copy: Path = OPS) -> Iterator[Path]:
    """Write a copy of `ops.http` with the address and key of a stack, while the block runs."""
    lines = (setup.ROOT / "ops.http").read_text("utf-8").splitlines()
    values = {"@host =": stack.hosts[0].url, "@key =": next(iter(stack.keys.values()))}
    filled_in = {begin: f"{begin} {value}" for begin, value in values.items()}
    text = "\n".join(filled_in.get(" ".join(line.split()[:2]), line) for line in lines)
    copy.write_text(text, "utf-8")
    try:
        yield copy
    finally:
        copy.unlink(missing_ok=True)


def staged(simulator_url: str) -> str:
    """Return the commands that stage what Defender can do, ready to paste."""
    switch = ["curl", "-sX", "PUT", "--noproxy", "127.0.0.1", f"{simulator_url}/_simulator/switches", "-d"]
    return "\n".join(f"  {name:8} {shlex.join([*switch, json.dumps(to)])}" for name, to in _STAGED.items())


def curl(stack: Stack, now: datetime) -> str:
    """Return the line that creates an alert on an event of a minute before `now` (UTC), ready to paste."""
    event = replace(samples.event(1), event_time=f"{now - timedelta(minutes=1):%Y-%m-%dT%H:%M:%S.%f}4Z")
    alert = samples.eight_fields(event, "Encoded PowerShell", "High")
    key = next(iter(stack.keys.values()))
    return shlex.join(
        [
            *("curl", "-i", "--noproxy", "127.0.0.1", f"{stack.hosts[0].url}/api/alerts"),
            *("-H", f"x-functions-key: {key}"),
            *("-H", "content-type: application/json"),
            *("-d", json.dumps(alert)),
        ]
    )


def core_tools(settings: Mapping[str, str]) -> str:
    """Return the lines that run Core Tools against the same Azurite and simulator, ready to paste.

    The table goes into `AlertStorage`: in `AzureWebJobsStorage` Core Tools would look for blobs too, which our
    Azurite does not serve. A timer needs them, so it stays off there; ours sends the backlog of the same table.
    """
    environment = {
        "NO_PROXY": NO_PROXY,
        "FUNCTIONS_WORKER_RUNTIME": "python",
        "AzureWebJobs__DispatchAlertsFunction__Disabled": "true",
        "AzureWebJobsSecretStorageType": "files",
        **settings,
    }
    environment["AlertStorage"] = environment.pop("AzureWebJobsStorage")
    words = " ".join(f"{name}={shlex.quote(value)}" for name, value in environment.items())
    return f". .venv/bin/activate\n{words} func start"


def banner(stack: Stack, *, has_core_tools: bool) -> str:
    """Return the addresses and commands for the terminal."""
    hosts = "\n".join(f"  webhook     {host.url}/api/alerts" for host in stack.hosts)
    text = f"""
{hosts}
  page        {stack.hosts[0].url}/api/console
  its key     {next(iter(stack.keys.values()))}
  health      {stack.hosts[0].url}/api/health
  operator    {stack.hosts[0].url}/api/operations/status      with the same key; {OPS.name} has the requests
  Defender    {stack.simulator_url}/_simulator/log      every call it saw; also …/alerts, …/switches
  table       {stack.azurite.url}
  logs        {stack.logs}

Create an alert (the same one again is answered as a duplicate, and costs no call):

{curl(stack, datetime.now(UTC))}

Stage what Defender may answer, each by one command:
{staged(stack.simulator_url)}
"""
    if has_core_tools:
        text += f"\nWith Core Tools, on the same table and Defender:\n\n{core_tools(stack.settings)}\n"
    return text + "\nCtrl-C ends it all."


def main() -> None:
    """Keep the stack up until Ctrl-C. Exits 1 if it does not start, or if a part of it ends by itself."""
    parser = argparse.ArgumentParser(prog="make start", description=main.__doc__)
    add = parser.add_argument
    add("--hosts", type=int, default=1, help="instances of the app (default %(default)s)")
    add("--calls", type=int, default=15, help="calls a window (default %(default)s)")
    add("--window", type=float, default=60.0, help="seconds (default %(default)s)")
    add(
        "--port",
        type=int,
        default=0,
        help="of the first instance; the next have the next (default: free ones)",
    )
    add("--key", help="the function key (default: a new one)")
    options = parser.parse_args()
    folder = os.environ.get("MAPPINGS_PATH")
    own = {"MAPPINGS_PATH": str(Path(folder).resolve())} if folder else {}
    keys = {"default": options.key} if options.key else None
    limit = (options.calls, options.window)
    for number in (signal.SIGINT, signal.SIGTERM):  # also where a shell started us with SIGINT ignored
        signal.signal(number, signal.default_int_handler)
    print("Starting Azurite, the Defender simulator with its token endpoint, and the app …", flush=True)
    try:
        with Stack(hosts=0, calls=limit[0], window=limit[1], settings=own, keys=keys) as stack:
            for port in range(options.port, options.port + options.hosts):
                stack.start_host("--port", str(port if options.port else 0))
            with hunt.announced(stack.simulator_url), filled(stack):
                print(banner(stack, has_core_tools=shutil.which("func") is not None), flush=True)
                stack.watch(Lines(stack, limit).show)
    except ChildError as error:
        sys.exit(f"make start: {error}")
    except KeyboardInterrupt:
        print("\nStopped.")


if __name__ == "__main__":
    main()
