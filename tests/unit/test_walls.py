"""The walls between the packages: who may import what (docs/architecture.md)."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHARED = ROOT / "shared"
FOLDERS = sorted(path.parent.name for path in ROOT.glob("*Function/function.json"))
MODULES = sorted(SHARED.rglob("*.py"))
OURS = sorted(path for folder in ("shared", "dev", "bench") for path in (ROOT / folder).rglob("*.py"))
SHIMS = [ROOT / folder / "__init__.py" for folder in FOLDERS]
ONLY_IN = {
    "azure.functions": {*FOLDERS, "shared.web.response"},
    "azure.data.tables": {"shared.table.azure", "shared.table.connection"},
    "azure.identity": {"shared.identity"},
    "requests": {"shared.clients.connections", "shared.clients.service"},
}
SHARED_BY = {
    "azure.core": {
        "shared.table.azure",
        "shared.table.connection",
        "shared.table.transport",
        "shared.identity",
    },
    "urllib3": {"shared.clients.connections"},
}
MAY_IMPORT_RECEIVE = {
    "shared.app",
    "shared.webhook.receive",
    "shared.operations.refusals",
    "shared.operations.routes",
    "shared.operations.standing",
    "shared.operations.tryout",
}
GROUND = {"errors", "log", "loopback", "senders"}
BELOW = {
    "alerts": set(),
    "table": {"settings"},
    "clients": set(),
    "payload": {"alerts"},
    "mapping": {"payload", "alerts"},
    "search": {"payload", "alerts"},
    "entity": {"payload", "alerts"},
    "ledger": {"table", "clients", "alerts"},
    "sending": {"ledger", "table", "clients", "entity", "search", "payload", "alerts"},
    "web": {"sending", "ledger", "table", "clients", "search", "mapping", "payload", "alerts"},
    "webhook": {
        "settings",
        "web",
        "sending",
        "entity",
        "search",
        "ledger",
        "table",
        "clients",
        "mapping",
        "payload",
        "alerts",
    },
    "operations": {
        "identity",
        "webhook",
        "web",
        "sending",
        "ledger",
        "table",
        "clients",
        "search",
        "mapping",
        "payload",
        "alerts",
    },
}
"""What of ours each package may import besides itself and the ground."""


def _name(path: Path) -> str:
    """Return a module's name as it is imported: `shared.mapping.python`; of a shim its folder."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _package(path: Path) -> str:
    """Return the package of `shared` that a module is in, "" for one beside the packages."""
    parts = path.relative_to(SHARED).parts
    return parts[0] if len(parts) > 1 else ""


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


def test_the_modules_are_there() -> None:
    """The walls below are about something: all folders and modules are found."""
    assert "CreateAlertFunction" in FOLDERS
    assert {"", *BELOW} <= set(map(_package, MODULES))
    assert "shared.mapping.python.cef" in map(_name, MODULES)
    assert len(MODULES) > 40


@pytest.mark.parametrize("path", MODULES + SHIMS, ids=_name)
def test_imports_are_absolute(path: Path) -> None:
    """The worker loads functions as `__app__.Name`: a relative import would make a second copy of a module."""
    assert [module for module, level in _imports(path) if level] == []


@pytest.mark.parametrize("path", MODULES + SHIMS, ids=_name)
def test_each_edge_has_its_modules(path: Path) -> None:
    """Only the modules named above know each outside library; the rest is plain Python that runs without Azure."""
    for module, _ in _imports(path):
        for package, modules in (ONLY_IN | SHARED_BY).items():
            if _is_in(module, package):
                assert _name(path) in modules, f"{path.name} imports {module}"


@pytest.mark.parametrize("path", MODULES + SHIMS, ids=_name)
def test_nothing_else_is_imported(path: Path) -> None:
    """What is neither ours, nor the standard library's, nor named above has not earned its cold-start time."""
    allowed = {*sys.stdlib_module_names, "shared", "azure", "requests", "urllib3"}
    assert {module.partition(".")[0] for module, _ in _imports(path)} <= allowed


@pytest.mark.parametrize("path", [path for path in MODULES if _package(path) in BELOW], ids=_name)
def test_a_package_imports_only_what_is_below_it(path: Path) -> None:
    """The direction of imports is the one that `BELOW` lists, and no other."""
    ours = {module.split(".")[1] for module, _ in _imports(path) if module.startswith("shared.")}
    assert ours <= {_package(path), *GROUND, *BELOW[_package(path)]}


@pytest.mark.parametrize("package", BELOW)
def test_a_packages_docstring_names_what_it_may_import(package: str) -> None:
    """Whoever opens a package reads there what `BELOW` allows, beside the ground."""
    text = ast.get_docstring(ast.parse((SHARED / package / "__init__.py").read_text("utf-8"))) or ""
    _, _, allowed = text.partition("May import: ")
    assert set(re.findall(r"`(\w+)`", allowed.partition(".")[0])) == BELOW[package]


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_modules_and_functions_are_short(path: Path) -> None:
    """A module has at most 300 lines, and a function fits a screen: under 50."""
    text = path.read_text("utf-8")
    assert len(text.splitlines()) <= 300
    functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)]
    lines = {node.name: (node.end_lineno or 0) - node.lineno + 1 for node in functions}
    assert [name for name, count in lines.items() if count >= 50] == []


def test_what_is_only_for_developers_stays_small() -> None:
    """`dev` and `bench` together have at most 8,500 lines of Python."""
    tools = [path for path in OURS if path.relative_to(ROOT).parts[0] in ("dev", "bench")]
    assert sum(len(path.read_text("utf-8").splitlines()) for path in tools) <= 8_500


@pytest.mark.parametrize("module", sorted(GROUND))
def test_the_ground_imports_nothing_of_ours(module: str) -> None:
    """Whatever stands on errors, log and loopback cannot stand beneath them as well."""
    assert not [name for name, _ in _imports(SHARED / f"{module}.py") if _is_in(name, "shared")]


def test_no_two_packages_import_each_other() -> None:
    """The list of the directions has no circle: a package stands in the list below all that it may import."""
    for place, package in enumerate(BELOW):
        assert BELOW[package] - {"identity", "settings"} <= set(list(BELOW)[:place])


def test_an_import_that_is_hidden_is_found(tmp_path: Path) -> None:
    """The walls see every form of an import, also within a function."""
    path = tmp_path / "module.py"
    path.write_text("import azure.identity\ndef f():\n    from azure import functions\n    from . import x\n")
    assert list(_imports(path)) == [
        ("azure.identity", 0),
        ("azure", 0),
        ("azure.functions", 0),
        ("", 1),
        ("None.x", 1),
    ]


def test_the_run_time_needs_four_packages() -> None:
    """What is asked for at run time is what the walls name, and nothing more."""
    wanted = [
        re.split(r"[<>=~! ]", line)[0]
        for line in (ROOT / "requirements.txt").read_text("utf-8").splitlines()
        if line and not line.startswith("#")
    ]
    assert sorted(wanted) == ["azure-data-tables", "azure-functions", "azure-identity", "requests"]
    assert {name.replace(".", "-") for name in ONLY_IN} == set(wanted)


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_only_the_composition_and_the_operator_know_the_webhook(path: Path) -> None:
    """The whole way of an alert is known in one place; no module below reaches back up to it."""
    if any(_is_in(module, "shared.webhook.receive") for module, _ in _imports(path)):
        assert _name(path) in MAY_IMPORT_RECEIVE


@pytest.mark.parametrize("path", SHIMS, ids=_name)
def test_a_function_folder_is_a_shim(path: Path) -> None:
    """A folder reads the request, calls one use case and renders: under 40 lines."""
    assert len(path.read_text("utf-8").splitlines()) < 40


@pytest.mark.parametrize("name", ["shared.table.azure", "shared.identity", "shared.clients.connections"])
def test_the_edges_are_where_they_are_said_to_be(name: str) -> None:
    """Each wall above has something behind it: the module it names does import its library."""
    behind = {package for package, modules in ONLY_IN.items() if name in modules}
    imported = {module for module, _ in _imports(ROOT / f"{name.replace('.', '/')}.py")}
    assert all(any(_is_in(module, package) for module in imported) for package in behind)
