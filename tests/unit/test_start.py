"""What `make start` prints beside addresses: a line for each alert, commands that stage trouble, ready requests."""

import json
import re
import shlex
import socket
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from dev import setup, start
from dev.demo.screen import bar
from dev.simulator.faults import Switches
from dev.simulator.server import _switches
from dev.start import Lines
from shared.senders import fingerprint

KEY = "a-made-up-key"
SENDER = fingerprint({"x-functions-key": KEY}, {})
STEP = {"alert": "a" * 32, "sender": SENDER, "severity": "High"}


@dataclass
class FakeStack:
    """A stack that has logs, two calls in its window, and one alert."""

    logs: Path
    keys: dict[str, str] = field(default_factory=lambda: {"splunk": KEY})
    hosts: tuple[Any, ...] = (SimpleNamespace(url="http://127.0.0.1:1"),)
    merged: bool = False

    def simulator(self, *_: str) -> list[dict[str, float]]:
        """Return two calls that are in any window."""
        return [{"at": 1e12}, {"at": 1e12}]

    def operate(self, _: str, alert: str) -> Any:
        """Return the alert: all are one in Defender."""
        told = {
            "id": alert.rpartition("/")[2],
            "request": {"title": "Encoded\nPowerShell"},
            "merged": self.merged,
            "alert": {"id": "da1"},
        }
        return SimpleNamespace(ok=True, json=lambda: told)


def shown(folder: Path, *steps: dict[str, Any], merged: bool = False) -> list[str]:
    """Return the lines for steps in the log of a host, of which the last is being written."""
    log = "".join(f"2026-03-04 INFO defender-alert-webhook: {json.dumps(step)}\n" for step in steps)
    (folder / "host-1.log").write_text(f"no step\n{log}2026-03-04 INFO x: {{", "utf-8")
    out = StringIO()
    stack: Any = FakeStack(folder, merged=merged)
    lines = Lines(stack, (15, 60.0), Console(file=out, width=200))
    lines.show()
    lines.show()  # what was shown once is not shown again
    return out.getvalue().splitlines()


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ({"step": "settled", "state": "created", **STEP}, "created"),
        (
            {"step": "settled", "state": "failed", "code": "ResourceNotFound", **STEP},
            "failed ResourceNotFound",
        ),
        ({"step": "settled", "state": "waiting", **STEP}, "waits again"),
        ({"step": "accepted", "state": "waiting", **STEP}, "waiting"),
        ({"step": "known alert", "state": "created", **STEP}, "known"),
        ({"step": "known alert", "state": "waiting", "became": "accepted anew", **STEP}, "accepted again"),
    ],
)
def test_an_alert_is_one_line(tmp_path: Path, step: dict[str, Any], words: str) -> None:
    """Its sender by name, what it became, the window as a bar, its title on one line."""
    (line,) = shown(tmp_path, step)
    assert re.split(r" {2,}", line) == ["splunk", words, "High", f"{bar(2, 15)} 2/15", "Encoded PowerShell"]


def test_a_refused_payload_is_one_line(tmp_path: Path) -> None:
    """It has no alert: the line says how many events it had, and what was answered."""
    (line,) = shown(tmp_path, {"step": "refused", "sender": "", "status": 422, "events": 1})
    assert line.startswith("no key")
    assert "events: 1, answered 422" in line


def test_an_alert_that_ended_is_not_shown_as_accepted(tmp_path: Path) -> None:
    """Accepted and settled since the last look: one line, its end; other steps are none."""
    accepted, taken = {"step": "accepted", "state": "waiting", **STEP}, {"step": "taken", **STEP}
    (line,) = shown(tmp_path, accepted, taken, {"step": "settled", "state": "created", **STEP})
    assert "created" in line


def test_an_accepted_repost_that_ended_is_one_line(tmp_path: Path) -> None:
    """A known alert that was accepted again and has been sent since is shown by its end alone."""
    again = {"step": "known alert", "state": "waiting", "became": "accepted anew", **STEP}
    (line,) = shown(tmp_path, again, {"step": "settled", "state": "created", **STEP})
    assert "created" in line


def test_merged_alerts_are_called_so(tmp_path: Path) -> None:
    """The second of two that are one in Defender is merged; so is the first, where the app says so."""
    steps = [{"step": "settled", "state": "created", **STEP, "alert": letter * 32} for letter in "ab"]
    assert [re.split(r" {2,}", line)[1] for line in shown(tmp_path, *steps)] == ["created", "merged"]
    (line,) = shown(tmp_path, steps[0], merged=True)
    assert "merged" in line


def test_a_payload_that_was_refused_in_part_is_called_so(tmp_path: Path) -> None:
    """What was answered 2xx has alerts as well: the line counts the refused events."""
    (line,) = shown(tmp_path, {"step": "refused", "sender": "", "status": 200, "events": 1})
    assert "partly refused" in line
    assert "refused events: 1, answered 200" in line


def test_a_taken_port_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """It exits 1 with one sentence, before anything is started."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        monkeypatch.setattr("sys.argv", ["make start", "--port", str(port)])
        monkeypatch.setattr(start, "Stack", lambda **_: pytest.fail("started"))
        monkeypatch.setattr("signal.signal", lambda *_: None)
        with pytest.raises(SystemExit) as ended:
            start.main()
    assert ended.value.code == f"make start: port {port} is taken"


def test_what_is_staged_is_what_the_simulator_understands() -> None:
    """Each command is one line whose body the switches take; the last undoes the others."""
    commands = start.staged("http://127.0.0.1:1").splitlines()
    assert [command.split("  ")[1] for command in commands] == ["404", "403", "429", "outage", "the end"]
    switched = [Switches(**_switches(json.loads(shlex.split(command)[-1]))) for command in commands]
    assert [[fault.kind for fault in each.faults] for each in switched] == [
        [],
        ["status"],
        ["status"],
        ["reset"],
        [],
    ]
    assert switched[-1] == Switches(known_events="all")


def test_the_requests_are_filled_in_while_it_runs(tmp_path: Path) -> None:
    """A copy of ops.http has this stack's address and key, nothing else is changed, and it is gone afterwards."""
    stack: Any = FakeStack(tmp_path)
    with start.filled(stack, tmp_path / "copy.http") as copy:
        lines = copy.read_text("utf-8").splitlines()
    original = (setup.ROOT / "ops.http").read_text("utf-8").splitlines()
    assert [line for line in lines if line not in original] == ["@host = http://127.0.0.1:1", f"@key = {KEY}"]
    assert len(lines) == len(original)
    assert not copy.exists()
