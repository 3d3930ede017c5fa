"""What happens while `make start` runs, one line for each alert: read from the logs of the hosts."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from dev.demo.screen import COLOURS, bar, used
from dev.stack.stack import Stack
from shared import senders

_STEPS = {"accepted", "settled", "known alert", "refused"}


class Lines:
    """Shows what the hosts of a stack have logged since the last `show`. `limit`: the window's calls and seconds."""

    def __init__(self, stack: Stack, limit: tuple[int, float], console: Console | None = None) -> None:
        self._stack = stack
        self._calls, self._window = limit
        self._console = console or Console(highlight=False)
        self._read: dict[str, int] = {}
        self._names = {
            senders.fingerprint({"x-functions-key": key}, {}): name for name, key in stack.keys.items()
        }

    def show(self) -> None:
        """Print a line for each alert that was accepted and waits, has ended, or was refused."""
        steps = list(self._steps())
        settled = {step["alert"] for step in steps if step["step"] == "settled"}
        for step in steps:
            if step["step"] == "accepted" and (step["state"] != "waiting" or step["alert"] in settled):
                continue  # its end is the next line
            calls = used(self._stack.simulator("GET", "log"), self._window)
            self._console.print(
                line(step, self._names, self._title(step), (calls, self._calls)), soft_wrap=True
            )

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

    def _title(self, step: Mapping[str, Any]) -> str:
        if "alert" not in step:
            return (
                f"events: {step.get('events')}, answered {step.get('status')}; the operator's page says why"
            )
        answer = self._stack.operate("GET", f"alerts/{step['alert']}")
        return str(answer.json()["request"]["title"]) if answer.ok else ""


def line(step: Mapping[str, Any], names: Mapping[str, str], title: str, window: Sequence[int]) -> Text:
    """Return the line of a step: sender, what it became, severity, the window as a bar, the title."""
    became = {"refused": "refused", "known alert": "known"}.get(step["step"]) or str(step["state"])
    if (step["step"], became) == ("settled", "waiting"):
        became = "waits again"
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
