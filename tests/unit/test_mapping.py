"""Payloads become alerts by data files: recognised, opened, mapped to the digit, or refused with the remedy."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import errors
from shared.alerts import alert
from shared.mapping import mappings as mapping
from shared.mapping.mappings import Mappings
from shared.mapping.outcome import Mapped, Outcome
from shared.payload import body as payload
from shared.payload.body import Number

MACHINE, TIME, REPORT = (
    "3d583074bdc1fb8ec27a43da2c777b684b0f535b",
    "2026-07-19T14:55:51.5813247Z",
    639199803770463714,
)
BODY = {
    "machineId": MACHINE,
    "eventTime": TIME,
    "reportId": str(REPORT),
    "severity": "High",
    "category": "Malware",
    "title": "A title",
    "description": "A description",
    "recommendedAction": "An action",
}
ROW = {
    "DeviceId": MACHINE,
    "Timestamp": TIME,
    "ReportId": REPORT,
    "ActionType": "ProcessCreated",
    "DeviceName": "pc-1.example",
    "FileName": "whoami.exe",
    "ProcessCommandLine": "whoami /all",
    "AdditionalFields": '{"a": 1}',
}
RECORD = {
    "time": "2026-07-19T15:02:20.5690830Z",
    "tenantId": "d3d83df2-b7d4-5543-a795-8f21d3b8ee63",
    "operationName": "Publish",
    "category": "AdvancedHunting-DeviceProcessEvents",
    "properties": ROW,
}
OURS = mapping.load()


def apply(value: Any, *, mappings: Mappings = OURS, source: str | None = None, **defaults: str) -> Outcome:
    """Read and map a value as it would arrive; its numbers are those of the JSON text."""
    body = value.encode() if isinstance(value, str) else json.dumps(value).encode()
    documents = payload.read(body, max_bytes=1_048_576)
    return mappings.apply(documents, source=source, defaults=defaults, max_alerts=100)


def only(outcome: Outcome) -> Mapped:
    """Return the one alert of an outcome without refused events."""
    assert outcome.refused == ()
    assert outcome.ignored is None
    [mapped] = outcome.alerts
    return mapped


def refused(outcome: Outcome, event: int = 0) -> dict[str, str]:
    """Return the problems of one refused event by field; no field has two."""
    [problems] = [item.problems for item in outcome.refused if item.event == event]
    details = {problem.field: problem.detail for problem in problems}
    assert len(details) == len(problems)
    return details


def remedy(outcome: Outcome, event: int = 0) -> str:
    """Return the remedy of one refused event."""
    [found] = [item.remedy for item in outcome.refused if item.event == event]
    return found


def keys(mapped: Mapped) -> tuple[str, str, str]:
    """Return what names the event."""
    return mapped.alert.machine_id, mapped.alert.event_time, mapped.alert.report_id


def flat(value: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return an object with dotted keys, as Splunk extracts it; all values are text."""
    values: dict[str, Any] = {}
    for name, inner in value.items():
        values |= flat(inner, f"{prefix}{name}.") if isinstance(inner, dict) else {prefix + name: str(inner)}
    return values


def splunk(result: dict[str, Any]) -> dict[str, Any]:
    """Return what Splunk's webhook alert action posts."""
    return {
        "result": result,
        "sid": "scheduler__1",
        "results_link": "https://splunk.example/app/search/@go?sid=1",
        "search_name": "Recon by whoami",
        "owner": "admin",
        "app": "search",
    }


# ── the four sources ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "posted",
    [
        BODY,
        [BODY],
        {"body": BODY},
        {"Body": [BODY]},
        {"body": json.dumps(BODY)},
        {"records": [{"body": BODY}]},
        json.dumps(json.dumps(json.dumps(BODY))),
        dict(reversed(BODY.items())),
    ],
)
def test_the_eight_fields_pass_through_every_wrapper(posted: Any) -> None:
    """Fields by the API's names are sent as they came: bare, in arrays, bodies, strings, in any order."""
    outcome = apply(posted)
    assert outcome.source == "defender"
    assert only(outcome).alert.body() == BODY
    assert only(outcome).notes == ()


def test_a_native_body_has_nothing_made_up() -> None:
    """A sender that builds the body itself learns of every field it forgot, and where to take the keys from."""
    problems = refused(apply({"machineId": MACHINE}))
    assert set(problems) == set(alert.FIELDS) - {"machineId"}
    assert "tostring(ReportId)" in problems["reportId"]


@pytest.mark.parametrize("name", alert.FIELDS)
@pytest.mark.parametrize("left", [None, "", "missing"])
def test_each_field_of_a_native_body_is_needed(name: str, left: str | None) -> None:
    """What is missing, null or empty is refused by its name, and nothing else with it."""
    body = {key: value for key, value in BODY.items() if key != name}
    assert set(refused(apply(body if left == "missing" else body | {name: left}))) == {name}


def test_a_native_body_may_use_other_names() -> None:
    """The texts are found under the names that products give them."""
    body = {key: value for key, value in BODY.items() if key not in ("severity", "title")}
    assert only(apply(body | {"sev": "High", "alertName": "Encoded PowerShell"})).alert.severity == "High"


@pytest.mark.parametrize(
    ("source", "posted"),
    [
        ("defender-streaming", RECORD),
        ("defender-streaming", [RECORD]),
        ("defender-streaming", {"records": [RECORD]}),
        ("defender-streaming", {"records": json.dumps([RECORD])}),
        ("defender-streaming", {"body": RECORD, "x-opt-offset": "1", "x-opt-enqueued-time": 1657198004612}),
        ("defender-streaming", {"body": {"records": [{"body": json.dumps(RECORD)}]}}),
        ("defender-streaming", {**RECORD, "properties": json.dumps(ROW)}),
        ("defender-streaming", {"properties": ROW}),
        ("advanced-hunting", ROW),
        ("advanced-hunting", {**ROW, "category": "DeviceProcessEvents", "Tenant": "x"}),
        (
            "advanced-hunting",
            {"Schema": [{"Name": "DeviceId", "Type": "String"}], "Results": [ROW], "Stats": {}},
        ),
        ("advanced-hunting", {"@odata.context": "x", "schema": [{"name": "a"}], "results": [ROW]}),
        ("advanced-hunting", {"results": [ROW]}),
        ("advanced-hunting", {"body": {"value": {**ROW, "ReportId@odata.type": "#Int64"}}}),
        (
            "advanced-hunting",
            {"DeviceProcessEvents": {**ROW, "DeviceId1": "x", "Timestamp2": "2020-01-01T00:00:00Z", "rn": 1}},
        ),
        ("splunk", splunk({**ROW, "_time": "1657198004"})),
        ("splunk", splunk(flat(ROW))),
        ("splunk", splunk(flat(RECORD))),
        ("splunk", splunk(flat({"body": RECORD}))),
        ("splunk", splunk({"_raw": json.dumps(RECORD), "_time": "1657198004", "host": "x"})),
        ("splunk", splunk({"_raw": json.dumps({"body": RECORD})})),
        ("splunk", splunk({"_raw": json.dumps(ROW)})),
        ("splunk", {"_raw": json.dumps(RECORD), "_time": "2026-07-19T14:55:51.000+00:00", "sourcetype": "x"}),
        ("splunk", flat(RECORD)),
    ],
)
def test_events_of_defender_are_found_to_the_digit(source: str, posted: Any) -> None:
    """Wherever a Device* event stands, its three keys arrive byte by byte, with useful texts beside."""
    outcome = apply(posted)
    mapped = only(outcome)
    assert outcome.source == source
    assert keys(mapped) == (MACHINE, TIME, str(REPORT))
    assert not mapped.time_truncated
    assert mapped.alert.severity == "Medium"
    assert mapped.alert.category == "SuspiciousActivity"
    for part in ("ProcessCreated", "pc-1.example", TIME, "whoami /all"):
        assert part in mapped.alert.description
    assert all(part not in mapped.alert.title for part in (MACHINE, TIME, str(REPORT), "pc-1"))
    assert set(mapped.origins) == set(alert.FIELDS)


def test_defaults_say_that_they_are_defaults() -> None:
    """A severity and a category that no payload named are noted; the query string's are not."""
    assert len([note for note in only(apply(RECORD)).notes if "the payload has none" in note]) == 2
    named = only(apply(RECORD, severity="critical", category="TA0002", title="T", description="D"))
    assert named.notes == ("severity: critical became High", "category: TA0002 became Execution")
    assert (named.alert.severity, named.alert.category, named.alert.title) == ("High", "Execution", "T")
    assert named.alert.description.startswith("D\n\nSeverity at the source: critical\nEvent: ")
    assert named.origins["title"] == "the request's parameter"


def test_defaults_never_replace_what_the_payload_says() -> None:
    """The query string fills gaps only."""
    assert only(apply(BODY, severity="Low", title="Other", description="Other")).alert.body() == BODY


def test_defaults_are_checked_the_same_way() -> None:
    """A default Defender would not take is a problem of its field."""
    assert set(refused(apply(RECORD, severity="weird", title="\x00"))) == {"severity", "title"}


def test_splunk_names_the_alert_after_the_search_and_links_back() -> None:
    """Title is the search's name; the description ends with the way back to Splunk."""
    mapped = only(apply(splunk({**ROW, "urgency": "critical"})))
    assert mapped.alert.title == "Recon by whoami"
    assert mapped.alert.severity == "High"
    assert mapped.alert.description.endswith("Splunk results: https://splunk.example/app/search/@go?sid=1")
    assert "Severity at the source: critical" in mapped.alert.description


def test_the_exact_time_wins_over_its_truncated_copy() -> None:
    """Where _raw carries the same event with more digits in its time, that one is taken; another event is reported."""
    cut = {**ROW, "Timestamp": TIME[:23] + "Z"}
    assert keys(only(apply(splunk({**cut, "_raw": json.dumps(RECORD)})))) == (MACHINE, TIME, str(REPORT))
    other = {**RECORD, "properties": {**ROW, "ReportId": 1}}
    problems = refused(apply(splunk({**cut, "_raw": json.dumps(other)})))
    assert '"1" at result._raw.properties.ReportId' in problems["reportId"]
    assert f'"{REPORT}" at result.ReportId' in problems["reportId"]


def test_a_severity_nobody_knows_does_not_cost_the_alert() -> None:
    """A source's own severity that we cannot read is noted, and the default taken."""
    mapped = only(apply(splunk({**ROW, "severity": "weird"})))
    assert mapped.alert.severity == "Medium"
    assert 'severity: "weird" is not a known severity' in mapped.notes


def test_what_a_hunting_row_lacks_is_named_with_the_remedy() -> None:
    """A row without its keys names those missing, and gives the KQL that keeps them."""
    outcome = apply({"Schema": [], "Results": [{"Timestamp": TIME, "FileName": "x"}, ROW]})
    assert set(refused(outcome)) == {"machineId", "reportId"}
    assert "tostring(ReportId)" in remedy(outcome)


def test_what_a_splunk_search_lacks_is_named_with_the_remedy() -> None:
    """A search that counted its events away is answered with the SPL that keeps them."""
    outcome = apply(splunk({"count": "8", "sourcetype": "x"}))
    assert set(refused(outcome)) == {"machineId", "eventTime", "reportId"}
    assert "| table DeviceId ReportId Timestamp" in remedy(outcome)


@pytest.mark.parametrize(
    ("table", "properties", "expected"),
    [
        ("EmailEvents", {"ReportId": "9b2f7f3e-6b1c-4d6e-8f5a-0c1d2e3f4a5b-1-2", "Timestamp": TIME}, "email"),
        (
            "IdentityLogonEvents",
            {"ReportId": "9b2f7f3e-6b1c-4d6e-8f5a-0c1d2e3f4a5b", "Timestamp": TIME},
            "identity",
        ),
        ("CloudAppEvents", {"ReportId": "1_2_3", "Timestamp": TIME}, "cloud app"),
        ("AlertEvidence", {"DeviceId": MACHINE, "Timestamp": TIME}, "AlertEvidence"),
    ],
)
def test_tables_without_endpoint_events_are_refused_by_name(
    table: str, properties: Any, expected: str
) -> None:
    """Rows whose ReportId is no endpoint event are refused for that reason, without a remedy that is none."""
    outcome = apply({**RECORD, "category": f"AdvancedHunting-{table}", "properties": properties})
    assert expected in refused(outcome)["reportId"]
    assert remedy(outcome) == ""


# ── opening and recognising ────────────────────────────────────────────────────────────────────────────────


def test_events_are_counted_over_the_whole_delivery() -> None:
    """Documents, arrays, envelopes and rows are numbered in their order, accepted or not."""
    outcome = apply(
        json.dumps([BODY, {"nothing": 1}])
        + json.dumps({"records": [RECORD, 5, {**RECORD, "properties": {}}]})
    )
    assert outcome.source == "defender+generic+defender-streaming"
    assert [mapped.event for mapped in outcome.alerts] == [0, 2]
    assert [item.event for item in outcome.refused] == [1, 3, 4]


@pytest.mark.parametrize("nothing", [[], {"records": []}, {"Schema": [], "Results": []}, {"body": []}])
def test_a_payload_without_an_event_is_ignored(nothing: Any) -> None:
    """A hunting query without rows raises nothing, and that is no error."""
    outcome = apply(nothing)
    assert outcome.ignored
    assert not outcome.alerts
    assert not outcome.refused


@pytest.mark.parametrize("strange", [{}, {"a": 1}, {"a": {"b": [{"c": None}]}}, [[[]], {}]])
def test_an_unknown_payload_without_the_keys_is_answered_with_all_three_and_the_remedy(strange: Any) -> None:
    """What carries no key is refused with the query that fetches them."""
    outcome = apply(strange)
    assert outcome.source == "generic"
    assert set(refused(outcome)) == {"machineId", "eventTime", "reportId"}
    assert "ReportId = tostring(ReportId), Timestamp = tostring(Timestamp)" in remedy(outcome)


@pytest.mark.parametrize("strange", [5, '"text"', True, None, [5, 6], [[5]]])
def test_what_is_no_event_is_refused_with_the_fields(strange: Any) -> None:
    """A payload that is not even an object is refused; the answer names what an event is made of."""
    outcome = apply(strange)
    assert outcome.source is None
    assert all(", ".join(alert.FIELDS) in item.problems[0].detail for item in outcome.refused)
    assert outcome.refused


def test_a_named_source_is_used_inside_its_envelopes() -> None:
    """`source` decides, but an envelope around it is still opened."""
    row = {"DeviceId": MACHINE, "ReportId": REPORT, "Timestamp": TIME, "search_name": "S"}
    assert apply(row).source == "advanced-hunting"
    for posted in (row, [row], {"body": row}):
        outcome = apply(posted, source=" Splunk ")
        assert outcome.source == "splunk"
        assert only(outcome).alert.title == "S"


def test_an_unknown_source_is_answered_with_the_known_ones() -> None:
    """A typing error in `source` is a 400 that names what it may be."""
    with pytest.raises(errors.RequestError, match=r'"splank".*splunk'):
        apply(BODY, source="splank")


def test_too_many_events_are_too_large() -> None:
    """The 101st event refuses the delivery as a whole: half of it would be worse."""
    assert len(apply([BODY] * 100).alerts) == 100
    for posted in (
        [BODY] * 101,
        {"records": [RECORD] * 101},
        {"Schema": [], "Results": [ROW] * 101},
        [5] * 101,
    ):
        with pytest.raises(errors.PayloadTooLarge):
            apply(posted)


@pytest.mark.parametrize(
    "pathological",
    [
        "[" + "[]," * 300_000 + "[]]",
        '{"schema": [], "results": [' + "{}," * 300_000 + "{}]}",
        '{"sid": 1, "result": {' + ",".join(f'"a.b{n}.c.d": 1' for n in range(50_000)) + "}}",
        '{"DeviceId": 1, "Timestamp": 2,'
        + ",".join(f'"{n}": {{"ReportId": 1}}' for n in range(40_000))
        + "}",
        json.dumps({"body": [{"body": [{"body": [{"body": []}] * 20}] * 20}] * 20}),
        json.dumps({"machineId": [str(n) for n in range(90_000)]}),
        json.dumps(BODY | {"title": "x" * 1_000_000}),
        "[" * 60 + "]" * 60,
    ],
)
def test_pathological_payloads_end_in_bounded_work(pathological: str) -> None:
    """A megabyte made to cost much is an outcome of at most 100 events, or a 413."""
    try:
        outcome = apply(pathological)
    except errors.PayloadTooLarge:
        return
    assert len(outcome.alerts) + len(outcome.refused) <= 100


WRAPPERS = (
    "records body Body result results Results schema Schema _raw sid search_name properties.DeviceId a.b"
)
NAMES = [*BODY, *ROW, *RECORD, *WRAPPERS.split(), ""]
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.sampled_from(
        ["", "High", MACHINE, TIME, "AdvancedHunting-DeviceEvents", "Publish", "\ud800", "[", '"{}"', "NaN"]
    )
    | st.integers().map(Number)
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(NAMES),
            inner,
            max_size=5,
        )
        | inner.map(json.dumps)
    ),
    max_leaves=15,
)


@given(st.lists(JSON, min_size=1, max_size=3), st.sampled_from([None, *OURS.names()]))
def test_any_json_is_an_outcome_or_too_large(documents: list[Any], source: str | None) -> None:
    """Whatever is posted is mapped, refused or ignored; what is said can be sent and stored."""
    try:
        outcome = OURS.apply(documents, source=source, defaults={"title": "T"}, max_alerts=10)
    except errors.PayloadTooLarge:
        return
    assert bool(outcome.alerts or outcome.refused) != bool(outcome.ignored)
    for mapped in outcome.alerts:
        assert alert.check(mapped.alert.body()).alert == mapped.alert
    for text in (
        *(note for mapped in outcome.alerts for note in mapped.notes),
        *(problem.detail for item in outcome.refused for problem in item.problems),
    ):
        assert text.encode()
    events = [item.event for item in outcome.alerts] + [item.event for item in outcome.refused]
    assert len(set(events)) == len(events)


@given(st.permutations(list(ROW)), st.permutations(list(RECORD)))
def test_the_order_of_keys_is_irrelevant(row: list[str], record: list[str]) -> None:
    """The same payload with its keys in another order gives the same outcome."""
    shuffled = {name: RECORD[name] for name in record} | {"properties": {name: ROW[name] for name in row}}
    for build in (
        lambda value: value,
        lambda value: splunk({"_raw": json.dumps(value)}),
        lambda value: value["properties"],
    ):
        assert apply(build(shuffled)) == apply(build(RECORD))


# ── source files ───────────────────────────────────────────────────────────────────────────────────────────


def test_every_file_of_ours_is_sound() -> None:
    """Our files are read, and checked, whole."""
    assert OURS.broken == []
    assert len(OURS.names()) > 20


def write(folder: Path, name: str, content: Any) -> None:
    """Write a source file of the user's own."""
    text = content if isinstance(content, str) else json.dumps(content, indent=2)
    (folder / f"{name}.json").write_text(text, encoding="utf-8")


ACME = {
    "$schema": "anything",
    "title": "Acme SIEM",
    "priority": 95,
    "recognise": "vendor = acme",
    "alerts": "alarms",
    "closed": [
        {"where": "/mode = trial", "reason": "a test", "reply": {"answer": "/code"}},
        {"where": "done = true", "reason": "done already"},
    ],
    "refuse": [{"where": "kind = mail", "field": "reportId", "detail": ["two", "lines"]}],
    "fields": {
        "machineId": ["none", "ids.unit"],
        "eventTime": [{"from": "at", "note": "Acme keeps milliseconds"}],
        "severity": {"from": "grade", "scale": "0-10"},
        "title": "Acme {/label}",
        "category": "aims",
    },
    "footer": {"Back": "/way"},
    "missing": {"reportId": "It is a label."},
    "remedy": "Ask Acme.",
}
ALARM = {
    "ids": {"unit": MACHINE},
    "at": TIME[:23] + "Z",
    "labels": [{"k": "ReportId", "v": REPORT}],
    "grade": 7,
    "aims": ["TA0040", "TA0002"],
}
FROM_ACME: dict[str, Any] = {"vendor": "acme", "label": "R", "way": "https://acme.example", "alarms": [ALARM]}


def test_a_user_adds_a_source_with_one_file(tmp_path: Path) -> None:
    """A file in the user's folder is a new source: recognised, split into its alerts, and mapped."""
    write(tmp_path, "acme", ACME)
    mappings = mapping.load(tmp_path)
    assert mappings.broken == []
    mapped = only(apply(FROM_ACME, mappings=mappings))
    assert keys(mapped) == (MACHINE, TIME[:23] + "Z", str(REPORT))
    assert mapped.time_truncated
    assert (mapped.alert.severity, mapped.alert.category, mapped.alert.title) == (
        "High",
        "Execution",
        "Acme R",
    )
    assert "Severity at the source: 7 on the scale 0-10\n" in mapped.alert.description
    assert mapped.alert.description.endswith("\nBack: https://acme.example")
    assert "eventTime: Acme keeps milliseconds" in mapped.notes
    assert mapped.origins["reportId"] == "alarms[0].labels[0].v"
    assert mapped.origins["title"] == "label"


def test_a_users_file_refuses_and_ignores(tmp_path: Path) -> None:
    """What the file closes is ignored, with the reply it names; what it refuses, and what is missing, is reported."""
    write(tmp_path, "acme", ACME)
    mappings = mapping.load(tmp_path)
    alarms = [{**ALARM, "done": True}, {**ALARM, "kind": "mail"}, {**ALARM, "labels": []}]
    outcome = apply({**FROM_ACME, "alarms": alarms}, mappings=mappings)
    assert [item.event for item in outcome.refused] == [1, 2]
    assert refused(outcome, 1) == {"reportId": "two\nlines"}
    assert refused(outcome, 2)["reportId"].endswith("It is a label.")
    assert remedy(outcome, 2) == "Ask Acme."
    outcome = apply({**FROM_ACME, "alarms": alarms[:1]}, mappings=mappings)
    assert (outcome.source, outcome.ignored, outcome.refused) == ("acme", "done already", ())
    outcome = apply({**FROM_ACME, "mode": "trial", "code": "c"}, mappings=mappings)
    assert (outcome.source, outcome.ignored, outcome.reply) == ("acme", "a test", {"answer": "c"})


def test_the_users_file_wins_by_name_and_over_ours_of_equal_priority(tmp_path: Path) -> None:
    """A file of the same name replaces ours; one of the same priority is asked first."""
    write(tmp_path, "splunk", {"title": "Mine", "recognise": "result", "alerts": "result"})
    write(tmp_path, "zzz", {"title": "Z", "recognise": "machineId", "priority": 30})
    mappings = mapping.load(tmp_path)
    assert mappings.broken == []
    assert mappings.sources["splunk"].title == "Mine"
    mapped = only(apply(splunk(ROW), mappings=mappings))
    assert "Splunk results" not in mapped.alert.description  # which ours would have put there
    assert apply(BODY, mappings=mappings).source == "zzz"


def test_a_broken_file_is_reported_and_ours_stays(tmp_path: Path) -> None:
    """What is wrong in a file of the user's is reported with line and reason, and takes nothing down."""
    write(tmp_path, "splunk", {"title": "x", "recognize": "a"})
    write(tmp_path, "good", {"title": "x"})
    mappings = mapping.load(tmp_path)
    [broken] = mappings.broken
    assert broken.field == "splunk.json"
    assert broken.detail.startswith("line 3: ")
    assert apply(splunk(ROW), mappings=mappings).source == "splunk"
    assert mappings.sources["splunk"].ours
    assert "good" in mappings.names()


def test_a_folder_that_is_none_is_reported(tmp_path: Path) -> None:
    """A wrong MAPPINGS_PATH is reported; our sources work without it."""
    mappings = mapping.load(tmp_path / "nowhere")
    assert [problem.field for problem in mappings.broken] == ["MAPPINGS_PATH"]
    assert apply(BODY, mappings=mappings).alerts


# ── what no source file has to say ─────────────────────────────────────────────────────────────────────────


def source(folder: Path, **entries: Any) -> Mappings:
    """Return mappings with one of the user's own, `acme`, for payloads with a key of that name."""
    write(folder, "acme", {"title": "Acme", "priority": 99, "recognise": "acme", **entries})
    mappings = mapping.load(folder)
    assert mappings.broken == []
    return mappings


def test_keys_that_stand_elsewhere_are_taken_if_nothing_disagrees(tmp_path: Path) -> None:
    """A template that carries the keys maps, although its source's own file knows no place for them."""
    mappings = source(tmp_path)
    mapped = only(apply({"acme": {"custom": {"mdeDeviceId": MACHINE}}, "x": [ROW]}, mappings=mappings))
    assert keys(mapped) == (MACHINE, TIME, str(REPORT))
    assert mapped.origins["reportId"] == "x[0].ReportId"


def test_keys_that_disagree_are_not_taken(tmp_path: Path) -> None:
    """Of two device ids none is taken, and both are reported with their places."""
    other = "8e27e4c7b5f04b0f2f3a7d1c9b6a5e4d3c2b1a09"
    outcome = apply({"acme": 1, "x": ROW, "y": {"DeviceId": other}}, mappings=source(tmp_path))
    problems = refused(outcome)
    assert "at x.DeviceId" in problems["machineId"]
    assert "at y.DeviceId" in problems["machineId"]


def test_a_place_of_a_file_with_several_values_is_no_guess(tmp_path: Path) -> None:
    """A path that finds two device ids is answered with both; one that finds the same twice is one."""
    other = "8e27e4c7b5f04b0f2f3a7d1c9b6a5e4d3c2b1a09"
    mappings = source(tmp_path, fields={"machineId": "acme.unit"})
    event = {name: value for name, value in ROW.items() if name != "DeviceId"}
    posted = {"acme": [{"unit": MACHINE}, {"unit": other}], "event": event}
    detail = refused(apply(posted, mappings=mappings))["machineId"]
    assert MACHINE in detail
    assert other in detail
    posted["acme"] = [{"unit": MACHINE}, {"unit": MACHINE}]
    assert keys(only(apply(posted, mappings=mappings))) == (MACHINE, TIME, str(REPORT))


def test_one_of_several_events_takes_nothing_of_the_others(tmp_path: Path) -> None:
    """Where a document has several alerts, keys are looked for in the alert alone."""
    mappings = source(tmp_path, alerts="acme")
    outcome = apply({"acme": [{"in": ROW}, {"DeviceId": MACHINE}]}, mappings=mappings)
    assert [mapped.event for mapped in outcome.alerts] == [0]
    assert {"eventTime", "reportId"} <= set(refused(outcome, 1))


def test_look_alikes_are_named_for_every_source(tmp_path: Path) -> None:
    """A problem says what was there and is not it."""
    posted = {"acme": {"aadDeviceId": "x", "TimeGenerated": TIME}}
    problems = refused(apply(posted, mappings=source(tmp_path)))
    assert "Found instead: acme.aadDeviceId is the Entra (Azure AD) device id" in problems["machineId"]
    assert "Found instead: acme.TimeGenerated is when the record was received" in problems["eventTime"]


def test_what_a_file_says_is_no_key_is_left(tmp_path: Path) -> None:
    """A collector's own device id is neither taken nor reported as a contradiction; without `not` it is one."""
    other = "8e27e4c7b5f04b0f2f3a7d1c9b6a5e4d3c2b1a09"
    posted = {"acme": {"collector": {"DeviceId": other}}, "event": ROW}
    assert "machineId" in refused(apply(posted, mappings=source(tmp_path)))
    mapped = only(apply(posted, mappings=source(tmp_path, **{"not": "acme.collector"})))
    assert keys(mapped) == (MACHINE, TIME, str(REPORT))


@pytest.mark.parametrize("table", [{"Table": "EmailEvents"}, {"category": "AdvancedHunting-CloudAppEvents"}])
def test_tables_are_refused_for_every_source(tmp_path: Path, table: Any) -> None:
    """A row that says that it is of no endpoint table is refused for that, whatever values it has."""
    problems = refused(apply({"acme": 1, **ROW, **table}, mappings=source(tmp_path)))
    assert set(problems) == {"reportId"}
    assert "not of an endpoint event" in problems["reportId"]


def test_titles_lose_what_changes_unless_they_are_meant_exactly(tmp_path: Path) -> None:
    """A rule's name is tidied, with a note; the sender's own words for Defender and the URL's are not."""
    entries = {"fields": {"title": ["callsign"]}}
    posted = {"acme": 1, **ROW, "callsign": "Recon 2026-07-19 14:55"}
    mapped = only(apply(posted, mappings=source(tmp_path, **entries)))
    assert mapped.alert.title == "Recon"
    assert any('"Recon 2026-07-19 14:55" became "Recon"' in note for note in mapped.notes)
    texts = {"description": "D", "recommendedAction": "A", "severity": "Low", "category": "Malware"}
    mapped = only(apply(posted, mappings=source(tmp_path, **entries, exact=True), **texts))
    assert mapped.alert.title == "Recon 2026-07-19 14:55"
    assert only(apply(posted, mappings=source(tmp_path), title="At 14:55")).alert.title == "At 14:55"


def test_descriptions_say_when_and_where_once(tmp_path: Path) -> None:
    """Time and device of the event are added unless the text has them; not to words that are meant exactly."""
    entries = {"fields": {"description": ["story"]}}
    posted = {"acme": 1, **ROW, "story": "What."}
    description = only(apply(posted, mappings=source(tmp_path, **entries))).alert.description
    assert description == f"What.\n\nEvent: {TIME} on pc-1.example"
    posted["story"] = f"What, at {TIME}."
    assert only(apply(posted, mappings=source(tmp_path, **entries))).alert.description == posted["story"]
    posted["story"] = "What."
    texts = {"title": "T", "recommendedAction": "A", "severity": "Low", "category": "Malware"}
    mapped = only(apply(posted, mappings=source(tmp_path, **entries, exact=True), **texts))
    assert mapped.alert.description == "What."


def test_long_descriptions_keep_their_footer(tmp_path: Path) -> None:
    """What is cut is the text, not the way back to its source."""
    entries = {"fields": {"description": ["story"]}, "footer": {"Acme": ["nowhere", "way"]}}
    posted = {"acme": 1, **ROW, "story": "\N{GRINNING FACE}" * 5_000, "way": "https://acme.example/1"}
    mapped = only(apply(posted, mappings=source(tmp_path, **entries)))
    assert alert.units(mapped.alert.description) <= 4_096
    assert mapped.alert.description.endswith("Acme: https://acme.example/1")
    assert "\N{GRINNING FACE}…\n\nEvent: " in mapped.alert.description
    assert any("description: cut from 10,000" in note for note in mapped.notes)


def test_a_place_may_be_a_text_with_gaps(tmp_path: Path) -> None:
    """A text is taken if all its gaps are filled, and its origin names each; otherwise the next place is."""
    mappings = source(tmp_path, fields={"title": ["{acme.kind} on {nothing}", "{acme.kind}: {acme.what}"]})
    mapped = only(apply({"acme": {"kind": "Alarm", "what": "a worm"}, "event": ROW}, mappings=mappings))
    assert mapped.alert.title == "Alarm: a worm"
    assert mapped.origins["title"] == "acme.kind, acme.what"


def test_a_place_may_hold_under_a_condition_and_translate_words(tmp_path: Path) -> None:
    """`if` says when a place counts, `words` what a product's own words for the severity mean."""
    words = {"code red": "High", "code green": "Low"}
    places = [{"from": "acme.colour", "words": words, "if": "acme.kind = alarm"}, "acme.other"]
    mappings = source(tmp_path, fields={"severity": places})
    for kind, colour, severity in (
        ("alarm", "CODE-RED", "High"),
        ("alarm", "code green", "Low"),
        ("x", "code red", "Low"),
    ):
        posted = {"acme": {"kind": kind, "colour": colour, "other": "low"}, "event": ROW}
        assert only(apply(posted, mappings=mappings)).alert.severity == severity


def test_an_envelope_tells_of_its_own_times() -> None:
    """A missing time inside Event Grid, CloudEvents or an Event Hub message learns which time is not it."""
    inner = {"DeviceId": MACHINE, "ReportId": 1}
    for envelope, expected in (
        (
            {"specversion": "1.0", "type": "t", "source": "s", "time": TIME, "data": inner},
            "CloudEvent's own time",
        ),
        ({"eventType": "t", "topic": "/t", "eventTime": TIME, "data": inner}, "Event Grid's own eventTime"),
        ({"body": inner, "x-opt-enqueued-time": 1}, "x-opt-enqueued-time is when it received"),
    ):
        assert expected in refused(apply(envelope))["eventTime"]


def test_envelopes_are_opened_as_deep_as_they_may_be() -> None:
    """What is deeper is read as it stands: as a payload that nobody knows, or refused."""
    posted: Any = ROW
    for _ in range(11):
        posted = {"body": posted}
    assert keys(only(apply(posted))) == (MACHINE, TIME, str(REPORT))
    for _ in range(5):
        posted = {"body": posted}
    assert apply(posted).source == "generic"


def test_a_text_that_is_no_json_is_refused_as_it_stands() -> None:
    """A message whose content holds nothing is no envelope: it is read as a payload that nobody knows."""
    content = base64.b64encode(b"started a process on pc-1").decode()
    outcome = apply({"$content-type": "text/plain", "$content": content})
    assert outcome.source == "generic"
    assert {"machineId", "eventTime", "reportId"} <= set(refused(outcome))


@pytest.mark.parametrize("name", ["status", "state", "alertState"])
def test_what_is_over_is_ignored_and_says_by_which_field(name: str) -> None:
    """Whatever product sent it, an alert that is resolved is not raised, and the answer says what said so."""
    outcome = apply({"vendor": "x", name: "Resolved", "event": ROW})
    assert outcome.ignored == f'The payload says that its alert has ended: {name} is "Resolved".'
    assert (outcome.alerts, outcome.refused) == ((), ())
    assert apply({"vendor": "x", name: "Open", "event": ROW}).alerts


def test_one_of_several_that_is_over_does_not_hide_the_others() -> None:
    """Each alert of a delivery has a state of its own."""
    outcome = apply([{"status": "closed", "event": ROW}, {"status": "open", "event": ROW}])
    assert [item.event for item in outcome.alerts] == [1]
    assert outcome.refused == ()
    assert outcome.ignored is None


def test_a_test_message_is_ignored_unless_it_names_an_event() -> None:
    """What a product sends to try the webhook raises nothing; a complete reference in it is what is to be raised."""
    message = {"event_type": "test", "message": "This is a test message."}
    assert "is a test" in (apply(message).ignored or "")
    assert apply({**message, "event": ROW}).alerts


@pytest.mark.parametrize(
    "lifecycle",
    [
        {
            "value": [
                {
                    "subscriptionId": "s",
                    "changeType": "updated",
                    "resource": "security/alerts_v2/1",
                    "clientState": "c",
                    "tenantId": "t",
                }
            ]
        },
        {"value": [{"subscriptionId": "s", "lifecycleEvent": "reauthorizationRequired", "clientState": "c"}]},
    ],
)
def test_notifications_of_microsoft_graph_are_ignored(lifecycle: Any) -> None:
    """A change of an alert in Defender, and what concerns the subscription itself, raise and refuse nothing."""
    outcome = apply(lifecycle)
    assert outcome.ignored
    assert (outcome.alerts, outcome.refused) == ((), ())


@pytest.mark.parametrize("name", OURS.names())
def test_every_source_says_where_the_keys_could_be(name: str) -> None:
    """No refused event leaves its reader without the next step: where this source could carry each key, and how."""
    source = OURS.sources[name]
    assert set(source.missing) >= {"machineId", "eventTime", "reportId"}
    assert source.remedy or source.exact
