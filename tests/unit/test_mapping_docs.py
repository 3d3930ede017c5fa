"""What people are told of mappings is true: the guide's example, its tables, the schema, and `make map`."""

import io
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from jmespath.functions import Functions
from rich.console import Console

from dev import approve
from dev import map as tool
from shared.alerts import alert, vocabulary
from shared.mapping import expression, mapping_file
from shared.mapping import mappings as mapping
from shared.payload import body as payload

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "mappings.md").read_text("utf-8")
FOLDER = ROOT / "shared" / "mapping" / "sources"
SCHEMA = json.loads((FOLDER / "mapping.schema.json").read_text("utf-8"))
FILES = sorted(path for path in FOLDER.glob("*.json") if path.name != "mapping.schema.json")
CHECK = jsonschema.Draft202012Validator(SCHEMA)


def block(name: str) -> str:
    """Return the example of this name in the guide."""
    found = re.search(rf"^```json {name}\n(.*?)^```", GUIDE, re.DOTALL | re.MULTILINE)
    assert found
    return found[1]


def table(heading: str) -> set[str]:
    """Return what stands in backticks in the first column of a table of the guide, up to an opening bracket."""
    section = GUIDE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    cells = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`([^`(]+)(?:\([^`]*)?`", cell)}


def shown(*arguments: str, environ: dict[str, str] | None = None, terminal: bool = False) -> tuple[int, str]:
    """Run `make map` and return its exit code and what it prints."""
    out = io.StringIO()
    console = Console(
        file=out, force_terminal=terminal, width=200, highlight=False, _environ={"TERM": "xterm"}
    )
    return tool.main(arguments, environ or {}, console), out.getvalue()


@pytest.fixture
def example(tmp_path: Path) -> tuple[Path, Path]:
    """Write the guide's example down: the folder of mappings, and the payload."""
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "nightwatch.json").write_text(block("mapping"), "utf-8")
    (tmp_path / "payload.json").write_text(block("payload"), "utf-8")
    return folder, tmp_path / "payload.json"


def test_the_guides_example_is_what_make_map_shows(example: tuple[Path, Path]) -> None:
    """Every line that the guide shows is printed for the guide's own files."""
    folder, path = example
    code, out = shown(str(path), environ={"MAPPINGS_PATH": str(folder)})
    assert code == 0
    said = GUIDE.split("## 3. Look at it")[1].split("```")[3].strip().splitlines()
    lines = [" ".join(line.split()) for line in said if "…" not in line]
    assert len(lines) > 8
    printed = [" ".join(line.split()) for line in out.splitlines()]
    assert [line for line in lines if line not in printed] == []


def test_the_guides_example_ignores_and_refuses_as_it_says(example: tuple[Path, Path]) -> None:
    """The example's heartbeat is ignored, and a missing key is told with its own words."""
    mappings = mapping.load(example[0])
    assert mappings.broken == []
    posted = json.loads(block("payload"))
    assert approve.became(json.dumps({**posted, "kind": "heartbeat"}).encode(), {}, mappings)["ignored"]
    posted["hits"][0]["cols"][1] = "Nothing"
    [refused] = approve.became(json.dumps(posted).encode(), {}, mappings)["refused"]
    assert any(one.startswith("reportId: ") and "add ReportId to it" in one for one in refused["problems"])
    assert any(one.startswith("remedy: End the query with: | select") for one in refused["problems"])


def test_the_guide_has_every_entry_and_every_function() -> None:
    """Nothing that a file may say is left out, and nothing is told that there is not."""
    assert table("All entries") == set(mapping_file._ENTRIES)
    ours = set(expression._Functions.FUNCTION_TABLE) - set(Functions.FUNCTION_TABLE)
    assert table("Functions beyond JMESPath's own") == ours
    assert expression.__doc__
    assert set(re.findall(r"^    (\w+)\(", expression.__doc__, re.MULTILINE)) == ours


def test_the_schema_says_what_the_reader_takes() -> None:
    """Entries, fields and scales of the schema are those of the code."""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert set(SCHEMA["properties"]) == {"$schema", *mapping_file._ENTRIES}
    assert tuple(SCHEMA["$defs"]["field"]["enum"]) == alert.FIELDS
    scales = SCHEMA["$defs"]["candidate"]["oneOf"][1]["properties"]["scale"]["enum"]
    assert set(scales) == set(vocabulary.scales())
    assert SCHEMA["$defs"]["expression"]["oneOf"][0]["maxLength"] == expression.MAX_LENGTH


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_every_file_of_ours_keeps_to_the_schema(path: Path) -> None:
    """Our files are valid, and name the schema so that editors find it."""
    content = json.loads(path.read_text("utf-8"))
    assert [error.message for error in CHECK.iter_errors(content)] == []
    assert content["$schema"] == "mapping.schema.json"


@pytest.mark.parametrize(
    "content",
    [
        {"when": "a"},
        {"title": "x", "wen": "a"},
        {"title": "x", "priority": 101},
        {"title": "x", "fields": {"device": ["a"]}},
        {"title": "x", "fields": {"title": "a"}},
        {"title": "x", "fields": {"severity": [{"from": "a", "scale": "1-7"}]}},
        {"title": "x", "fields": {"title": [{"form": "a"}]}},
        {"title": "x", "refuse": [{"when": "a", "field": "x", "detail": "d"}]},
        {"title": "x", "ignore": [{"when": "a"}]},
        {"title": "x", "refusal": 422},
        {"title": "x", "exact": "yes"},
        {"title": ""},
        [],
    ],
)
def test_what_the_schema_refuses_the_reader_refuses(tmp_path: Path, content: Any) -> None:
    """An editor and the app find the same mistakes."""
    assert list(CHECK.iter_errors(content))
    (tmp_path / "x.json").write_text(json.dumps(content, indent=2), "utf-8")
    assert [one.field for one in mapping.load(tmp_path).broken] == ["x.json"]


def test_a_copy_of_the_schema_is_no_mapping(tmp_path: Path) -> None:
    """The schema may lie beside a user's files."""
    (tmp_path / "mapping.schema.json").write_text(json.dumps(SCHEMA), "utf-8")
    mappings = mapping.load(tmp_path)
    assert mappings.broken == []
    assert "mapping.schema" not in mappings.sources


def test_make_map_tells_refusals_and_their_remedy(tmp_path: Path) -> None:
    """A refusal is shown with its problems, and is an exit code of its own."""
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
    assert code == 1  # the generic mapping cannot know that cols are names
    assert "the request names generic" in out
    assert "\x1b[" in out
    assert "\x1b[" not in shown(path)[1]
    assert shown(path, "source=nobody")[0] == 2


def test_make_map_tells_what_it_cannot_read(tmp_path: Path) -> None:
    """No file, a missing one, or no JSON is told in a line; a broken mapping of the user's too."""
    assert "Name a payload" in shown()[1]
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
    assert "broken.json" in out
    assert "line 2" in out


def test_the_longest_payload_is_the_apps_own() -> None:
    """The tools read what the app reads by default."""
    assert payload.read(b" " * (approve.MAX_BYTES - 2) + b"{}", max_bytes=approve.MAX_BYTES) == [{}]
