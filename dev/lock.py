"""The locks: which version of each dependency the ready-to-run packages carry, with the hash of its wheel.

    python -m dev.lock

`requirements-3.13.lock` is what pip finds today for `requirements.txt`, on Linux (x86-64) and that Python. Review the
difference before you commit it.
"""

import argparse
import hashlib
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from packaging.utils import canonicalize_name, parse_wheel_filename

from dev import setup

PYTHONS = ("3.13", "3.12")  # what infra/azuredeploy.json offers; the first is its default
LOCKED = (*PYTHONS, "3.11")  # the last one for the tests

_PLATFORM = "manylinux2014_x86_64"
_LINE = re.compile(r"(\S+)==(\S+) --hash=sha256:([0-9a-f]{64})")


class PackageError(Exception):
    """A package that would not run. The text says what is missing and what to do."""


class Locked(NamedTuple):
    """One dependency of a lock; `sha256` is that of its wheel."""

    name: str
    version: str
    sha256: str


def main() -> None:
    """Write the lock of each Python, and say what is in it."""
    argparse.ArgumentParser(prog="make lock", description=main.__doc__).parse_args()
    for version in LOCKED:
        with tempfile.TemporaryDirectory() as wheels:
            try:
                download(version, Path(wheels), requirements=setup.ROOT / "requirements.txt")
            except PackageError as error:
                sys.exit(f"make lock: {error}")
            locked = sorted(map(_of_wheel, Path(wheels).iterdir()))
        of(version).write_text(text(version, locked), "utf-8")
        print(f"{of(version).name}: {len(locked)} packages")


def of(version: str) -> Path:
    """Return the lock of a Python."""
    return setup.ROOT / f"requirements-{version}.lock"


def text(version: str, locked: list[Locked]) -> str:
    """Return the contents of the lock of a Python."""
    head = f"# For Python {version} on Linux (x86-64). Made by `make lock`; not written by hand.\n"
    return head + "".join(f"{each.name}=={each.version} --hash=sha256:{each.sha256}\n" for each in locked)


def read(lock: Path) -> Iterator[Locked]:
    """Yield the dependencies of a lock. Raise `ValueError` for a line of another form."""
    for line in lock.read_text("utf-8").splitlines():
        if not line.startswith("#"):
            found = _LINE.fullmatch(line)
            if found is None:
                raise ValueError(f"{lock.name}: not a line of a lock: {line}")
            yield Locked(*found.groups())


def download(version: str, folder: Path, *, requirements: Path) -> None:
    """Fetch the wheels for Linux and that Python into `folder`. Raise `PackageError`."""
    pip("download", *target(version), "--dest", str(folder), "-r", str(requirements))


def target(version: str) -> tuple[str, ...]:
    """Return pip's options for Linux and a Python."""
    built_for = (f"--platform={_PLATFORM}", "--implementation=cp", f"--python-version={version}")
    return ("--only-binary=:all:", *built_for)


def pip(command: str, *arguments: str) -> None:
    """Run pip. Raise `PackageError`."""
    quiet = ("--quiet", "--disable-pip-version-check", "--no-input")
    done = subprocess.run([sys.executable, "-m", "pip", command, *quiet, *arguments], check=False)
    if done.returncode:
        raise PackageError(f"pip {command} failed (exit code {done.returncode}); its own words are above")


def _of_wheel(wheel: Path) -> Locked:
    name, version, *_ = parse_wheel_filename(wheel.name)
    return Locked(canonicalize_name(name), str(version), hashlib.sha256(wheel.read_bytes()).hexdigest())


if __name__ == "__main__":
    main()
