"""The ready-to-run package runs: unpacked, with its own dependencies and nothing else, it creates an alert."""

import hashlib
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest

from dev import lock, package, setup
from dev.stack.child import Child, environment
from dev.stack.stack import Host, Stack

VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
ALERT = {
    "machineId": "7c9e6679a4b2f1d08e3c5b7a9d1f2e3c4b5a6978",
    "eventTime": "2026-02-03T04:05:06.7891234Z",
    "reportId": "9007199254740993",
    "severity": "High",
    "category": "Execution",
    "title": "From the package",
    "description": "powershell.exe ran an encoded command.",
    "recommendedAction": "Ask the user of the device.",
}


def dependencies(version: str) -> Path:
    """Install the app's dependencies for a Python as `make package` does; once, kept in .tools."""
    folder, stamp = setup.TOOLS / "packages" / version, setup.TOOLS / "packages" / f"ready-{version}"
    made_of = lock.of(version).read_bytes() + Path(package.__file__).read_bytes()
    wanted = hashlib.sha256(made_of).hexdigest()
    if not stamp.is_file() or stamp.read_text() != wanted:
        stamp.unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
        package.install(version, folder)
        stamp.write_text(wanted)
    return folder


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the package for this Python and unpack it into an empty folder."""
    built = package.build_ready(VERSION, dependencies(VERSION), tmp_path_factory.mktemp("dist"))
    root = tmp_path_factory.mktemp("wwwroot")
    with zipfile.ZipFile(built) as archive:
        archive.extractall(root)
    return root


def isolated(root: Path, tools: Path) -> tuple[list[str], dict[str, str]]:
    """Return how to start a Python that knows the unpacked package, our local host, and nothing else of ours.

    `-S` leaves out the virtual environment's packages, `-P` the working directory.
    """
    tools.mkdir(exist_ok=True)
    (tools / "dev").symlink_to(setup.ROOT / "dev", target_is_directory=True)
    path = f"{root / package.SITE_PACKAGES}:{root}:{tools}"
    return [sys.executable, "-S", "-P"], {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}


def test_the_unpacked_package_creates_an_alert(
    unpacked: Path, tmp_path: Path, start_stack: Callable[..., Stack]
) -> None:
    """A host started from the package's own files and dependencies posts an alert that Defender then has."""
    python, path = isolated(unpacked, tmp_path / "tools")
    stack = start_stack(hosts=0)
    host = Child(
        [*python, "-m", "dev.stack.host", "--root", unpacked, "--key", f"one={stack.keys['default']}"],
        log=tmp_path / "host.log",
        settings=stack.settings | path,
    )
    try:
        announced = host.announcement()
        answer = stack.post(ALERT, host=Host(announced["url"], host))
    finally:
        host.stop()
    assert {each.parent.name for each in unpacked.glob("*/function.json")} == set(announced["functions"])
    assert answer.status_code == 200, answer.text
    (alert,) = answer.json()["alerts"]
    assert (alert["status"], alert["request"]) == ("created", ALERT)
    (call,) = stack.simulator("GET", "log")
    assert (call["status"], call["alertId"]) == (200, alert["alert"]["id"])
    assert [call[name] for name in ("machineId", "eventTime", "reportId")] == list(ALERT.values())[:3]


def test_nothing_of_the_package_comes_from_elsewhere(unpacked: Path, tmp_path: Path) -> None:
    """The Python of the test above finds the app's code and each of its dependencies in the package."""
    python, path = isolated(unpacked, tmp_path / "tools")
    names = "azure.data.tables azure.functions azure.identity cryptography requests shared.webhook.receive"
    ask = f"import importlib; print(*(importlib.import_module(name).__file__ for name in {names.split()}), sep='\\n')"
    completed = subprocess.run(  # noqa: S603 - our own Python
        [*python, "-c", ask], env=environment(path), cwd=tmp_path, capture_output=True, check=True, text=True
    )
    assert len(completed.stdout.splitlines()) == len(names.split())
    assert all(Path(line).is_relative_to(unpacked) for line in completed.stdout.splitlines())


@pytest.mark.parametrize(("version", "major"), [("3.12", "1"), ("3.13", "2")])
def test_each_python_gets_the_packages_made_for_it(version: str, major: str) -> None:
    """Whatever Python builds: azure-functions is 1.x up to 3.12 and 2.x from 3.13 on, compiled code is for both."""
    folder = dependencies(version)
    versions = {each.name: each.version for each in metadata.distributions(path=[str(folder)])}
    assert versions["azure-functions"].partition(".")[0] == major
    compiled = [path.name for path in folder.rglob("*.so")]
    assert compiled
    tag = "cpython-" + version.replace(".", "")
    assert all(re.search(rf"\.({tag}-x86_64-linux-gnu|abi3)\.so$", name) for name in compiled)
