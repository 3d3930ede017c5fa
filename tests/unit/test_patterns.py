"""No regular expression that reads what a sender wrote is slower than linear, whatever stands there."""

import ast
import importlib
import inspect
import re
from pathlib import Path

import pytest

from tests.checks import steps

ROOT = Path(__file__).parents[2]
WAYS = {
    "match": "match", "fullmatch": "fullmatch", "search": "every", "sub": "every", "subn": "every",
    "findall": "every", "finditer": "every", "split": "every",
}  # fmt: skip


def _used(path: Path) -> set[tuple[str, str, str]]:
    """Return the patterns that a module uses: the module that has it, its name, and how it is used."""
    here = _module(path)
    uses = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Attribute) and node.attr in WAYS:
            owner = node.value.func if isinstance(node.value, ast.Call) else node.value
            if isinstance(owner, ast.Name) and _pattern(here, owner.id):
                uses.add((here, owner.id, WAYS[node.attr]))
    return uses


def _module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def _pattern(module: str, name: str) -> "re.Pattern[str] | None":
    """Return a pattern of a module, or the one that a function of it without parameters gives."""
    value = getattr(importlib.import_module(module), name, None)
    inner = getattr(value, "__wrapped__", None)
    if inner is not None and inspect.signature(inner).return_annotation in (
        "re.Pattern[str]",
        re.Pattern[str],
    ):
        value = value() if callable(value) else None
    return value if isinstance(value, re.Pattern) and isinstance(value.pattern, str) else None


PATHS = [
    path for package in ("payload", "alerts") for path in sorted((ROOT / "shared" / package).glob("*.py"))
]
USES = sorted({use for path in PATHS for use in _used(path)})


def test_the_patterns_are_found() -> None:
    """The property is about something: every pattern that is compiled at a module's top is used and checked."""
    compiled = {
        (_module(path), target.id)
        for path in PATHS
        for node in ast.parse(path.read_text("utf-8")).body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name) and _pattern(_module(path), target.id)
    }
    assert len(compiled) > 20
    used = {(getattr(importlib.import_module(module), name)) for module, name, _ in USES}
    assert [name for name in sorted(compiled) if _pattern(*name) not in used] == []


@pytest.mark.parametrize(("module", "name", "way"), USES, ids=lambda part: str(part).removeprefix("shared."))
def test_a_pattern_takes_linear_steps(module: str, name: str, way: str) -> None:
    """Four times the text takes some four times the steps, for any repetition of the pattern's own characters."""
    pattern = _pattern(module, name)
    assert pattern
    assert steps.superlinear(pattern, way) is None


@pytest.mark.parametrize(
    ("pattern", "way"),
    [
        (r"(?:a+)+b", "match"),
        (r"(?:a|a)*b", "match"),
        (r"(?:a|aa)+$", "match"),
        (r"a*b", "every"),
        (r"\s+$", "every"),
        (r"<.*>", "every"),
        (r'"(?:[^"\\]|\\.)*"', "every"),
        (r"(.*),(.*),(.*)x", "fullmatch"),
    ],
)
def test_a_slow_pattern_is_noticed(pattern: str, way: str) -> None:
    """The property can fail: patterns that are known to be slow are found out."""
    assert steps.superlinear(re.compile(pattern), way)


@pytest.mark.parametrize(
    ("pattern", "way"),
    [
        (r"a++b", "match"),
        (r"<[^<>]*>", "every"),
        (r"[^a]*a", "match"),
        (r"(?:ab)*+c", "match"),
        (r"a{0,99}b", "every"),
    ],
)
def test_a_quick_pattern_is_none(pattern: str, way: str) -> None:
    """Its twin: what the engine reads once is linear."""
    assert steps.superlinear(re.compile(pattern), way) is None


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"(?:^|(?<=[\s,]))([A-Za-z_]\w{0,3})=", "a=1, bc=2"),
        (r'"((?:[^"\\]|\\.)*+)"(?=$|[\s,])', '"a\\"b" x'),
        (r"(?i)<T[dh]\b[^<>]*?>", "<td a><TH>"),
        (r"\bnil\b|[^\n]{0,3}\{", "nil ab{"),
        (r"(?!a)[a-c]+?d", "abcd"),
    ],
)
def test_the_counter_finds_what_the_engine_finds(pattern: str, text: str) -> None:
    """The walk over the parse tree means the same as the engine: where one matches, so does the other."""
    compiled = re.compile(pattern)
    counter = steps.Steps(compiled)
    for at in range(len(text) + 1):
        match = compiled.match(text, at)
        assert counter.end(text, at) == (match.end() if match else None)
