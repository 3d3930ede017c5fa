"""A child process: its environment, its log, the address that it announces, and its certain end."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from dev import setup

NO_PROXY = "127.0.0.1,localhost"

_READY_SECONDS = 60
_STOP_SECONDS = 15
_POLL_SECONDS = 0.02
# Waits until its standard input ends. That happens without a word only when the process that holds the
# other end has died, however it died: then the process group ($1) is asked to end ($2), and made to.
_LEASH = 'read -r word && exit; kill -s "$2" -- "-$1"; sleep 5; kill -s KILL -- "-$1"'


class ChildError(Exception):
    """A local process did not start, or ended too early. The text ends with the last lines of its log."""


def environment(settings: Mapping[str, str], *, shell: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return a child's whole environment: `settings` on a bare base, next to nothing of the shell's own.

    No proxy is for loopback, wherever a child may learn of a proxy from.
    """
    base = {"PATH": os.defpath, "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1", "NO_PROXY": NO_PROXY}
    inherited = {name: shell[name] for name in ("TMPDIR",) if name in shell}
    return base | inherited | dict(settings)


class Child:
    """A process in a session of its own, so that Ctrl-C reaches it through us, in our order.

    If this process dies without stopping it, a small shell does: it waits until this process's end of its pipe is
    closed. `log` takes what it writes to standard error; what it writes to standard output goes beside it.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        log: Path,
        settings: Mapping[str, str] | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> None:
        self.name = log.stem
        self.log = log
        self._output = log.with_suffix(".out")
        self._stop_signal = stop_signal
        with log.open("ab") as errors, self._output.open("wb") as output:
            self._process = subprocess.Popen(
                command,
                cwd=setup.ROOT,
                env=environment(settings or {}),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                start_new_session=True,
            )
        self._leash = subprocess.Popen(
            ["/bin/sh", "-c", _LEASH, "leash", str(self.pid), stop_signal.name.removeprefix("SIG")],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        """Return the process id, which is also its group's."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Say whether it still runs."""
        return self._process.poll() is None

    def output(self) -> bytes:
        """Return its standard output so far."""
        return self._output.read_bytes()

    def wait_until(self, ready: Callable[[Self], bool], *, seconds: float = _READY_SECONDS) -> None:
        """Return once `ready` holds; raise `ChildError` if the process ends first, or after `seconds`."""
        end = time.monotonic() + seconds
        while not ready(self):
            self.check()
            if time.monotonic() > end:
                raise ChildError(f"{self.name} was not ready after {seconds:g} s{self._tail()}")
            time.sleep(_POLL_SECONDS)

    def check(self) -> None:
        """Raise `ChildError`, with the end of its log, if the process has ended."""
        if not self.alive:
            raise ChildError(f"{self.name} ended with exit code {self._process.returncode}{self._tail()}")

    def announcement(self) -> dict[str, Any]:
        """Wait for the first line of its standard output, one JSON object, and return it."""
        self.wait_until(lambda child: b"\n" in child.output())
        announced: dict[str, Any] = json.loads(self.output().partition(b"\n")[0])
        return announced

    def stop(self) -> None:
        """Ask it to end and wait; make it end if it does not. Harmless when it has ended already."""
        try:
            self._signal(self._stop_signal)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_STOP_SECONDS)
        finally:
            self.kill()

    def kill(self) -> None:
        """End it at once, as a crash would. Harmless when it has ended already."""
        self._signal(signal.SIGKILL)
        self._process.wait()
        if self._leash.stdin and not self._leash.stdin.closed:
            with contextlib.suppress(BrokenPipeError):
                self._leash.communicate(b"stopped\n")

    def _signal(self, number: signal.Signals) -> None:
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, number)

    def _tail(self) -> str:
        text = self.log.read_text(errors="replace").strip()
        return ":\n" + "\n".join(text.splitlines()[-20:]) if text else " and said nothing"


def python(module: str, *arguments: str) -> list[str]:
    """Return the command that runs one of our modules with the Python that runs us."""
    return [sys.executable, "-m", module, *arguments]
