"""Payloads become alerts by data files: recognised, opened, mapped to the digit, or refused with the remedy."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import problems
from shared.alerts import alert
from shared.mapping import mappings as mapping
from shared.mapping.mappings import Mapped, Mappings, Outcome
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
    """Return the one alert of an outcome without refusals."""
    assert outcome.refused == ()
    assert outcome.ignored is None
    [mapped] = outcome.alerts
    return mapped


def refused(outcome: Outcome, event: int = 0) -> dict[str, str]:
    """Return the problems of one refused event by field; no field has two."""
    [found] = [one.problems for one in outcome.refused if one.event == event]
    told = {problem.field: problem.detail for problem in found}
    assert len(told) == len(found)
    return told


def keys(mapped: Mapped) -> tuple[str, str, str]:
    """Return what names the event."""
    return mapped.alert.machine_id, mapped.alert.event_time, mapped.alert.report_id


def flat(value: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return an object with dotted keys, as Splunk extracts it; all values are text."""
    found: dict[str, Any] = {}
    for name, inner in value.items():
        found |= flat(inner, f"{prefix}{name}.") if isinstance(inner, dict) else {prefix + name: str(inner)}
    return found


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
    told = refused(apply({"machineId": MACHINE}))
    assert set(told) == set(alert.FIELDS) - {"machineId"}
    assert "tostring(ReportId)" in told["reportId"]


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
    assert len([note for note in only(apply(RECORD)).notes if "the payload names none" in note]) == 2
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
    """Where _raw carries the same event with more digits in its time, that one is taken."""
    cut = {**ROW, "Timestamp": TIME[:23] + "Z"}
    assert keys(only(apply(splunk({**cut, "_raw": json.dumps(RECORD)})))) == (MACHINE, TIME, str(REPORT))
    other = {**RECORD, "properties": {**ROW, "ReportId": 1}}
    assert only(apply(splunk({**cut, "_raw": json.dumps(other)}))).alert.event_time == cut["Timestamp"]


def test_a_severity_nobody_knows_does_not_cost_the_alert() -> None:
    """A source's own severity that we cannot read is noted, and the default taken."""
    mapped = only(apply(splunk({**ROW, "severity": "weird"})))
    assert mapped.alert.severity == "Medium"
    assert 'severity: "weird" is no severity we know' in mapped.notes


def test_what_a_hunting_row_lacks_is_named_with_the_remedy() -> None:
    """A row without its keys names those missing, and gives the KQL that keeps them."""
    told = refused(apply({"Schema": [], "Results": [{"Timestamp": TIME, "FileName": "x"}, ROW]}))
    assert set(told) == {"machineId", "reportId", "remedy"}
    assert "tostring(ReportId)" in told["remedy"]


def test_what_a_splunk_search_lacks_is_named_with_the_remedy() -> None:
    """A search that counted its events away is told the SPL that keeps them."""
    told = refused(apply(splunk({"count": "8", "sourcetype": "x"})))
    assert set(told) == {"machineId", "eventTime", "reportId", "remedy"}
    assert "| table DeviceId ReportId Timestamp" in told["remedy"]


@pytest.mark.parametrize(
    ("table", "properties", "said"),
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
def test_tables_without_endpoint_events_are_refused_by_name(table: str, properties: Any, said: str) -> None:
    """Rows whose ReportId is no endpoint event are refused for that reason, without a remedy that is none."""
    told = refused(apply({**RECORD, "category": f"AdvancedHunting-{table}", "properties": properties}))
    assert said in told["reportId"]
    assert "remedy" not in told


# ── opening and recognising ────────────────────────────────────────────────────────────────────────────────


def test_events_are_counted_over_the_whole_delivery() -> None:
    """Documents, arrays, envelopes and rows are numbered in their order, accepted or not."""
    outcome = apply(
        json.dumps([BODY, {"nothing": 1}])
        + json.dumps({"records": [RECORD, 5, {**RECORD, "properties": {}}]})
    )
    assert outcome.source == "defender+generic+defender-streaming"
    assert [mapped.event for mapped in outcome.alerts] == [0, 2]
    assert [one.event for one in outcome.refused] == [1, 3, 4]


@pytest.mark.parametrize("nothing", [[], {"records": []}, {"Schema": [], "Results": []}, {"body": []}])
def test_a_payload_without_an_event_is_ignored(nothing: Any) -> None:
    """A hunting query without rows raises nothing, and that is no error."""
    outcome = apply(nothing)
    assert outcome.ignored
    assert not outcome.alerts
    assert not outcome.refused


@pytest.mark.parametrize("strange", [{}, {"a": 1}, {"a": {"b": [{"c": None}]}}, [[[]], {}]])
def test_an_unknown_payload_without_the_keys_is_told_all_three_and_the_remedy(strange: Any) -> None:
    """What carries no key is refused with the query that fetches them."""
    outcome = apply(strange)
    assert outcome.source == "generic"
    assert set(refused(outcome)) == {"machineId", "eventTime", "reportId", "remedy"}
    assert "ReportId = tostring(ReportId), Timestamp = tostring(Timestamp)" in refused(outcome)["remedy"]


@pytest.mark.parametrize("strange", [5, '"text"', True, None, [5, 6], [[5]]])
def test_what_is_no_event_is_refused_with_the_sources_that_are_known(strange: Any) -> None:
    """A payload that is not even an object is refused; the answer names the fields and the sources."""
    outcome = apply(strange)
    assert outcome.source is None
    assert all("defender, defender-" in one.problems[0].detail for one in outcome.refused)
    assert outcome.refused


def test_a_named_source_is_used_inside_its_envelopes() -> None:
    """`source` decides, but an envelope around it is still opened."""
    row = {"DeviceId": MACHINE, "ReportId": REPORT, "Timestamp": TIME, "search_name": "S"}
    assert apply(row).source == "advanced-hunting"
    for posted in (row, [row], {"body": row}):
        outcome = apply(posted, source=" Splunk ")
        assert outcome.source == "splunk"
        assert only(outcome).alert.title == "S"


def test_an_unknown_source_is_told_the_known_ones() -> None:
    """A typing error in `source` is a 400 that names what it may be."""
    with pytest.raises(problems.RequestError, match=r'"splank".*splunk'):
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
        with pytest.raises(problems.PayloadTooLarge):
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
    except problems.PayloadTooLarge:
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
    except problems.PayloadTooLarge:
        return
    assert bool(outcome.alerts or outcome.refused) != bool(outcome.ignored)
    for mapped in outcome.alerts:
        assert alert.check(mapped.alert.body()).alert == mapped.alert
    for text in (
        *(note for mapped in outcome.alerts for note in mapped.notes),
        *(problem.detail for one in outcome.refused for problem in one.problems),
    ):
        assert text.encode()
    events = [one.event for one in outcome.alerts] + [one.event for one in outcome.refused]
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


# ── mapping files ──────────────────────────────────────────────────────────────────────────────────────────


def test_every_expression_of_ours_compiles() -> None:
    """Our files are compiled when they are first used; here all of them are."""
    assert OURS.broken == []
    for source in OURS.sources.values():
        for one in source.expressions():
            one.compile()


def write(folder: Path, name: str, content: Any) -> None:
    """Write a mapping file of the user's own."""
    text = content if isinstance(content, str) else json.dumps(content, indent=2)
    (folder / f"{name}.json").write_text(text, encoding="utf-8")


def test_a_user_adds_a_source_with_one_file(tmp_path: Path) -> None:
    """A file in the user's folder is a new source: recognised, split into events, mapped, ignored, refused."""
    write(
        tmp_path,
        "acme",
        {
            "$schema": "anything",
            "title": "Acme SIEM",
            "priority": 95,
            "when": "vendor == 'acme'",
            "ignore": [{"when": "state == 'test'", "reason": "a test", "reply": "{answer: code}"}],
            "events": "alarms",
            "skip": [{"when": "closed", "reason": "closed already"}],
            "refuse": [{"when": "kind == 'mail'", "field": "reportId", "detail": ["two", "lines"]}],
            "fields": {
                "machineId": ["none", "ids.device"],
                "eventTime": [{"from": "at", "truncated": True, "note": "Acme keeps milliseconds"}],
                "reportId": ["pairs(labels, 'k', 'v').ReportId"],
                "severity": [{"from": "level", "scale": "0-10"}],
                "title": ["format('Acme {}', root().rule)"],
                "category": ["tactics"],
            },
            "otherwise": {"description": ["'none'"], "recommendedAction": ["'look'"]},
            "footer": ["format('Back: {}', root().link)"],
            "missing": {"reportId": "It is a label."},
            "remedy": "Ask Acme.",
        },
    )
    mappings = mapping.load(tmp_path)
    assert mappings.broken == []
    event = {
        "ids": {"device": MACHINE},
        "at": TIME[:23] + "Z",
        "labels": [{"k": "ReportId", "v": REPORT}],
        "level": 7,
        "tactics": ["TA0040", "TA0002"],
    }
    posted = {"vendor": "acme", "rule": "R", "link": "https://acme", "alarms": [event]}
    mapped = only(apply(posted, mappings=mappings))
    assert keys(mapped) == (MACHINE, TIME[:23] + "Z", str(REPORT))
    assert mapped.time_truncated
    assert (mapped.alert.severity, mapped.alert.category, mapped.alert.title) == (
        "High",
        "Execution",
        "Acme R",
    )
    assert mapped.alert.description.startswith("none\n\nSeverity at the source: 7 on the scale 0-10\n")
    assert mapped.alert.description.endswith("\nBack: https://acme")
    assert "eventTime: Acme keeps milliseconds" in mapped.notes
    assert mapped.origins["reportId"] == "pairs(labels, 'k', 'v').ReportId"

    posted["alarms"] = [{**event, "closed": True}, {**event, "kind": "mail"}, {**event, "labels": []}]
    outcome = apply(posted, mappings=mappings)
    assert refused(outcome, 1) == {"reportId": "two\nlines"}
    assert refused(outcome, 2)["reportId"].endswith("It is a label.")
    assert refused(outcome, 2)["remedy"] == "Ask Acme."
    outcome = apply({**posted, "state": "test", "code": "c"}, mappings=mappings)
    assert (outcome.source, outcome.ignored, outcome.reply) == ("acme", "a test", {"answer": "c"})


def test_the_users_file_wins_by_name_and_over_ours_of_equal_priority(tmp_path: Path) -> None:
    """A file of the same name replaces ours; one of the same priority is asked first."""
    write(
        tmp_path,
        "splunk",
        {"title": "Mine", "when": "result", "extends": "defender-event", "events": "result"},
    )
    write(tmp_path, "zzz", {"title": "Z", "when": "machineId", "priority": 30, "extends": "defender"})
    mappings = mapping.load(tmp_path)
    assert mappings.broken == []
    assert mappings.sources["splunk"].title == "Mine"
    assert (
        only(apply(splunk(ROW), mappings=mappings)).alert.title == "Defender event ProcessCreated: whoami.exe"
    )
    assert apply(BODY, mappings=mappings).source == "zzz"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{\n  "title": "x",\n  "when" "y"\n}', "line 3"),
        ("[]", "must be an object"),
        ({"when": "a"}, "lacks title"),
        ({"title": "x", "wen": "a"}, 'line 3: the file: there is no entry "wen"'),
        ({"title": "x", "when": "a ||"}, "line 3: when"),
        ({"title": "x", "when": "nope(a)"}, "there is no function nope()"),
        ({"title": "x", "when": "a" * 4001}, "4,000 characters"),
        ({"title": "x", "when": "(" * 1500 + "a" + ")" * 1500}, "nested too deeply"),
        ({"title": "x", "when": 5}, "when: must be text"),
        ({"title": "x", "priority": 101}, "line 3: priority"),
        ({"title": "x", "fields": {"device": ["a"]}}, '"device"'),
        ({"title": "x", "fields": {"title": "a"}}, "fields.title: must be an array"),
        ({"title": "x", "fields": {"title": [{"from": "a["}]}}, "line 6: fields.title"),
        ({"title": "x", "fields": {"severity": [{"from": "a", "scale": "1-7"}]}}, "scale must be one of"),
        ({"title": "x", "refuse": [{"when": "a", "field": "x", "detail": "d"}]}, "field must be one of"),
        ({"title": "x", "ignore": [{"when": "a"}]}, "lacks reason"),
        ({"title": "x", "extends": "nobody"}, 'no mapping "nobody"'),
        ({"title": "x", "extends": "splunk"}, "splunk extends splunk"),
        (b"\xff\xfe", "UTF-8"),
    ],
)
def test_a_broken_file_is_reported_and_ours_stays(tmp_path: Path, content: Any, said: str) -> None:
    """What is wrong in a file of the user's is told with line and reason, and takes nothing down."""
    if isinstance(content, bytes):
        (tmp_path / "splunk.json").write_bytes(content)
    else:
        write(tmp_path, "splunk", content)
    mappings = mapping.load(tmp_path)
    [broken] = mappings.broken
    assert broken.field == "splunk.json"
    assert said in broken.detail
    assert apply(splunk(ROW), mappings=mappings).source == "splunk"


def test_a_folder_that_is_none_is_reported(tmp_path: Path) -> None:
    """A wrong MAPPINGS_PATH is told; our mappings work without it."""
    mappings = mapping.load(tmp_path / "nowhere")
    assert [one.field for one in mappings.broken] == ["MAPPINGS_PATH"]
    assert apply(BODY, mappings=mappings).alerts


# ── what no mapping file has to say ────────────────────────────────────────────────────────────────────────


def source(folder: Path, **entries: Any) -> Mappings:
    """Return mappings with one of the user's own, `acme`, for payloads with a key of that name."""
    write(folder, "acme", {"title": "Acme", "priority": 99, "when": "has(@, 'acme')", **entries})
    mappings = mapping.load(folder)
    assert mappings.broken == []
    return mappings


TEXTS = {"otherwise": {"title": ["'T'"], "description": ["'D'"], "recommendedAction": ["'A'"]}} | {
    "fields": {"severity": ["'High'"], "category": ["'Malware'"]}
}


def test_keys_that_stand_elsewhere_are_taken_if_nothing_disagrees(tmp_path: Path) -> None:
    """A template that carries the keys maps, although its source's own mapping knows no place for them."""
    mappings = source(tmp_path, **TEXTS)
    mapped = only(apply({"acme": {"custom": {"mdeDeviceId": MACHINE}}, "x": [ROW]}, mappings=mappings))
    assert keys(mapped) == (MACHINE, TIME, str(REPORT))
    assert mapped.origins["reportId"] == "x[0].ReportId"


def test_keys_that_disagree_with_those_of_the_mapping_are_not_taken(tmp_path: Path) -> None:
    """What the mapping found and what stands elsewhere must be of one event."""
    mappings = source(tmp_path, **TEXTS | {"fields": {"machineId": ["acme.id"]}})
    other = "8e27e4c7b5f04b0f2f3a7d1c9b6a5e4d3c2b1a09"
    told = refused(apply({"acme": {"id": other}, "x": ROW}, mappings=mappings))
    assert {"eventTime", "reportId"} <= set(told)
    told = refused(apply({"acme": 1, "x": ROW, "y": {"DeviceId": other}}, mappings=mappings))
    assert "at x.DeviceId" in told["machineId"]
    assert "at y.DeviceId" in told["machineId"]


def test_one_of_several_events_takes_nothing_of_the_others(tmp_path: Path) -> None:
    """Where a document has several events, keys are looked for in the event alone."""
    mappings = source(tmp_path, **TEXTS, events="acme")
    outcome = apply({"acme": [{"in": ROW}, {"DeviceId": MACHINE}]}, mappings=mappings)
    assert [mapped.event for mapped in outcome.alerts] == [0]
    assert {"eventTime", "reportId"} <= set(refused(outcome, 1))


def test_look_alikes_are_named_by_every_mapping(tmp_path: Path) -> None:
    """A refusal says what was there and is not it."""
    told = refused(
        apply({"acme": {"aadDeviceId": "x", "TimeGenerated": TIME}}, mappings=source(tmp_path, **TEXTS))
    )
    assert "Not it: acme.aadDeviceId is the Entra (Azure AD) device id" in told["machineId"]
    assert "Not it: acme.TimeGenerated is when the record was received" in told["eventTime"]


@pytest.mark.parametrize("table", [{"Table": "EmailEvents"}, {"category": "AdvancedHunting-CloudAppEvents"}])
def test_tables_are_refused_by_every_mapping(tmp_path: Path, table: Any) -> None:
    """A row that says that it is of no endpoint table is refused for that, whatever values it has."""
    told = refused(apply({"acme": 1, **ROW, **table}, mappings=source(tmp_path, extends="defender-event")))
    assert set(told) == {"reportId"}
    assert "no endpoint event" in told["reportId"]


def test_titles_lose_what_changes_unless_they_are_meant_exactly(tmp_path: Path) -> None:
    """A rule's name is tidied, with a note; the sender's own words for Defender and the URL's are not."""
    entries = {"extends": "defender-event", "fields": {"title": ["name"]}}
    posted = {"acme": 1, **ROW, "name": "Recon 2026-07-19 14:55"}
    mapped = only(apply(posted, mappings=source(tmp_path, **entries)))
    assert mapped.alert.title == "Recon"
    assert any('"Recon 2026-07-19 14:55" became "Recon"' in note for note in mapped.notes)
    mapped = only(apply(posted, mappings=source(tmp_path, **entries, exact=True)))
    assert mapped.alert.title == "Recon 2026-07-19 14:55"
    mappings = source(tmp_path, extends="defender-event", fields={})
    assert only(apply(posted, mappings=mappings, title="At 14:55")).alert.title == "At 14:55"


def test_descriptions_say_when_and_where_once(tmp_path: Path) -> None:
    """Time and device of the event are added unless the text has them; not to words that are meant exactly."""
    entries = {"extends": "defender-event", "fields": {"description": ["text"]}}
    posted = {"acme": 1, **ROW, "text": "What."}
    description = only(apply(posted, mappings=source(tmp_path, **entries))).alert.description
    assert description == f"What.\n\nEvent: {TIME} on pc-1.example"
    posted["text"] = f"What, at {TIME}."
    assert only(apply(posted, mappings=source(tmp_path, **entries))).alert.description == posted["text"]
    posted["text"] = "What."
    assert only(apply(posted, mappings=source(tmp_path, **entries, exact=True))).alert.description == "What."


def test_long_descriptions_keep_their_footer(tmp_path: Path) -> None:
    """What is cut is the text, not the way back to its source."""
    entries = {"extends": "defender-event", "fields": {"description": ["text"]}, "footer": ["link"]}
    posted = {"acme": 1, **ROW, "text": "\N{GRINNING FACE}" * 5_000, "link": "https://acme.example/1"}
    mapped = only(apply(posted, mappings=source(tmp_path, **entries)))
    assert alert.units(mapped.alert.description) <= 4_096
    assert mapped.alert.description.endswith("https://acme.example/1")
    assert "\N{GRINNING FACE}…\n\nEvent: " in mapped.alert.description
    assert any("description: cut from 10,000" in note for note in mapped.notes)


def test_a_rule_tells_what_it_found_and_a_place_where_it_stood(tmp_path: Path) -> None:
    """`found` comes before the detail, `at` is the origin."""
    mappings = source(
        tmp_path,
        **TEXTS | {"fields": {"machineId": [{"from": "a.id", "at": "a.where"}]}},
        refuse=[
            {
                "when": "a.bad",
                "field": "reportId",
                "found": "format('{} is bad.', a.bad)",
                "detail": "Mend it.",
            }
        ],
    )
    [one] = apply({"acme": 1, "a": {"id": MACHINE, "where": "in a", "bad": "x"}}, mappings=mappings).refused
    assert one.origins["machineId"] == "in a"
    assert {problem.field: problem.detail for problem in one.problems}["reportId"] == "x is bad. Mend it."


def test_an_envelope_tells_of_its_own_times() -> None:
    """A missing time inside Event Grid, CloudEvents or an Event Hub message is told which time is not it."""
    inner = {"DeviceId": MACHINE, "ReportId": 1}
    for envelope, said in (
        (
            {"specversion": "1.0", "type": "t", "source": "s", "time": TIME, "data": inner},
            "CloudEvent's own time",
        ),
        ({"eventType": "t", "topic": "/t", "eventTime": TIME, "data": inner}, "Event Grid's own eventTime"),
        ({"body": inner, "x-opt-enqueued-time": 1}, "x-opt-enqueued-time is when it received"),
    ):
        assert said in refused(apply(envelope))["eventTime"]


def test_envelopes_are_opened_as_deep_as_they_may_be() -> None:
    """What is deeper is read as it stands: by the generic mapping, or refused."""
    posted: Any = ROW
    for _ in range(11):
        posted = {"body": posted}
    assert keys(only(apply(posted))) == (MACHINE, TIME, str(REPORT))
    for _ in range(5):
        posted = {"body": posted}
    assert apply(posted).source == "generic"


@pytest.mark.parametrize("name", [name for name in OURS.names() if not OURS.sources[name].exact])
def test_every_source_has_texts_for_any_event_and_a_remedy(name: str) -> None:
    """No alert fails for want of a title, and no refusal leaves its reader without the next step."""
    found = OURS.sources[name]
    texts = [field for field in alert.FIELDS if field not in ("machineId", "eventTime", "reportId")]
    assert [field for field in texts if not found.otherwise.get(field)] == []
    assert set(found.missing) >= {"machineId", "eventTime", "reportId"}
    assert found.remedy
