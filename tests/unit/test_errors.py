"""The error tree: complete, drawn as it is, and each error used for what it is."""

import importlib
import pkgutil
import re
from pathlib import Path

import shared
from shared import errors
from shared.errors import WebhookError

ROOT = Path(__file__).parents[2]
_DRAWN = re.compile(r"^[│├└─ ]*(\w+) +(\d{3}|none) +([a-z-]+) +\S", re.MULTILINE)


def _errors() -> list[type[Exception]]:
    """Return every error of the app that another module may see."""
    kinds = []
    for module in pkgutil.walk_packages(shared.__path__, "shared."):
        for name, value in vars(importlib.import_module(module.name)).items():
            ours = (
                isinstance(value, type) and issubclass(value, Exception) and value.__module__ == module.name
            )
            if ours and not name.startswith("_"):
                kinds.append(value)
    return kinds


def test_the_tree_shows_every_error_with_its_status_and_type() -> None:
    """Whoever adds an error draws it; what is drawn is what is answered."""
    drawn = {name: (status, slug) for name, status, slug in _DRAWN.findall(errors.__doc__ or "")}
    expected = {
        error.__name__: (str(error.status), error.slug)
        if issubclass(error, WebhookError)
        else ("none", "none")
        for error in _errors()
    }
    assert drawn == expected


def test_errors_that_are_answered_stand_in_one_module() -> None:
    """The tree can be read in one place; types are not shared by two errors."""
    answered = [error for error in _errors() if issubclass(error, WebhookError)]
    assert {error.__module__ for error in answered} == {"shared.errors"}
    slugs = [error.slug for error in answered]
    assert len(slugs) == len(set(slugs))


def test_the_drawing_has_the_shape_of_the_tree() -> None:
    """Each error is drawn below the one that it is a kind of."""
    above = ["WebhookError"]
    for line in (errors.__doc__ or "").splitlines():
        if match := re.match(r"^([│├└─ ]+)(\w+) +\d{3} ", line):
            depth, name = len(match[1]) // 4, match[2]
            above[depth:] = [name]
            assert [base.__name__ for base in getattr(errors, name).__bases__] == [above[depth - 1]]


def test_every_trouble_of_the_table_says_when_to_come_back() -> None:
    """503 and `Retry-After`, whichever it is."""
    kinds = [error for error in _errors() if issubclass(error, errors.TableError)]
    assert len(kinds) == 7
    for kind in kinds:
        error = kind("x")
        assert (error.status, bool(error.retry_after)) == (503, True)


def test_the_operators_page_explains_every_code_of_ours() -> None:
    """Each code that an alert fails with, and each 503 of the table, stands in the table that says what to do."""
    page = (ROOT / "docs" / "operations.md").read_text("utf-8")
    explained = page.partition("## What each state means")[2].partition("## Logs")[0]
    modules = (
        "clients/answer",
        "clients/call",
        "clients/create_alert",
        "ledger/settlement",
        "sending/entity",
    )
    sources = [ROOT / "shared" / f"{module}.py" for module in (*modules, "web/hints")]
    text = "\n".join(path.read_text("utf-8") for path in sources)
    codes = set(re.findall(r'"((?:[A-Z][a-z]+){2,}|Timeout|Redirect)"', text))
    assert {"NoAlert", "AnswerLost", "AnswerUnknown", "AlertUnreadable", "EventNotFound"} <= codes
    codes |= {error.slug for error in errors.TableError.__subclasses__()}
    assert not {code for code in codes if f"`{code}`" not in explained}
