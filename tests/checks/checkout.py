"""Which files are the project's own: beside them lies whatever its user keeps in the same folder."""

import shutil
import subprocess
from pathlib import Path

from pathspec import GitIgnoreSpec

ROOT = Path(__file__).parents[2]


def files() -> list[str]:
    """Return the files that git tracks, relative to the root and sorted; all but the ignored where git has none."""
    # Whoever owns the checkout: git would refuse to look into somebody else's.
    ask = ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z"]
    try:
        listing = subprocess.run(ask, cwd=ROOT, capture_output=True, check=True)  # noqa: S603 - the developer's own
        tracked = listing.stdout.decode().split("\0")
    except (OSError, subprocess.CalledProcessError):  # no git, or an unpacked archive
        tracked = []
    return sorted(name for name in tracked if (ROOT / name).is_file()) or sorted(_not_ignored())


def copy(to: Path) -> None:
    """Copy the project's own files into a folder, which need not be there yet."""
    for name in files():
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, to / name)


def _not_ignored() -> list[str]:
    ignored = GitIgnoreSpec.from_lines((ROOT / ".gitignore").read_text("utf-8").splitlines())
    there = (path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*") if path.is_file())
    return [name for name in there if not ignored.match_file(name)]
