"""What the docs say of sources is true: the guide's example, its tables, and `make map`."""

import io
import json
import re
from pathlib import Path

import pytest
from rich.console import Console

from dev import map as tool
from dev import outcomes
from shared.mapping import mappings as mapping
from shared.mapping import source
from shared.mapping.conditions import condition
from shared.payload import body as payload
from tests.checks import approve

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "mappings.md").read_text("utf-8")


def block(name: str) -> str:
    """Return the example of this name in the guide."""
    match = re.search(rf"^```json {name}\n(.*?)^```", GUIDE, re.DOTALL | re.MULTILINE)
    assert match
    return match[1]


def section(heading: str) -> str:
    """Return what stands under a heading of the guide."""
    return GUIDE.split(f"\n## {heading}\n")[1].split("\n## ")[0]


def output(heading: str, number: int) -> list[str]:
    """Return the lines of an output that the guide shows under a heading, without those it leaves out."""
    blocks = re.findall(r"^```\n(.*?)^```$", section(heading), re.DOTALL | re.MULTILINE)
    return [" ".join(line.split()) for line in blocks[number].strip().splitlines() if "…" not in line]


def table(heading: str, first: str) -> list[str]:
    """Return what stands in backticks in the first column of the table whose header begins with a word."""
    rows = section(heading).split(f"| {first} |")[1].split("\n\n")[0]
    return re.findall(r"^\| `(.*?)` \|", rows, re.MULTILINE)


def shown(*arguments: str, environ: dict[str, str] | None = None, terminal: bool = False) -> tuple[int, str]:
    """Run `make map` and return its exit code and what it prints."""
    out = io.StringIO()
    console = Console(
        file=out, force_terminal=terminal, width=200, highlight=False, _environ={"TERM": "xterm"}
    )
    return tool.main(arguments, environ or {}, console), out.getvalue()


@pytest.fixture
def example(tmp_path: Path) -> tuple[Path, Path]:
    """Write the guide's example down: the folder of sources, and the payload."""
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "nightwatch.json").write_text(block("source"), "utf-8")
    (tmp_path / "payload.json").write_text(block("payload"), "utf-8")
    return folder, tmp_path / "payload.json"


def lines(out: str) -> list[str]:
    """Return the lines of an output without what only aligns them."""
    return [" ".join(line.split()) for line in out.splitlines()]


def test_the_guides_example_is_what_make_map_shows(example: tuple[Path, Path]) -> None:
    """Every line that the guide shows is printed for the guide's own files."""
    folder, path = example
    code, out = shown(str(path), environ={"MAPPINGS_PATH": str(folder)})
    assert code == 0
    expected = output("3. Try it", 1)
    assert len(expected) > 8
    assert [line for line in expected if line not in lines(out)] == []


def test_the_guides_file_is_worth_its_lines(example: tuple[Path, Path]) -> None:
    """Without the file the keys are found all the same, and the severity is not."""
    with_it, without = (
        approve.became(block("payload").encode(), {}, mapping.load(folder))["alerts"][0]["body"]
        for folder in (example[0], None)
    )
    assert [with_it[name] for name in ("machineId", "eventTime", "reportId")] == [
        without[name] for name in ("machineId", "eventTime", "reportId")
    ]
    assert (with_it["severity"], without["severity"]) == ("High", "Medium")
    assert with_it["description"].endswith("Nightwatch: https://nightwatch.contoso.example/d/4711")


def test_the_guides_pair_is_what_make_approve_writes(example: tuple[Path, Path]) -> None:
    """The lines that the guide shows of the approved file are in it."""
    became = approve.became(block("payload").encode(), {}, mapping.load(example[0]))
    written = lines(json.dumps(became, indent=2, ensure_ascii=False))
    expected = output("4. Use it", 0)
    assert len(expected) == 4
    assert [line for line in expected if line not in written] == []


def test_the_guides_example_ignores_and_refuses_as_it_says(example: tuple[Path, Path]) -> None:
    """The example's heartbeat is ignored, and a missing key is reported in its own words."""
    mappings = mapping.load(example[0])
    assert mappings.broken == []
    posted = json.loads(block("payload"))
    became = approve.became(json.dumps({**posted, "kind": "heartbeat"}).encode(), {}, mappings)
    assert became["ignored"] == "Nightwatch only says that it is alive."
    posted["hits"][0]["columns"][1] = "Nothing"
    [refused] = approve.became(json.dumps(posted).encode(), {}, mappings)["refused"]
    assert any(
        problem.startswith("reportId: ") and "add ReportId to it" in problem
        for problem in refused["problems"]
    )
    assert refused["remedy"].startswith("End the query with: | select")


def test_the_guide_has_every_entry() -> None:
    """Nothing that a file may say is left out, and nothing is listed that there is not."""
    assert table("All entries", "entry") == [name for name in source._ENTRIES if name != "$schema"]
    known = table("Paths, conditions, places", "in the object")
    assert known == ["from", "scale", "words", "if", "note"]
    for name in known:
        values = {"from": "a", "scale": "0-10", "words": {"3": "High"}, "if": "a", "note": "n"}
        assert source._place("severity", {"from": "a", name: values[name]})


def test_the_guides_conditions_are_some() -> None:
    """Each form of a condition that the guide shows can be read."""
    shown_there = table("Paths, conditions, places", "condition")
    assert len(shown_there) == 5
    assert all(condition(text).terms for text in shown_there)


def test_the_guides_slip_is_reported_so(example: tuple[Path, Path]) -> None:
    """A misspelt entry is reported in the words that the guide shows, and make map stops at it."""
    file = example[0] / "nightwatch.json"
    file.write_text(block("source").replace('"recognise"', '"recognize"'), "utf-8")
    code, out = shown(str(example[1]), environ={"MAPPINGS_PATH": str(example[0])})
    assert code == 1
    assert lines(out) == output("Mistakes that are reported", 0)


def test_a_path_that_finds_nothing_is_reported(example: tuple[Path, Path]) -> None:
    """A slip in a path would otherwise be silent: make map names the path, and nothing of a sound file."""
    file = example[0] / "nightwatch.json"
    environ = {"MAPPINGS_PATH": str(example[0])}
    file.write_text(block("source").replace("/rule.label", "/rule.lable"), "utf-8")
    reported = [
        line for line in shown(str(example[1]), environ=environ)[1].splitlines() if "/rule.lable" in line
    ]
    assert len(reported) == 1
    assert "title" in reported[0]
    assert "nothing" in reported[0]
    file.write_text(block("source"), "utf-8")
    assert "nothing" not in shown(str(example[1]), environ=environ)[1]


def test_a_place_that_only_some_events_lack_names_them(example: tuple[Path, Path], tmp_path: Path) -> None:
    """Of three events with a tactic each, one lacks it, then two, then all: the note says which, or nothing of them."""
    written = json.loads(block("source"))
    written["fields"]["category"] = "tactic"
    (example[0] / "nightwatch.json").write_text(json.dumps(written), "utf-8")
    posted = json.loads(block("payload"))
    hits = []
    for number in range(3):
        hit = json.loads(json.dumps(posted["hits"][0]))
        hit["rows"][0][1] = str(20_776 + number)
        hits.append({**hit, "tactic": "Execution"})
    path = tmp_path / "p.json"
    words = []
    for lacking in (1, 2, 0):
        del hits[lacking]["tactic"]
        path.write_text(json.dumps({**posted, "hits": hits}), "utf-8")
        out = shown(str(path), environ={"MAPPINGS_PATH": str(example[0])})[1]
        words += [line.partition("category:")[0] for line in out.splitlines() if "nothing was found" in line]
    assert words == ["→ event 1: ", "→ events 1, 2: ", "→ "]


def test_a_file_that_does_not_recognise_the_payload_is_reported(example: tuple[Path, Path]) -> None:
    """Of the user's own files the one that did not fit is reported; a file of ours is not."""
    file = example[0] / "nightwatch.json"
    file.write_text(block("source").replace("product = nightwatch", "product = nightwach"), "utf-8")
    code, out = shown(str(example[1]), environ={"MAPPINGS_PATH": str(example[0])})
    assert code == 0
    assert "read as generic" in out
    assert "nightwatch (yours) does not recognise it" in out
    assert "splunk" not in out


def test_make_map_shows_what_is_refused_and_the_remedy(tmp_path: Path) -> None:
    """A refused event is shown with its problems, and is an exit code of its own."""
    (tmp_path / "p.json").write_text('{"alert": {"name": "N"}, "AgentId": "x", "y": 1}', "utf-8")
    code, out = shown(str(tmp_path / "p.json"))
    assert code == 1
    assert "event 0 refused" in out
    assert "  machineId  is missing." in out
    assert "AgentId is the agent id of another product" in out
    assert "tostring(ReportId)" in out
    assert out.rstrip().endswith("0 to raise, 1 refused")


def test_make_map_reads_parameters_and_is_coloured_on_a_terminal(example: tuple[Path, Path]) -> None:
    """SOURCE and the URL's parameters count as they do for the webhook; colours only where they can be seen."""
    path = str(example[1])
    code, out = shown(path, "source=generic", "severity=Low", "recommendedAction=Call.", terminal=True)
    assert code == 0
    assert "the request names generic" in out
    assert "Call." in out
    assert "\x1b[" in out
    assert "\x1b[" not in shown(path)[1]
    assert shown(path, "source=nobody")[0] == 2


def test_make_map_tells_what_it_cannot_read(tmp_path: Path) -> None:
    """No file, a missing one, or no JSON is reported in a line; at a broken file of the user's it stops."""
    for without in ((), ("--help",)):
        assert "Name a payload" in shown(*without)[1]
    assert shown(str(tmp_path / "none.json"))[0] == 2
    (tmp_path / "p.json").write_text("{", "utf-8")
    code, out = shown(str(tmp_path / "p.json"))
    assert code == 2
    assert out.startswith("400 The body ends in the middle")
    (tmp_path / "p.json").write_text("{}", "utf-8")
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "broken.json").write_text('{\n"title": 5}', "utf-8")
    code, out = shown(str(tmp_path / "p.json"), environ={"MAPPINGS_PATH": str(folder)})
    assert code == 1
    assert lines(out) == ["broken.json line 2: title: must be a text, or a list of lines"]


def test_the_longest_payload_is_the_apps_own() -> None:
    """The tools read what the app reads by default."""
    assert payload.read(b" " * (outcomes.MAX_BYTES - 2) + b"{}", max_bytes=outcomes.MAX_BYTES) == [{}]
