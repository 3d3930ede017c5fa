"""What texts of a payload hold: JSON in every wrapping, assignments, lines, printed maps, cards, tables."""

import base64
import html
import json
import sys
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from shared.payload import texts

MACHINE, TIME, REPORT = (
    "5b0c1f7e9d3a48265c7e0f1b8d9a3c4e6f20718b",
    "2026-04-02T09:21:40.1234567Z",
    "638812093847261055",
)
ROW = {"DeviceId": MACHINE, "ReportId": REPORT, "Timestamp": TIME}
JSON = json.dumps(ROW)


@pytest.mark.parametrize(
    "text",
    [
        JSON,
        f"  {JSON}\n",
        json.dumps(ROW, indent=2),
        quote(JSON),
        quote_plus(JSON),
        html.escape(JSON),
        base64.b64encode(JSON.encode()).decode(),
        base64.b64encode(json.dumps(ROW, indent=2).encode()).decode(),
        repr(ROW),
    ],
)  # fmt: skip
def test_json_in_a_text_is_that_json(text: str) -> None:
    """Encoded in base64, a URL or HTML, or as Python prints it: the same object, to the digit."""
    assert texts.structured(text) == ROW


def test_a_list_and_a_string_in_json_are_opened_too() -> None:
    """An array is opened, also in base64; a string in a string is given as the string that it is."""
    assert texts.structured(json.dumps([ROW])) == [ROW]
    assert texts.structured(base64.b64encode(json.dumps([ROW]).encode()).decode()) == [ROW]
    assert texts.structured(json.dumps(JSON)) == JSON


def test_json_in_base64_may_be_a_string() -> None:
    """Base64 of a string that holds JSON is opened like base64 of the object itself."""
    assert texts.structured(base64.b64encode(json.dumps(JSON).encode()).decode()) == JSON


@pytest.mark.parametrize(
    "text",
    ["", "text", "5", "null", "true", "{", "[", '"', '{"a": 1} and more', "eyJ", "eyJhIjog", "%7B", "{'a'"],
)
def test_a_text_that_holds_nothing_is_none(text: str) -> None:
    """What is no object, list or string in JSON, or only a part of one, is a plain text."""
    assert texts.structured(text) is None


def test_a_contradiction_inside_a_text_is_no_reason_to_refuse() -> None:
    """A key that occurs twice with different values makes the text no JSON, and raises nothing."""
    assert texts.structured('{"a": 1, "a": 2}') is None
    assert texts.structured('{"a": NaN}') is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('1773216892, a="x y", b="c=\\"d\\"", e=5', {"a": "x y", "b": 'c="d"', "e": "5"}),
        (
            "src=10.0.0.1 msg=started a process \\= bad cs1=x",
            {"src": "10.0.0.1", "msg": "started a process = bad", "cs1": "x"},
        ),
        ("devTime=now\tusrName=joe bloggs\tn=1", {"devTime": "now", "usrName": "joe bloggs", "n": "1"}),
        ("CEF:0|v|p|1|id|name|5|a=1 b=2", {"a": "1", "b": "2"}),
        ("a=1, a=2, b=", {"a": ["1", "2"]}),
        ('a="open, b=1', {"a": '"open', "b": "1"}),
        ("nothing", {}),
        ("", {}),
    ],
)
def test_names_and_values_are_read_from_text(text: str, expected: dict[str, Any]) -> None:
    """Splunk's key="value", and the extensions of CEF and LEEF, whose values go on to the next name."""
    assert texts.assigned(text) == expected


@pytest.mark.parametrize(
    "text", ["a= " * 300_000, " a" * 400_000, 'a="' * 300_000, "x=\\" * 200_000, "a" * 1_000_000]
)
def test_text_made_to_be_slow_is_read_once(text: str) -> None:
    """No text makes the reading start over: at most a thousand values are taken."""
    values = texts.assigned(text).values()
    assert sum(len(value) if isinstance(value, list) else 1 for value in values) <= 1_000


def test_lines_of_a_text_are_read_also_from_one_line() -> None:
    """`x: 1` and `x = 1`, line by line or separated; a name that is there twice keeps both values."""
    assert texts.listed("a: 1; b c: 2, d = x=y") == {"a": "1", "b c": "2", "d": "x=y"}
    assert texts.listed("- a: `1`\na: 2\nnote") == {"a": ["1", "2"]}
    assert texts.listed("a=;b=2") == {}


@pytest.mark.parametrize(
    "text",
    [
        f"<13>Jul 19 host agent: {JSON} and so on",
        '{{"DeviceId"=>"{}", :ReportId=>"{}", "Timestamp" => "{}"}}'.format(*ROW.values()),
        '%{{"DeviceId" => "{}", "ReportId" => "{}", "Timestamp" => "{}"}}'.format(*ROW.values()),
        "{{ DeviceId: '{}', ReportId: '{}', Timestamp: '{}' }}".format(*ROW.values()),
        "Array\n(\n    [DeviceId] => {}\n    [ReportId] => {}\n    [Timestamp] => {}\n)\n".format(
            *ROW.values()
        ),
        f"@{{DeviceId={MACHINE}; ReportId={REPORT}; Timestamp={TIME}}}",
        f"{{DeviceId={MACHINE}, ReportId={REPORT}, Timestamp={TIME}}}",
        f"map[DeviceId:{MACHINE} ReportId:{REPORT} Timestamp:{TIME}]",
        f"Alert!\n* DeviceId: {MACHINE}\n* ReportId: {REPORT}\n* Timestamp: {TIME}\n",
        f"DeviceId={MACHINE} ReportId={REPORT} Timestamp={TIME}",
    ],
)
def test_a_log_line_and_a_printed_map_are_objects(text: str) -> None:
    """JSON within a line is read, and what PowerShell, Java, Go, Ruby, Elixir, JavaScript and PHP print of a map."""
    printed = texts.loose(text)
    assert {name: printed[name] for name in ROW} == ROW


@pytest.mark.parametrize(
    "text",
    [
        f"DeviceId,ReportId,Timestamp\n{MACHINE},{REPORT},{TIME}\n",
        f'"DeviceId","ReportId","Timestamp"\r\n"{MACHINE}","{REPORT}","{TIME}"\r\n',
        f"DeviceId;ReportId;Timestamp\n{MACHINE};{REPORT};{TIME}",
        f"DeviceId\tReportId\tTimestamp\n{MACHINE}\t{REPORT}\t{TIME}",
        f"| DeviceId | ReportId | Timestamp |\n|---|:---:|---|\n| `{MACHINE}` | {REPORT} | **{TIME}** |\n",
        f"<table><tr><th>{'<th>'.join(ROW)}</tr><tr><td>{MACHINE}</td><td><b>{REPORT}</b><td>{TIME}</tr></table>",
        f"||DeviceId||ReportId||Timestamp||\n|{MACHINE}|{REPORT}|{TIME}|\n",
        (
            f"\n{'DeviceId':40} {'ReportId':>18} Timestamp\n{'-' * 8:40} {'-' * 8:>18} ---------\n"
            f"{MACHINE} {REPORT} {TIME}\n"
        ),
        f'[{{"DeviceId"=>"{MACHINE}", "ReportId"=>"{REPORT}", "Timestamp"=>"{TIME}"}}]',
    ],
)
def test_a_table_in_a_text_is_rows(text: str) -> None:
    """CSV with any delimiter, Markdown, HTML, Jira's wiki and Format-Table: each row is an object under its header."""
    assert texts.loose(text) == [ROW]


@pytest.mark.parametrize("row", [f"{MACHINE}", f"{MACHINE} {REPORT} at {TIME}", f"  {MACHINE} x {REPORT}"])
def test_a_row_that_is_not_one_word_in_each_column_is_not_aligned(row: str) -> None:
    """Where a cell is empty or has a space in it, nothing tells where it ends: no such table is read."""
    header = f"{'DeviceId':40} {'ReportId':>8} Timestamp\n{'--------':40} {'--------':>8} ---------"
    assert not isinstance(texts.loose(f"{header}\n{row}\n"), list)


@pytest.mark.parametrize("span", ["colspan=2", "class='a' COLSPAN = '2' x='y'", 'colspan="2"'])
def test_a_cell_over_two_columns_shifts_none(span: str) -> None:
    """What stands behind it stays under its own header."""
    rows = f"<tr><th>A<th>B<th>DeviceId</tr><tr><td {span}>both</td><td>{MACHINE}</td></tr>"
    assert texts.loose(f"<table>{rows}</table>") == [{"A": "both", "B": "", "DeviceId": MACHINE}]


def test_lines_that_each_name_a_whole_reference_are_events() -> None:
    """Each is an object; if one of them lacks a key, nothing tells whose the others are, and they stay one text."""
    line = f"DeviceId: {MACHINE}, ReportId: {REPORT}, Timestamp: {TIME}"
    assert texts.loose(f"Two events:\n{line}\n{line}") == [ROW, ROW]
    assert isinstance(texts.loose(f"{line}\nDeviceId: {MACHINE}, ReportId: 7"), dict)
    assert isinstance(texts.loose(line), dict)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{a={b=1}, c=2}", {"a": "{", "b": "1", "c": "2"}),
        ("x=f(y) z=[1]", {"x": "f(y)", "z": "[1]"}),
        ("a=1}}}] b=2", {"a": "1", "b": "2"}),
    ],
)
def test_a_bracket_that_closes_what_is_around_is_no_part_of_a_value(
    text: str, expected: dict[str, Any]
) -> None:
    """One that a value has opened itself stays."""
    assert texts.assigned(text) == expected


def test_a_table_of_names_and_values_is_one_object() -> None:
    """Rows of two cells in HTML are a name and a value each."""
    rows = "".join(f"<tr><td>{name}:</td><td>{value}</td></tr>" for name, value in ROW.items())
    assert texts.loose(f"<p>New alert</p><TABLE>{rows}</TABLE>") == ROW


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a sentence, with a comma\nand another line",
        "one | two\nthree | four",
        "<p>Text</p>",
        "a, b\n1, 2",
    ],
)
def test_prose_is_no_table(text: str) -> None:
    """A text whose first line names nothing known is no table."""
    assert not isinstance(texts.loose(text), list)


def test_the_packed_form_has_three_parts() -> None:
    """`DeviceId|ReportId|Timestamp` is an object; what has not these three parts is left as it is."""
    assert texts.packed(f"{MACHINE} | {REPORT}|{TIME}") == ROW
    for text in ("a||t", "a|1", "a|1|t|more", "", "a| |t"):
        assert texts.packed(text) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("*Severity:*\nHigh", ("Severity", "High")),
        ("**Report Id**: 5", ("Report Id", "5")),
        ("*DeviceId*\n`abc`", ("DeviceId", "abc")),
        ("Device\npc-1", ("Device", "pc-1")),
        ("no header", None),
        ("", None),
        ("*bold*", None),
    ],
)
def test_a_field_of_a_chat_card_has_a_name_and_a_value(text: str, expected: Any) -> None:
    """The name stands in bold, or alone on the first line; the value below or behind it."""
    assert texts.headed(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("*Recon by whoami*\nmore", "Recon by whoami"),
        ("## Recon\n", "Recon"),
        ("\n\n- Recon [details](https://siem.contoso.example/1)", "Recon details"),
        ("Recon <https://siem.contoso.example|open>", "Recon"),
        ("", ""),
    ],
)
def test_a_headline_is_the_first_line_without_marks(text: str, expected: str) -> None:
    """A chat's marks and links are no part of a title."""
    assert texts.headline(text) == expected


def test_a_record_in_a_text_is_known_by_its_beginning() -> None:
    """JSON, also behind the head of a log line, is a record; prose is none."""
    assert all(map(texts.is_record, (JSON, f"[{JSON}]", f"<13>Jul 19 host: {JSON}", '"text"')))
    assert not any(map(texts.is_record, ("", "prose", "[INFO] prose", "a {b}", "x" * 400 + '{"a": 1}')))


def _columns(size: int) -> str:
    names = "DeviceId ReportId Timestamp " + "a " * size
    return "\n".join((names, "- " * (size + 2) + "--", "x " * (size + 3)))


LONG: dict[str, Callable[[int], str]] = {
    "an aligned table": _columns,
    "CSV": lambda size: "DeviceId,ReportId" + ",a" * size + "\n1,2" + ",x" * size,
    "bars": lambda size: "|DeviceId|ReportId" + "|a" * size + "|\n|1|2" + "|x" * size + "|",
    "assignments": lambda size: "DeviceId=1 " + "a={b=}}}} " * size,
    "lines of records": lambda size: "DeviceId=1, ReportId=2, Timestamp=3\n" * size,
    "HTML": lambda size: "<table><tr>" + "<td>DeviceId</td>" * size + "</tr></table>",
}


@pytest.mark.parametrize("shape", LONG)
def test_what_a_text_holds_is_read_in_linear_work(shape: str) -> None:
    """Four times the text makes some four times the calls, whatever stands in it."""

    def cost(size: int) -> int:
        calls: list[None] = []
        sys.setprofile(lambda *_: calls.append(None))
        try:
            texts.loose(LONG[shape](size))
        finally:
            sys.setprofile(None)
        return len(calls)

    assert 0 < cost(400) < 5 * cost(100)
