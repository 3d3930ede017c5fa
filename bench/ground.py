"""What all benchmarks share: the form of the run, the alerts that are sent, and running code in a new process.

It imports little, because each process of `import_time` imports it before its clock runs.
"""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from dev import samples, setup
from dev.stack.child import environment

_T = TypeVar("_T")
BYTES, EVENTS = 1_048_576, 100
"""What a delivery may have at most, as in the app's settings: a mebibyte, and a hundred events."""


@dataclass(frozen=True, slots=True)
class Form:
    """The full form, or the short one: fewer rounds and shorter windows, to see that everything runs."""

    quick: bool = False

    def pick(self, full: _T, short: _T) -> _T:
        """Return one of the two, by the form."""
        return short if self.quick else full


class BenchError(Exception):
    """A benchmark could not be run, or it did not measure what it should."""


def inside(module: str, *arguments: str, settings: Mapping[str, str]) -> Any:
    """Run a module of ours in a process with these settings as its whole environment; return its JSON.

    So the app reads its settings as in Azure, and no run inherits another one's memory.
    """
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=setup.ROOT,
        env=environment(settings),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    if done.returncode:
        raise BenchError(f"{module} ended with exit code {done.returncode}: {done.stderr.strip()[-2000:]}")
    return json.loads(done.stdout)


def fields(number: int, side: str = "", severity: str = "Medium") -> dict[str, Any]:
    """Return the eight fields of an alert. With a `side`, its device is one that no other side names."""
    device = f"{side}-{number}.contoso.example" if side else None
    return samples.eight_fields(samples.event(number, device=device), "Encoded PowerShell", severity)
