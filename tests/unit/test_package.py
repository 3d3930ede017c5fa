"""The packages: what is in them, what is left out, and that the same files make the same bytes."""

import os
import re
import tomllib
import zipfile
from collections.abc import Iterable
from pathlib import Path

import pytest

from dev import package
from tests.checks import checkout

ROOT = Path(__file__).parents[2]
IGNORED = (ROOT / ".funcignore").read_text("utf-8")
MADE_HERE = (  # on a developer's machine, by our commands, by Azure's tools or by hand
    ".azurite/table.json",
    ".hypothesis/unicode.gz",
    ".mypy_cache/3.11/x.json",
    ".pytest_cache/README.md",
    ".python_packages/lib/x.py",
    ".ruff_cache/0/x",
    ".tools/node",
    ".venv/bin/python",
    "clean_env/lib/x.py",
    "dist/source.zip",
    "build/lib/x.py",
    "defender_alert_webhook.egg-info/PKG-INFO",
    "env/lib/x.py",
    "local.settings.json",
    "notes/host.json",
    "payload.json",
    "payload2.json",
    "venv/lib/x.py",
)


@pytest.fixture
def clean(tmp_path: Path) -> Path:
    """Copy the project without what its user keeps in the same folder."""
    root = tmp_path / "clean"
    checkout.copy(root)
    return root


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """Make a small function app among what a developer has beside it."""
    root = tmp_path / "app"
    files = {
        ".funcignore": "/*\n!/*Function/\n!/shared/\n!/host.json\n/**/__pycache__\n",
        ".git/config": "",
        ".tools/deep/tool.py": "",
        "README.md": "",
        "PostFunction/function.json": "{}",
        "PostFunction/__init__.py": "",
        "PostFunction/__pycache__/__init__.pyc": "",
        "dev/setup.py": "",
        "host.json": "{}",
        "local.settings.json": "{}",
        "shared/dev/notes.md": "kept: only the root's are left out",
        "shared/mapping/sources/a.json": "[]",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def names(path: Path) -> list[str]:
    """Return what is in a zip, in its order."""
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        return archive.namelist()


def left_out_by_core_tools(ignored: str, path: str) -> bool:
    """Tell whether `func azure functionapp publish` leaves a path out.

    It reads `.funcignore` in a way of its own: a line is a prefix from the root, slash in front or not; `*` is one
    or more characters of a name, `**` of a path. What begins as a line with `!` is uploaded, whatever else it is.
    """
    lines = [line.strip() for line in ignored.splitlines() if line.strip() and not line.startswith("#")]

    def begins(path: str, lines: Iterable[str]) -> bool:
        prefixes = [re.escape(line.removeprefix("/")) for line in lines]
        patterns = [each.replace(r"\*\*", ".+").replace(r"\*", "[^/]+") for each in prefixes]
        return any(re.match(pattern, path, re.ASCII) for pattern in patterns)

    allowed = [line.removeprefix("!") for line in lines if line.startswith("!")]
    return not begins(path, allowed) and begins(path, (line for line in lines if not line.startswith("!")))


def test_only_what_funcignore_allows_is_packed(app: Path) -> None:
    """The source package is the app without whatever else lies in the same folder; names are sorted."""
    included = [
        "PostFunction/__init__.py",
        "PostFunction/function.json",
        "host.json",
        "shared/dev/notes.md",
        "shared/mapping/sources/a.json",
    ]
    assert package.source_files(app) == included


def test_the_source_package_is_the_app(clean: Path) -> None:
    """All of the app and nothing else: a new file at the root is in it only if `.funcignore` allows it."""
    files = package.source_files(clean)
    roots = {name.partition("/")[0] for name in files}
    functions = {path.parent.name for path in clean.glob("*/function.json")}
    assert roots == {"host.json", "requirements.txt", "shared", *functions}
    assert {path.relative_to(clean).as_posix() for path in clean.glob("shared/**/*.json")} <= set(files)
    assert {path.relative_to(clean).as_posix() for path in clean.glob("shared/**/*.py")} <= set(files)
    assert len(functions) > 3
    assert {Path(name).suffix for name in files} == {".json", ".py", ".txt", ".html", ".css", ".js", ".svg"}


def test_core_tools_read_funcignore_alike(clean: Path) -> None:
    """`func azure functionapp publish` uploads the same files, though it reads the file in its own way.

    Byte code is the exception, and harmless: there, what is allowed cannot be left out again.
    """
    for name in (*MADE_HERE, "shared/__pycache__/app.cpython-313.pyc"):
        (clean / name).parent.mkdir(parents=True, exist_ok=True)
        (clean / name).write_text("")
    there = {path.relative_to(clean).as_posix() for path in clean.rglob("*") if path.is_file()}
    theirs = {name for name in there if not left_out_by_core_tools(IGNORED, name)}
    assert {name for name in theirs if "__pycache__" not in name} == set(package.source_files(clean))
    assert not theirs & set(MADE_HERE)
    assert "shared/alerts/alert.py" in theirs


def test_a_folder_of_the_users_own_is_deployed(clean: Path) -> None:
    """Mappings beside `host.json` go to Azure with the app, as the guide says."""
    (clean / "my-sources").mkdir()
    (clean / "my-sources" / "nightwatch.json").write_text("{}")
    assert "my-sources/nightwatch.json" in package.source_files(clean)
    assert not left_out_by_core_tools(IGNORED, "my-sources/nightwatch.json")


def test_the_source_package_is_small(clean: Path, tmp_path: Path) -> None:
    """A remote build takes at most 5 MB here: the app without its dependencies."""
    built = package.build_source(tmp_path, root=clean)
    assert built.name == "source.zip"
    assert names(built) == package.source_files(clean)
    assert built.stat().st_size < 5_000_000


def test_the_same_files_make_the_same_bytes(app: Path, tmp_path: Path) -> None:
    """Neither times nor rights nor the order on the disk change a package; a changed byte does."""
    first = package.build_source(tmp_path, root=app).read_bytes()
    for name in ("host.json", "shared/mapping/sources/a.json"):
        text = (app / name).read_text()
        (app / name).unlink()
        (app / name).write_text(text)
        (app / name).chmod(0o700)
        os.utime(app / name, (0, 0))
    assert package.build_source(tmp_path, root=app).read_bytes() == first
    (app / "host.json").write_text("{ }")
    assert package.build_source(tmp_path, root=app).read_bytes() != first


def test_the_ready_package_carries_its_dependencies(app: Path, tmp_path: Path) -> None:
    """They lie where the worker looks, without what depends on the machine that installed them."""
    dependencies = tmp_path / "dependencies"
    for name in (
        "pkg/__init__.py",
        "pkg/__pycache__/x.pyc",
        "bin/tool",
        "pkg-1.dist-info/RECORD",
        "pkg-1.dist-info/METADATA",
    ):
        (dependencies / name).parent.mkdir(parents=True, exist_ok=True)
        (dependencies / name).write_text("")
    built = package.build_ready("3.13", dependencies, tmp_path, root=app)
    assert built.name == "defender-alert-webhook-3.13.zip"
    carried = [name for name in names(built) if name.startswith(".python_packages")]
    folder = ".python_packages/lib/site-packages"
    assert carried == [f"{folder}/pkg-1.dist-info/METADATA", f"{folder}/pkg/__init__.py"]
    assert set(names(built)) - set(carried) == set(package.source_files(app))
    with zipfile.ZipFile(built) as archive:
        assert {entry.external_attr >> 16 for entry in archive.infolist()} == {0o100644}


@pytest.mark.parametrize(
    ("need", "version", "missing"),
    [
        ("other>=2", "3.13", ["other (for pkg)"]),
        ("Some.Thing", "3.13", []),
        ("other; python_version >= '3.13'", "3.13", ["other (for pkg)"]),
        ("other; python_version >= '3.13'", "3.12", []),
        ("other; sys_platform == 'win32'", "3.13", []),
        ("other; extra == 'fast'", "3.13", []),
    ],
)
def test_a_dependency_that_would_be_missing_is_noticed(
    tmp_path: Path, need: str, version: str, missing: list[str]
) -> None:
    """Of what pip installs, its own Python decides: what the app's Python needs beyond that is not forgotten."""
    for name, needs in {"pkg": f"Requires-Dist: {need}\n", "some_thing": ""}.items():
        (tmp_path / f"{name}-1.dist-info").mkdir()
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n{needs}"
        (tmp_path / f"{name}-1.dist-info" / "METADATA").write_text(metadata)
    assert list(package._missing(version, tmp_path)) == missing


def test_pip_installs_the_dependencies_and_no_package() -> None:
    """`azd restore` runs `pip install .`, which refuses a folder of many packages unless it is told to take none."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert project["project"]["dynamic"] == ["dependencies"]
    assert project["tool"]["setuptools"] == {
        "packages": [],
        "dynamic": {"dependencies": {"file": ["requirements.txt"]}},
    }
