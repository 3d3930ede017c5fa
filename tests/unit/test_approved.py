"""Approved pairs: each real payload in `tests/mappings/` becomes what a person approved (`make approve`)."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from shared.mapping import mappings as mapping
from shared.mapping import own
from tests.checks import approve
from tests.checks.approve import Pair

OURS = mapping.load()
PAIRS = list(approve.pairs())


def _approved(name: str) -> list[dict[str, Any]]:
    """Return what is approved in the folder of a source."""
    return [json.loads(pair.expected()) for pair in PAIRS if pair.payload.parent.name == name]


def _orphans(folder: Path) -> list[Path]:
    """Return what is approved, or asked, of a payload that is not there."""
    known = {pair.approved for pair in approve.pairs(folder)}
    return [
        path
        for path in sorted(folder.glob("*/*"))
        if ".payload." not in path.name
        and path.with_name(path.name.replace(".query.json", ".approved.json")) not in known
    ]


@pytest.mark.parametrize("pair", PAIRS, ids=[pair.name for pair in PAIRS])
def test_the_payload_becomes_what_is_approved(pair: Pair) -> None:
    """What differs is either a mistake or to be reviewed and approved."""
    assert json.loads(approve.text(pair, OURS)) == json.loads(pair.expected() or "null")


def test_nothing_is_approved_of_payloads_that_are_gone() -> None:
    """A renamed payload takes its approved file along."""
    assert _orphans(approve.PAIRS) == []


@pytest.mark.parametrize("name", OURS.names())
def test_every_source_has_a_refused_pair_and_an_accepted_one(name: str) -> None:
    """Both ends of a source are held: what it raises, and what it refuses or, if Defender has it, ignores."""
    approved = [pair for pair in _approved(name) if name in str(pair.get("source")).split("+")]
    assert any(pair.get("refused") or pair.get("ignored") == own.DEFENDERS for pair in approved), name
    assert any(pair.get("alerts") for pair in approved), f"tests/mappings/{name}/ has no accepted pair"


@pytest.mark.parametrize("name", sorted(name for name, source in OURS.sources.items() if source.is_envelope))
def test_every_envelope_is_opened_by_a_pair(name: str) -> None:
    """An envelope's own folder shows how it is opened."""
    opened = f"opened: {OURS.sources[name].title}"
    assert any(opened in pair.get("steps", ()) for pair in _approved(name)), f"tests/mappings/{name}/"


def _folder(tmp_path: Path) -> Path:
    """Return a folder of pairs with one payload, and something that belongs to none."""
    pair = tmp_path / "acme"
    pair.mkdir()
    (pair / "one.payload.json").write_text('{"a": 1}', "utf-8")
    (pair / "one.query.json").write_text('{"severity": "High"}', "utf-8")
    (pair / "gone.approved.json").write_text("{}", "utf-8")
    return tmp_path


def test_approve_shows_and_writes_only_what_it_is_asked_to(tmp_path: Path) -> None:
    """Without a terminal and --all a difference is shown, counted and left; with --all it is written."""
    [pair] = approve.pairs(_folder(tmp_path))
    assert (pair.name, pair.query) == ("acme/one", {"severity": "High"})
    out = io.StringIO()
    assert approve.review([pair], OURS, Console(file=out), write_all=False) == 1
    assert "acme/one: new" in out.getvalue()
    assert not pair.approved.exists()
    assert approve.review([pair], OURS, Console(file=out), write_all=True) == 0
    assert json.loads(pair.expected())["refused"]
    assert approve.review([pair], OURS, Console(file=out), write_all=False) == 0
    assert [path.name for path in _orphans(tmp_path)] == ["gone.approved.json"]


def test_what_is_refused_as_a_whole_is_approved_too() -> None:
    """A body that is no JSON becomes its error."""
    assert approve.became(b"{", {}, OURS)["error"]["status"] == 400
