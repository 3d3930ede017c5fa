"""The walls between the rooms: who may import what (docs/architecture.md)."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = sorted(path.parent.name for path in ROOT.glob("*Function/function.json"))
ROOMS = sorted(ROOT.glob("shared/*.py"))
SHIMS = [ROOT / folder / "__init__.py" for folder in FOLDERS]
ONLY_IN = {
    "azure.functions": set(FOLDERS),
    "azure.data.tables": {"storage"},
    "azure.identity": {"identity"},
    "requests": {"defender"},
    "jmespath": {"expression"},
}
SHARED_BY = {"azure.core": {"storage", "identity"}, "urllib3": {"defender"}}
MAY_IMPORT_GATEWAY = {"app", "gateway", "operations"}


def _name(path: Path) -> str:
    return path.parent.name if path.name == "__init__.py" and path.parent != ROOT / "shared" else path.stem


def _imports(path: Path) -> Iterator[tuple[str, int]]:
    """Yield every imported module with the level of its import (0 is absolute), wherever in the file it stands."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, 0
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "", node.level
            for alias in node.names:
                yield f"{node.module}.{alias.name}", node.level


def _is_in(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


def test_the_rooms_are_there() -> None:
    """The walls below are about something: all folders and rooms are found."""
    assert "CreateAlertFunction" in FOLDERS
    assert len(ROOMS) > 10


@pytest.mark.parametrize("path", ROOMS + SHIMS, ids=_name)
def test_imports_are_absolute(path: Path) -> None:
    """The worker loads functions as `__app__.Name`: a relative import would make a second copy of a module."""
    assert [module for module, level in _imports(path) if level] == []


@pytest.mark.parametrize("path", ROOMS + SHIMS, ids=_name)
def test_each_edge_has_one_room(path: Path) -> None:
    """Only one room knows each outside library; the rest is plain Python that runs without Azure."""
    for module, _ in _imports(path):
        for package, rooms in (ONLY_IN | SHARED_BY).items():
            if _is_in(module, package):
                assert _name(path) in rooms, f"{path.name} imports {module}"


@pytest.mark.parametrize("path", ROOMS + SHIMS, ids=_name)
def test_nothing_else_is_imported(path: Path) -> None:
    """What is neither ours, nor the standard library's, nor named above has not earned its cold-start time."""
    allowed = {*sys.stdlib_module_names, "shared", "azure", "requests", "urllib3", "jmespath"}
    assert {module.partition(".")[0] for module, _ in _imports(path)} <= allowed


@pytest.mark.parametrize("path", ROOMS, ids=_name)
def test_only_the_composition_and_the_operator_know_the_gateway(path: Path) -> None:
    """The whole way of an alert is known in one place; no room below reaches back up to it."""
    if any(_is_in(module, "shared.gateway") for module, _ in _imports(path)):
        assert _name(path) in MAY_IMPORT_GATEWAY


@pytest.mark.parametrize("path", SHIMS, ids=_name)
def test_a_function_folder_is_a_shim(path: Path) -> None:
    """A folder reads the request, calls one use case and renders: under 40 lines."""
    assert len(path.read_text("utf-8").splitlines()) < 40


@pytest.mark.parametrize("room", ["storage", "identity", "defender"])
def test_the_edges_are_where_they_are_said_to_be(room: str) -> None:
    """Each wall above has something behind it: the room it names does import its library."""
    behind = {package for package, rooms in ONLY_IN.items() if room in rooms}
    found = {module for module, _ in _imports(ROOT / "shared" / f"{room}.py")}
    assert all(any(_is_in(module, package) for module in found) for package in behind)
