"""`make start`: runs the stack until Ctrl-C, and prints how to use it."""

import argparse
import errno
import json
import os
import shlex
import shutil
import signal
import socket
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from dev import hunt, samples, setup
from dev.demo.screen import COLOURS, bar, used
from dev.stack.child import NO_PROXY, ChildError
from dev.stack.stack import Stack
from shared import senders

OPS = setup.ROOT / "ops.local.http"
_STAGED = {
    "404": {"knownEvents": "registered"},
    "403": {"faults": [{"kind": "status", "status": 403}]},
    "429": {"faults": [{"kind": "status", "status": 429, "retry_after": 20, "times": 1}]},
    "outage": {"faults": [{"kind": "reset"}]},
    "the end": {"knownEvents": "all", "faults": []},
}
"""What Defender can be made to do, by the simulator's switches."""
_STEPS = {"accepted", "settled", "known alert", "refused"}
"""The lines of the hosts' logs that are shown, one for each alert."""


@contextmanager
def filled(stack: Stack, copy: Path = OPS) -> Iterator[Path]:
    """Write a copy of `ops.http` with the address and key of a stack, while the block runs."""
    lines = (setup.ROOT / "ops.http").read_text("utf-8").splitlines()
    values = {"@host": f"@host = {stack.hosts[0].url}", "@key": f"@key = {next(iter(stack.keys.values()))}"}
    text = "\n".join(values.get(line.partition(" =")[0], line) for line in lines)
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


class Lines:
    """Shows what the hosts of a stack have logged since the last `show`. `limit`: the window's calls and seconds."""

    def __init__(self, stack: Stack, limit: tuple[int, float], console: Console | None = None) -> None:
        self._stack = stack
        self._calls, self._window = limit
        self._console = console or Console(highlight=False)
        self._read: dict[str, int] = {}
        self._made: dict[str, str] = {}  # the first alert that was shown for each of Defender's
        self._names = {
            senders.fingerprint({"x-functions-key": key}, {}): name for name, key in stack.keys.items()
        }

    def show(self) -> None:
        """Print a line for each alert that was accepted and waits, has ended, or was refused."""
        steps = list(self._steps())
        settled = {step["alert"] for step in steps if step["step"] == "settled"}
        for step in steps:
            again = step["step"] == "known alert" and step["state"] == "waiting"
            if step["step"] == "accepted" and step["state"] != "waiting":
                continue  # its end is the next line
            if (step["step"] == "accepted" or again) and step["alert"] in settled:
                continue
            calls = used(self._stack.simulator("GET", "log"), self._window)
            title, merged = self._told(step)
            shown = {**step, "state": "merged"} if merged and step["step"] == "settled" else step
            self._console.print(line(shown, self._names, title, (calls, self._calls)), soft_wrap=True)

    def _steps(self) -> Iterator[Mapping[str, Any]]:
        for log in sorted(self._stack.logs.glob("host-*.log")):
            with log.open("rb") as file:
                file.seek(self._read.get(log.name, 0))
                for raw in file:
                    if not raw.endswith(b"\n"):
                        break  # it is being written
                    self._read[log.name] = self._read.get(log.name, 0) + len(raw)
                    _, brace, rest = raw.decode("utf-8", "replace").partition("{")
                    if step := _step(brace + rest):
                        yield step

    def _told(self, step: Mapping[str, Any]) -> tuple[str, bool]:
        """Return the title of a step's alert, and whether it is in Defender's alert of another line."""
        if "alert" not in step:
            words = f"refused events: {step.get('events')}, answered {step.get('status')}"
            return f"{words}; the operator's page says why", False
        answer = self._stack.operate("GET", f"alerts/{step['alert']}")
        if not answer.ok:
            return "", False
        told = answer.json()
        made = (told["alert"] or {}).get("id")
        merged = told["merged"] or (
            made is not None and self._made.setdefault(made, told["id"]) != told["id"]
        )
        return str(told["request"]["title"]), merged


def line(step: Mapping[str, Any], names: Mapping[str, str], title: str, window: Sequence[int]) -> Text:
    """Return the line of a step: sender, what it became, severity, the window as a bar, the title."""
    became = {"refused": "refused", "known alert": "known"}.get(step["step"]) or str(step["state"])
    if (step["step"], became) == ("settled", "waiting"):
        became = "waits again"
    if became == "refused" and step["status"] < HTTPStatus.BAD_REQUEST:
        became = "partly refused"
    if step.get("became") == "accepted anew":
        became = "accepted again"
    code = f" {step['code']}" if step.get("code") else ""
    sender = names.get(step.get("sender") or "") or step.get("sender") or "no key"
    return Text.assemble(
        f"{sender[:18]:18} ",
        (f"{became + code:24} ", COLOURS.get(became, "red")),
        f"{step.get('severity') or '':7} ",
        (f"{bar(*window)} {window[0]}/{window[1]}  ", "yellow"),
        " ".join(title.split())[:80],
    )


def _step(text: str) -> Mapping[str, Any] | None:
    try:
        step = json.loads(text)
    except ValueError:
        return None
    return step if isinstance(step, dict) and step.get("step") in _STEPS else None


def _check(ports: Iterable[int]) -> None:
    """Exit 1 if a port cannot be used."""
    for port in ports:
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError as error:
            why = "is taken" if error.errno == errno.EADDRINUSE else f"cannot be used: {error.strerror}"
            sys.exit(f"make start: port {port} {why}")


def main() -> None:
    """Keep the stack up until Ctrl-C. Exits 1 if it does not start, or if a part of it ends by itself."""
    parser = argparse.ArgumentParser(prog="make start", description=main.__doc__)
    add = parser.add_argument
    add("--hosts", type=int, default=1, help="instances of the app (default %(default)s)")
    add("--calls", type=int, default=15, help="calls a window (default %(default)s)")
    add("--window", type=float, default=60.0, help="seconds (default %(default)s)")
    add("--port", type=int, default=0, help="of the first instance; the next have the next (default: free)")
    add("--key", help="the function key (default: a new one)")
    options = parser.parse_args()
    folder = os.environ.get("MAPPINGS_PATH")
    own = {"MAPPINGS_PATH": str(Path(folder).resolve())} if folder else {}
    keys = {"default": options.key} if options.key else None
    ports = range(options.port, options.port + options.hosts) if options.port else [0] * options.hosts
    _check(ports)
    for number in (signal.SIGINT, signal.SIGTERM):  # also where a shell started us with SIGINT ignored
        signal.signal(number, signal.default_int_handler)
    print("Starting Azurite, the Defender simulator with its token endpoint, and the app …", flush=True)
    try:
        limit = (options.calls, options.window)
        with Stack(hosts=0, calls=limit[0], window=limit[1], settings=own, keys=keys) as stack:
            for port in ports:
                stack.start_host("--port", str(port))
            with hunt.announced(stack.simulator_url), filled(stack):
                print(banner(stack, has_core_tools=shutil.which("func") is not None), flush=True)
                stack.watch(Lines(stack, limit).show)
    except ChildError as error:
        sys.exit(f"make start: {error}")
    except KeyboardInterrupt:
        print("\nStopped.")


if __name__ == "__main__":
    main()
