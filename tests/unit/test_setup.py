"""Two commands on a fresh machine: what the Makefile, the set-up and the lock file promise."""

import ast
import contextlib
import json
import re
import shutil
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from dev import lock, setup
from dev.stack import child
from tests.checks import checkout

MAKEFILE = (setup.ROOT / "Makefile").read_text("utf-8")
LOCK = json.loads((setup.ROOT / "dev" / "package-lock.json").read_text("utf-8"))
TARGETS = set(re.findall(r"^([a-z]+):", MAKEFILE, re.MULTILINE))


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run make with our Makefile in an empty folder, as nothing but a shell would."""
    shutil.copy(setup.ROOT / "Makefile", folder)
    return subprocess.run(  # noqa: S603 - our own Makefile
        ["make", *arguments],  # noqa: S607 - wherever it is
        cwd=folder,
        env=child.environment({}),
        capture_output=True,
        encoding="utf-8",
        check=False,
        stdin=subprocess.DEVNULL,
    )


def imported(path: Path) -> set[str]:
    """Return the first part of every name that a file imports absolutely."""
    packages = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            packages |= {name.name.partition(".")[0] for name in node.names}
        if isinstance(node, ast.ImportFrom) and not node.level:
            packages.add((node.module or "").partition(".")[0])
    return packages


def normal(name: str) -> str:
    """Return a package's name as PyPI compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def provided_by_the_requirements() -> set[str]:
    """Return every package that our requirements bring, directly or not, extras left aside."""
    files = [setup.ROOT / "requirements.txt", setup.ROOT / "requirements-dev.txt"]
    names = re.compile(r"^[A-Za-z0-9][\w.-]*", re.MULTILINE)
    provided: set[str] = set()
    queue = [name for file in files for name in names.findall(file.read_text("utf-8"))]
    while queue:
        if (name := normal(queue.pop())) not in provided:
            provided.add(name)
            with contextlib.suppress(metadata.PackageNotFoundError):  # of another platform
                needs = [need for need in metadata.requires(name) or [] if "extra ==" not in need]
                queue += names.findall("\n".join(needs))
    return provided


def test_make_alone_lists_every_target(tmp_path: Path) -> None:
    """`make` names every target of the Makefile with a line of help, and sets nothing up for it."""
    completed = make(tmp_path)
    listed = dict(re.findall(r"^  make (\w+) +(\S.*)$", completed.stdout, re.MULTILINE))
    assert {"demo", "test", "start", "lint", "help", "setup"} <= TARGETS
    assert set(listed) == TARGETS
    assert [path.name for path in tmp_path.iterdir()] == ["Makefile"]


def test_every_target_that_runs_something_sets_up_first() -> None:
    """No target that uses the virtual environment can be called before it is there."""
    rules = re.findall(r"^([a-z]+):(.*?)\n((?:\t.*\n?)+)", MAKEFILE, re.MULTILINE)
    using = {name: needs for name, needs, recipe in rules if "$(RUN)" in recipe}
    assert {"demo", "test", "start", "lint"} <= set(using)
    assert all(needs.split("##")[0].split() == ["setup"] for needs in using.values())


@pytest.mark.parametrize("python", ["no-such-python", "/bin/false"])
def test_a_missing_or_old_python_is_named(tmp_path: Path, python: str) -> None:
    """Without Python 3.11 the advice names what was tried, what is needed and how to choose another."""
    completed = make(tmp_path, "test", f"PYTHON={python}")
    assert completed.returncode != 0
    assert f"{python} is missing or older than Python 3.11" in completed.stderr
    assert "make test PYTHON=python3.12" in completed.stderr


def test_the_supported_pythons_are_the_same_everywhere() -> None:
    """pyproject.toml lists them; linter and type checker keep to the oldest, packages and pages to the list."""
    project = tomllib.loads((setup.ROOT / "pyproject.toml").read_text("utf-8"))
    pythons = [
        line.removeprefix("Programming Language :: Python :: ") for line in project["project"]["classifiers"]
    ]
    oldest, newest = pythons[0], pythons[-1]
    assert project["project"]["requires-python"] == f">={oldest}"
    assert project["tool"]["mypy"]["python_version"] == oldest
    assert project["tool"]["ruff"]["target-version"] == f"py{oldest.replace('.', '')}"
    assert f"sys.version_info < ({oldest.replace('.', ', ')})" in MAKEFILE
    assert set(lock.PYTHONS) <= set(pythons)
    assert f"Python {oldest} to {newest}" in (setup.ROOT / "README.md").read_text("utf-8")
    assert f"({oldest} to {newest})" in (setup.ROOT / "CONTRIBUTING.md").read_text("utf-8")


def test_our_commands_speak_utf_8_in_any_locale(tmp_path: Path) -> None:
    """A shell with an old locale, or one that switches Python's UTF-8 off, does not stop a command half-way."""
    (tmp_path / "ask.mk").write_text("ask: ; @printenv PYTHONUTF8\n")
    completed = subprocess.run(  # noqa: S603 - our own Makefile
        ["make", "--silent", "-f", "Makefile", "-f", str(tmp_path / "ask.mk"), "ask"],  # noqa: S607 - as above
        cwd=setup.ROOT,
        env=child.environment({"LC_ALL": "C", "PYTHONUTF8": "0"}),
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    assert completed.stdout == "1\n"


def test_set_up_needs_nothing_but_python() -> None:
    """dev/setup.py runs before anything is installed: it imports the standard library only."""
    roots = imported(Path(setup.__file__))
    assert "subprocess" in roots
    assert roots <= sys.stdlib_module_names


def test_whatever_is_imported_is_required() -> None:
    """A fresh clone gets every package our code imports: required by us, or by what we require."""
    ours = [setup.ROOT / name for name in checkout.files() if name.endswith(".py")]
    folders = {path.relative_to(setup.ROOT).parts[0] for path in ours}
    installed, provided = metadata.packages_distributions(), provided_by_the_requirements()
    missing = {
        (root, path.name)
        for path in ours
        for root in imported(path) - sys.stdlib_module_names - folders
        if not provided & {normal(name) for name in installed.get(root, ())}
    }
    assert len(ours) > 10
    assert not missing


def test_the_lock_is_exact_and_names_no_registry() -> None:
    """Azurite is 3.35.x; every package is pinned by its hash, and comes from the registry npm is set to."""
    packages = {name: package for name, package in LOCK["packages"].items() if name}
    assert re.fullmatch(r"3\.35\.\d+", LOCK["packages"][""]["dependencies"]["azurite"])
    assert packages["node_modules/azurite"]["version"] == LOCK["packages"][""]["dependencies"]["azurite"]
    assert all(package["integrity"].startswith("sha512-") for package in packages.values())
    remarks = {"license", "funding", "deprecated"}  # where authors may write what they like
    facts = [{key: package[key] for key in package.keys() - remarks} for package in packages.values()]
    assert not re.search(r"resolved|registry\.|\.tgz|://", json.dumps(facts))


def test_nothing_locked_has_an_install_script() -> None:
    """Install scripts are switched off, so a package that needs one must be noticed here."""
    assert not [name for name, package in LOCK["packages"].items() if package.get("hasInstallScript")]


def test_set_up_happens_once_until_something_changes(tmp_path: Path) -> None:
    """A second set-up does nothing; a changed requirement or a lost product makes it happen again."""
    need, product, stamp = tmp_path / "requirements.txt", tmp_path / "python", tmp_path / ".ready"
    need.write_text("rich")
    installed = []

    def install() -> None:
        installed.append(need.read_text())
        product.touch()

    def set_up() -> int:
        setup.once(stamp, product, [str(need)], install)
        return len(installed)

    assert [set_up(), set_up()] == [1, 1]
    need.write_text("rich>=13")
    assert [set_up(), set_up()] == [2, 2]
    product.unlink()
    assert [set_up(), set_up()] == [3, 3]


def test_a_set_up_that_failed_is_tried_again(tmp_path: Path) -> None:
    """What broke off half-way is not taken for done, not even if it was done before."""
    need, product, stamp = tmp_path / "requirements.txt", tmp_path / "python", tmp_path / ".ready"
    product.touch()
    need.write_text("rich")
    setup.once(stamp, product, [str(need)], lambda: None)
    need.write_text("rich>=13")

    def fail() -> None:
        raise setup.SetupError("no network")

    for _ in range(2):
        with pytest.raises(setup.SetupError):
            setup.once(stamp, product, [str(need)], fail)


@pytest.mark.parametrize(
    ("node", "npm", "taken"),
    [
        ("echo 20.20.2 /opt/node", True, True),
        ("echo 24.0.0 /opt/node", True, True),
        ("echo 18.19.1 /opt/node", True, False),
        ("echo 8.0.0 /opt/node", True, False),
        ("exit 1", True, False),
        ("echo 22.0.0 /opt/node", False, False),
    ],
)
def test_a_node_that_is_too_old_or_lacks_npm_is_left_alone(
    tmp_path: Path, node: str, npm: bool, taken: bool
) -> None:
    """The machine's Node is used from version 20 on, and only together with its npm."""
    programs = {"node": node} | ({"npm": "exit 0"} if npm else {})
    for name, does in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{does}\n")
        (tmp_path / name).chmod(0o755)
    system = (Path("/opt/node"), [str(tmp_path / "npm")]) if taken else None
    assert setup.system_node(str(tmp_path)) == system


def test_hooks_and_ci_call_the_commands_of_the_makefile() -> None:
    """CI and the commit hooks run what a developer runs by hand, and nothing else."""
    config = (setup.ROOT / ".pre-commit-config.yaml").read_text("utf-8")
    script = setup.ROOT / ".ci" / "run"
    entries = re.findall(r"entry: make (\w+)", config)
    assert len(entries) == config.count("id:")
    assert set(entries) <= TARGETS
    assert set(re.findall(r"^make (\w+)", script.read_text("utf-8"), re.MULTILINE)) == {
        "setup",
        "test",
        "lint",
    }
    assert script.stat().st_mode & 0o111


@pytest.mark.parametrize("processes", [(), ("-n", "2")], ids=["one process", "several"])
def test_a_file_of_tests_that_is_not_there_is_named(processes: tuple[str, ...]) -> None:
    """A misspelt argument is an error that names it, and not a run without tests."""
    asked = ("tests/unit/test_setup.py", "tests/unit/test_nosuch.py::test_one")
    ran = subprocess.run(  # noqa: S603 - our own tests
        [sys.executable, "-m", "pytest", "--collect-only", *processes, *asked],
        cwd=setup.ROOT,
        env=child.environment({}),
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert ran.returncode == pytest.ExitCode.USAGE_ERROR
    assert "not found: tests/unit/test_nosuch.py::test_one" in ran.stderr


def test_a_child_gets_nothing_of_the_shell() -> None:
    """Proxies, keys and settings of the developer's shell do not reach the stack; what is passed does."""
    shell = {"HTTPS_PROXY": "http://proxy", "AZURE_CLIENT_SECRET": "x", "PYTHONPATH": "/", "PATH": "/opt"}
    got = child.environment({"RATE_LIMIT_CALLS": "3"}, shell=shell)
    assert got.pop("RATE_LIMIT_CALLS") == "3"
    assert got == child.environment({}, shell={})
    assert "/opt" not in got["PATH"]
