"""`make start`: runs the stack until Ctrl-C, and prints how to use it."""

import argparse
import json
import os
import shlex
import shutil
import signal
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from dev import hunt, samples
from dev.stack.child import NO_PROXY, ChildError
from dev.stack.stack import Stack


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
  health      {stack.hosts[0].url}/api/health
  operator    {stack.hosts[0].url}/api/operations/status      with the same key; ops.http has the requests
  Defender    {stack.simulator_url}/_simulator/log      every call it saw; also …/alerts, …/switches
  table       {stack.azurite.url}
  logs        {stack.logs}

Create an alert (the same one again is answered as a duplicate, and costs no call):

{curl(stack, datetime.now(UTC))}
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
    options = parser.parse_args()
    folder = os.environ.get("MAPPINGS_PATH")
    own = {"MAPPINGS_PATH": str(Path(folder).resolve())} if folder else {}
    for number in (signal.SIGINT, signal.SIGTERM):  # also where a shell started us with SIGINT ignored
        signal.signal(number, signal.default_int_handler)
    print("Starting Azurite, the Defender simulator with its token endpoint, and the app …", flush=True)
    try:
        with (
            Stack(hosts=options.hosts, calls=options.calls, window=options.window, settings=own) as stack,
            hunt.announced(stack.simulator_url),
        ):
            print(banner(stack, has_core_tools=shutil.which("func") is not None), flush=True)
            stack.watch()
    except ChildError as error:
        sys.exit(f"make start: {error}")
    except KeyboardInterrupt:
        print("\nStopped.")


if __name__ == "__main__":
    main()
