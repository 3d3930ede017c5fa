"""Source files: each slip is shown with file, line and the nearest known entry; editors find the same by the schema."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.alerts import alert, vocabulary
from shared.mapping import clue_fields, conditions, source
from shared.mapping import mappings as mapping
from shared.payload import paths

FOLDER = Path(source.__file__).parent / "sources"
SCHEMA = json.loads((FOLDER / "source.schema.json").read_text("utf-8"))
FILES = sorted(path for path in FOLDER.glob("*.json") if path.name != "source.schema.json")
CHECK = jsonschema.Draft202012Validator(SCHEMA)
PATH, CONDITION, PLACE = (
    CHECK.evolve(schema={"$ref": f"#/$defs/{name}", "$defs": SCHEMA["$defs"]})
    for name in ("path", "condition", "placeText")
)
ANY_TEXT = st.text(alphabet="aB7.`/&=~!,@{} é\n", max_size=12)

SOUND: list[Any] = [
    {"title": "x"},
    {"title": ["two", "lines"], "$schema": "../source.schema.json", "priority": 0},
    {"title": "x", "recognise": "a", "alerts": "b", "not": "c", "envelope": "d", "status": 400},
    {"title": "x", "recognise": ["a.b & a.c = x, `y, z`", "!a ~ b", "/a = `&`", "`body/x`", "@type = y"]},
    {"title": "x", "recognise": [], "fields": {}, "footer": {}, "missing": {}},
    {"title": "x", "exact": True, "remedy": ["a", "b"], "missing": {"reportId": ["a", "b"]}},
    {"title": "x", "closed": {"where": "a", "reason": "b", "reply": {"c": "/d"}}},
    {
        "title": "x",
        "refuse": [{"where": ["a", "b"], "detail": "c"}, {"where": "a", "detail": "c", "field": "payload"}],
    },
    {"title": "x", "fields": dict.fromkeys((*alert.FIELDS, "device", "link"), "a")},
    {
        "title": "x",
        "fields": {"title": ["a", "{a.b} on {/c}", {"from": ["a", "/b"], "if": "c = d", "note": "n"}]},
    },
    {"title": "x", "fields": {"severity": {"from": "a", "scale": "0-10"}}},
    {"title": "x", "fields": {"severity": [{"from": "a", "words": {"3": "High"}}]}},
    {"title": "x", "footer": {"Back": ["a", {"from": "b", "if": "c"}]}},
]

SLIPS: list[tuple[Any, str]] = [
    ([], "line 1: a source file must be one object"),
    ({}, "line 1: title: must be a text"),
    ({"title": ""}, "line 2: title: must be a text"),
    ({"title": ["a", ""]}, "line 2: title: must be a text"),
    ({"title": 5}, "line 2: title: must be a text"),
    ({"title": "x", "recognize": "a"}, "line 3: there is no entry 'recognize'; did you mean 'recognise'?"),
    ({"title": "x", "feilds": {}}, "line 3: there is no entry 'feilds'; did you mean 'fields'?"),
    ({"title": "x", "zzz": 1}, "line 3: there is no entry 'zzz'; there are title, priority, recognise"),
    ({"title": "x", "extends": "splunk"}, "line 3: there is no entry 'extends'"),
    ({"title": "x", "priority": 101}, "line 3: priority: must be a whole number from 0 to 100"),
    ({"title": "x", "priority": True}, "line 3: priority: must be a whole number"),
    ({"title": "x", "priority": "50"}, "line 3: priority: must be a whole number"),
    ({"title": "x", "status": 422}, "line 3: status must be 400 or absent"),
    ({"title": "x", "exact": "yes"}, "exact must be true or false"),
    ({"title": "x", "recognise": 5}, "line 3: recognise: 5 is not a text"),
    ({"title": "x", "recognise": None}, "line 3: recognise: null is not a text"),
    ({"title": "x", "recognise": ["good", "a ="]}, "line 5: recognise: 'a =' has no value after ="),
    ({"title": "x", "recognise": ["a = b,"]}, "line 4: recognise: "),
    ({"title": "x", "recognise": ["a & "]}, "line 4: recognise: 'a & ' has nothing before or after a &"),
    ({"title": "x", "recognise": ["`a"]}, "line 4: recognise: '`a' has an open backtick"),
    (
        {"title": "x", "recognise": ["a..b"]},
        "line 4: recognise: 'a..b' is not a path: put single dots between names",
    ),
    ({"title": "x", "alerts": ["a", ".b"]}, "line 5: alerts: '.b' is not a path"),
    ({"title": "x", "alerts": "a[0]."}, "line 3: alerts: 'a[0].' is not a path"),
    ({"title": "x", "alerts": ["$"]}, "line 4: alerts: '$' is not a path: separate names with dots"),
    ({"title": "x", "not": {"a": "b"}}, 'line 3: not: {"a": "b"} is not a text'),
    (
        {"title": "x", "closed": [{"where": "a"}]},
        "line 3: closed: each entry must be an object with where and reason",
    ),
    ({"title": "x", "closed": "a"}, "line 3: closed: each entry must be an object"),
    (
        {"title": "x", "closed": [{"when": "a", "reason": "b"}]},
        "line 3: closed: each entry must be an object with where and",
    ),
    (
        {"title": "x", "closed": [{"where": "a", "reason": "b", "replay": {}}]},
        "line 7: closed: there is no entry 'replay'; did you mean 'reply'?",
    ),
    (
        {"title": "x", "closed": [{"where": "a", "reason": "b", "reply": {"c": "."}}]},
        "line 8: closed: '.' is not a path",
    ),
    ({"title": "x", "closed": [{"where": "a", "reason": "b", "reply": "c"}]}, "reply: must be an object"),
    (
        {"title": "x", "refuse": [{"where": "a", "field": "x", "detail": "d"}]},
        "line 6: refuse: there is no field 'x'",
    ),
    (
        {"title": "x", "refuse": [{"where": "a", "reason": "d"}]},
        "line 3: refuse: each entry must be an object with where and detail",
    ),
    ({"title": "x", "fields": []}, "line 3: fields: must be an object"),
    (
        {"title": "x", "fields": {"severty": "a"}},
        "line 4: fields: there is no entry 'severty'; did you mean 'severity'?",
    ),
    (
        {"title": "x", "fields": {"title": 5}},
        "line 4: title: a place is a path, a text with {path} in it, or an object",
    ),
    ({"title": "x", "fields": {"title": ["a", "b..c"]}}, "line 6: title: 'b..c' is not a path"),
    ({"title": "x", "fields": {"title": "{a} on {b..c}"}}, "line 4: title: 'b..c' is not a path"),
    ({"title": "x", "fields": {"title": "all of {}"}}, "line 4: title: '' is not a path"),
    ({"title": "x", "fields": {"title": [{"form": "a"}]}}, "line 4: title: a place is"),
    (
        {"title": "x", "fields": {"title": [{"from": "a", "iff": "b"}]}},
        "line 7: title: there is no entry 'iff'; did you mean 'if'?",
    ),
    (
        {"title": "x", "fields": {"title": [{"from": "a", "if": "b ~"}]}},
        "line 7: title: 'b ~' has no value after ~",
    ),
    (
        {"title": "x", "fields": {"severity": [{"from": "a", "scale": "1-7"}]}},
        "line 7: severity: there is no scale '1-7'; there are ",
    ),
    (
        {"title": "x", "fields": {"severity": [{"from": "a", "words": {"3": "Grave"}}]}},
        "line 7: severity: words must give one of Low, Medium, High",
    ),
    (
        {"title": "x", "fields": {"category": [{"from": "a", "scale": "0-10"}]}},
        "scale and words are allowed only for severity",
    ),
    ({"title": "x", "footer": ["a"]}, "line 3: footer: must be an object"),
    ({"title": "x", "footer": {"Back": "a."}}, "line 4: Back: 'a.' is not a path"),
    (
        {"title": "x", "missing": {"report": "y"}},
        "line 4: missing: there is no entry 'report'; did you mean 'reportId'?",
    ),
    ({"title": "x", "missing": {"reportId": 5}}, "line 4: reportId: must be a text"),
    ({"title": "x", "remedy": {}}, "line 3: remedy: must be a text"),
]


def read(folder: Path, content: Any) -> source.Source:
    """Write a file of the user's own, and read it."""
    text = content if isinstance(content, str) else json.dumps(content, indent=2, ensure_ascii=False)
    file = folder / "Acme.json"
    file.write_text(text, "utf-8")
    return source.read(file, ours=False)


def reported(folder: Path, content: Any) -> str:
    """Return what is said of a file that cannot be read."""
    with pytest.raises(ValueError, match=r"^line \d+: ") as caught:
        read(folder, content)
    return str(caught.value)


@pytest.mark.parametrize("content", SOUND)
def test_what_the_reader_takes_the_schema_takes(tmp_path: Path, content: Any) -> None:
    """A sound file is one to the app and to an editor."""
    assert read(tmp_path, content).name == "acme"
    assert [error.message for error in CHECK.iter_errors(content)] == []


@pytest.mark.parametrize(
    ("content", "expected"), SLIPS, ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_slip_is_reported_and_the_schema_finds_it(tmp_path: Path, content: Any, expected: str) -> None:
    """The app says the line, what is wrong and what was meant; an editor underlines the same file."""
    assert expected in reported(tmp_path, content)
    assert list(CHECK.iter_errors(content))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{\n  "title": "x",\n  "recognise" "y"\n}', "line 3: is not JSON: Expecting ':' delimiter"),
        ('{"title": "x",\n"alerts": "a",\n"alerts": "b"}', "the entry 'alerts' occurs twice"),
        ('{"title": "x", "fields": {"title": "a", "title": "b"}}', "the entry 'title' occurs twice"),
        ("", "line 1: is not JSON"),
    ],
)
def test_what_is_no_json_is_reported_with_its_line(tmp_path: Path, text: str, expected: str) -> None:
    """A comma too few is found by its line; an entry that is there twice would silently lose one."""
    assert expected in reported(tmp_path, text)


def test_another_encoding_is_reported_with_its_line(tmp_path: Path) -> None:
    """A file that an editor saved as Latin-1 says where; one with a byte order mark is read."""
    file = tmp_path / "acme.json"
    file.write_bytes('{\n"title": "Überwachung"}'.encode("latin-1"))
    with pytest.raises(ValueError, match="line 2: is not UTF-8"):
        source.read(file, ours=False)
    file.write_bytes('{"title": "Überwachung"}'.encode("utf-8-sig"))
    assert source.read(file, ours=False).title == "Überwachung"


def test_a_slip_is_reported_with_its_file(tmp_path: Path) -> None:
    """Of several files each broken one is reported by its name, and the sound ones are used."""
    (tmp_path / "one.json").write_text('{\n"title": "x",\n"recognize": "a"}', "utf-8")
    (tmp_path / "two.json").write_text("{", "utf-8")
    (tmp_path / "deep.json").write_text("[" * 100_000, "utf-8")
    (tmp_path / "three.json").write_text('{"title": "x"}', "utf-8")
    (tmp_path / "notes.txt").write_text("not a source", "utf-8")
    mappings = mapping.load(tmp_path)
    broken = {problem.field: problem.detail for problem in mappings.broken}
    assert set(broken) == {"one.json", "two.json", "deep.json"}
    assert broken["one.json"].startswith("line 3: there is no entry 'recognize'; did you mean 'recognise'?")
    assert "three" in mappings.names()


def test_a_copy_of_the_schema_is_no_source(tmp_path: Path) -> None:
    """The schema may lie beside a user's files."""
    (tmp_path / "source.schema.json").write_text(json.dumps(SCHEMA), "utf-8")
    mappings = mapping.load(tmp_path)
    assert mappings.broken == []
    assert "source.schema" not in mappings.sources


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_every_file_of_ours_keeps_to_the_schema(path: Path) -> None:
    """Our files are valid, and name the schema so that editors find it."""
    content = json.loads(path.read_text("utf-8"))
    assert [error.message for error in CHECK.iter_errors(content)] == []
    assert content["$schema"] == "source.schema.json"


def test_the_schema_says_what_the_reader_takes() -> None:
    """Entries, fields, scales and severities of the schema are those of the code, each with one sentence."""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert set(SCHEMA["properties"]) == set(source._ENTRIES)
    fields = (*alert.FIELDS, *clue_fields.READ_AS, "link")
    assert tuple(SCHEMA["properties"]["fields"]["properties"]) == fields
    assert tuple(SCHEMA["properties"]["missing"]["propertyNames"]["enum"]) == alert.FIELDS
    place = SCHEMA["$defs"]["placeOfSeverity"]["oneOf"][1]["properties"]
    assert tuple(place["scale"]["enum"]) == vocabulary.scales()
    assert tuple(place["words"]["additionalProperties"]["enum"]) == alert.SEVERITIES
    described = [*SCHEMA["properties"].values(), *SCHEMA["properties"]["fields"]["properties"].values()]
    assert all(entry["description"].endswith(".") for entry in described)


def test_the_docstring_names_every_entry() -> None:
    """The reader's own table of entries is complete."""
    assert source.__doc__
    lines = [line.split()[0] for line in source.__doc__.splitlines() if line.startswith("    ")]
    assert [name for name in source._ENTRIES if name != "$schema"] == lines


def _takes(reader: Any, text: str) -> bool:
    try:
        reader(text)
    except ValueError:
        return False
    return True


@given(ANY_TEXT)
def test_the_schema_reads_paths_as_the_reader_does(text: str) -> None:
    """Whatever is written for a path is one to both, or to none."""
    assert PATH.is_valid(text) == _takes(paths.path, text)


@given(ANY_TEXT)
def test_the_schema_reads_conditions_as_the_reader_does(text: str) -> None:
    """Whatever is written for a condition is one to both, or to none."""
    assert CONDITION.is_valid(text) == _takes(conditions.condition, text)


@given(ANY_TEXT)
def test_the_schema_reads_places_as_the_reader_does(text: str) -> None:
    """Whatever is written for a place is one to both, or to none."""
    assert PLACE.is_valid(text) == _takes(lambda written: source._place("title", written), text)
