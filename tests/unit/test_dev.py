"""The packages of `dev/`: what each says of itself, and what it imports of the others."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

DEV = Path(__file__).parents[2] / "dev"
MAY_IMPORT = {
    "stack": {"dev.setup", "dev.stack"},
    "simulator": {"dev.setup", "dev.stack", "dev.simulator"},
    "demo": {"dev.samples", "dev.stack", "dev.simulator", "dev.demo"},
}


def imported(package: str) -> Iterator[str]:
    """Yield every module of ours that a package imports, as `dev.stack`, `dev.setup`, `shared` or `tests`."""
    for path in (DEV / package).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            module = node.module or "" if isinstance(node, ast.ImportFrom) else ""
            names = (
                [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
            )
            for name in [f"{module}.{name}".strip(".") for name in names]:
                if name.partition(".")[0] in {"dev", "shared", "tests"}:
                    yield ".".join(name.split(".")[:2])


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_a_package_imports_only_what_it_may(package: str) -> None:
    """Stack, simulator and demo build on each other in this order; none knows the app or the tests."""
    assert set(imported(package)) <= MAY_IMPORT[package]


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_a_package_says_what_it_is_for_and_what_it_may_import(package: str) -> None:
    """A reader who opens the folder finds both in its first lines."""
    docstring = ast.get_docstring(ast.parse((DEV / package / "__init__.py").read_text("utf-8"))) or ""
    assert "May import" in docstring
    named = {each for each in MAY_IMPORT[package] if each != f"dev.{package}"}
    assert all(f"`{each}`" in docstring for each in named)
