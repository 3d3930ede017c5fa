"""Alerts of Defender itself, and those that we made there, are in Defender already: they are ignored."""

import copy
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest

from shared.alerts import mark
from shared.alerts.mark import MARK
from shared.mapping import mappings as mapping
from shared.mapping import own
from shared.mapping.conditions import Condition
from shared.mapping.outcome import Outcome
from shared.payload import body as payload
from shared.payload.paths import Node
from shared.payload.reader import Reader

OURS = mapping.load()
ROW = {
    "DeviceId": "8b0f4c2e6a1d93570f7e5b8c2a4d6910e3f7b5c1",
    "ReportId": "51377",
    "Timestamp": "2026-05-21T10:11:12.1314151Z",
}
DEFENDERS = {
    "serviceSource": "microsoftDefenderForEndpoint",
    "detectionSource": "antivirus",
    "severity": "high",
    "title": "A worm",
}


ID = "0c1d2e3f" * 4


def applied(value: Any, *made: str) -> Outcome:
    """Map a value as it would arrive where this app has `made` alerts with these ids."""
    documents = payload.read(json.dumps(value).encode(), max_bytes=100_000)
    return OURS.apply(documents, source=None, defaults={}, max_alerts=10, made=frozenset(made))


def _conditions(kind: str) -> list[Any]:
    return [pytest.param(condition, id=condition.text[:60]) for condition in own._conditions(kind)]


def _example(condition: Condition) -> dict[str, Any]:
    """Return the smallest object for which a condition holds."""
    document: dict[str, Any] = {}
    for term in condition.terms:
        inner: Any = term.contains or (min(term.words) if term.words else "x")
        *around, last = (*condition.prefix.names, *term.path.names)
        at = document
        for name in around:
            at = at.setdefault(name, {})
        at[last] = inner
    return document


@pytest.mark.parametrize("condition", _conditions("defenders"))
def test_every_mark_of_defender_is_known(condition: Condition) -> None:
    """Each line of the table makes an alert Defender's, and an alert without a reference that has it is ignored."""
    alert = Node(_example(condition), None, Reader(lambda _: None))
    assert own.is_defenders(alert)
    assert not own.is_manual(alert)


@pytest.mark.parametrize("condition", _conditions("manual"))
def test_every_sign_of_a_manual_alert_is_known(condition: Condition) -> None:
    """What was made through the API carries the detection source that the API gives it."""
    assert own.is_manual(Node(_example(condition), None, Reader(lambda _: None)))


@pytest.mark.parametrize(
    "alert",
    [
        {},
        {"title": "x"},
        {"productName": "Contoso Defender"},
        {"detectionSource": "siem"},
        {"vendor": "Microsoft"},
    ],
)
def test_another_products_alert_is_nobodys(alert: dict[str, str]) -> None:
    """Its twin: an alert of another product is neither."""
    node = Node(alert, None, Reader(lambda _: None))
    assert not own.is_defenders(node)
    assert not own.is_manual(node)


def test_defenders_own_alert_is_ignored() -> None:
    """Nothing is raised and nothing refused: it is in Defender."""
    outcome = applied({"alerts": [DEFENDERS]})
    assert outcome.ignored
    assert "Defender has raised this alert itself" in outcome.ignored
    assert outcome.refused == ()


@pytest.mark.parametrize("table", ["AlertInfo", "AlertEvidence", "DeviceAlertEvents"])
def test_a_row_of_a_table_of_alerts_is_ignored(table: str) -> None:
    """Its device, time and report id are no event's, so it is not raised even with all three of them."""
    row = {**ROW, "AlertId": "da1"}
    record = {"time": "2026-07-19T15:00:00Z", "category": f"AdvancedHunting-{table}", "properties": row}
    for value in ({**row, "Table": table}, {"records": [record]}):
        outcome = applied(value)
        assert (outcome.alerts, outcome.refused) == ((), ())
        assert outcome.ignored == own.DEFENDERS


def test_a_complete_reference_beside_it_is_raised() -> None:
    """A row that was joined to Defender's alert names an event: that is what the sender wants to be raised."""
    outcome = applied({**DEFENDERS, "event": ROW})
    assert [item.alert.report_id for item in outcome.alerts] == ["51377"]
    assert outcome.refused == ()


def test_what_we_made_is_ignored_always() -> None:
    """An alert of ours that comes back is no new one, though it has a reference."""
    outcome = applied({**DEFENDERS, "detectionSource": "manual", "event": ROW})
    assert outcome.alerts == ()
    assert outcome.ignored


MARKED = f"Somebody read lsass.exe.\n\n{mark.line('Splunk', ID)}\nPort: 443"
FLAT = MARKED.replace("\n", " ")
GRAPH = {
    "id": "ma1",
    "incidentId": "50001",
    "serviceSource": "microsoft365Defender",
    "detectionSource": "manual",
    "title": "A dump of credentials",
    "severity": "high",
    "description": MARKED,
}
OF_MACHINE = {
    "id": "ma1",
    "incidentId": 50001,
    "detectionSource": "Manual",
    "alertCreationTime": "2026-05-21T10:11:12.1314151Z",
    "title": "A dump of credentials",
    "description": MARKED,
}
SECURITY_ALERT = {
    "Type": "SecurityAlert",
    "TimeGenerated": "2026-05-21T10:11:12Z",
    "DisplayName": "A dump of credentials",
    "ProviderName": "Microsoft XDR",
    "Description": MARKED,
    "Entities": "[]",
}
INCIDENT_ROW = {
    "Type": "SecurityIncident",
    "TimeGenerated": "2026-05-21T10:11:12Z",
    "Title": "A dump of credentials",
    "Description": MARKED,
    "IncidentNumber": 7,
}
INCIDENT = {
    "object": {
        "type": "Microsoft.SecurityInsights/Incidents",
        "properties": {
            "title": "A dump of credentials",
            "incidentNumber": 7,
            "alerts": [
                {"kind": "SecurityAlert", "properties": {"systemAlertId": "s", "description": MARKED}}
            ],
        },
    }
}
INFO = {
    "AlertId": "ma1",
    "Timestamp": "2026-05-21T10:11:12.13Z",
    "Title": "A dump",
    "DetectionSource": "Manual",
}
EVIDENCE = {**INFO, "EntityType": "Machine", "DeviceName": "pc-1.contoso.example"}
SHAPES: dict[str, tuple[Any, list[Any]]] = {
    "a Graph alert": (GRAPH, []),
    "a list of Graph alerts": ({"value": [GRAPH]}, ["value", 0]),
    "an alert of the API for machines": (OF_MACHINE, []),
    "a row of SecurityAlert": (SECURITY_ALERT, []),
    "a row of SecurityIncident": (INCIDENT_ROW, []),
    "an incident of Sentinel": (INCIDENT, ["object", "properties", "alerts", 0, "properties"]),
    "Splunk's add-on": ({"search_name": "x", "results_link": "y", "result": GRAPH}, ["result"]),
    "a finding of Splunk": ({"search_name": "x", "result": {"description": MARKED}}, ["result"]),
    "Wazuh": ({"rule": {"level": 9}, "data": {"ms-graph": GRAPH}}, []),
    "Elastic": ({"m365_defender": {"alert": {"detection_source": "manual"}}, "message": MARKED}, []),
    "anybody": ({"title": "x", "host": "pc-1", "description": MARKED}, []),
    "a cell of a table": ({"search_name": "x", "result": {"signature": "A dump", "desc": FLAT}}, ["result"]),
    "a raw text": ({"search_name": "x", "result": {"_raw": json.dumps({"a": [GRAPH]})}}, ["result"]),
    "a rule of Elastic": ({"kibana.alert.rule.name": "x", "rule": {"description": FLAT}, "message": ""}, []),
    "Datadog": ({"title": "A dump", "body": MARKED, "alert_type": "error"}, []),
    "Google SecOps": ({"detection": [{"ruleName": "x"}], "security_result": [{"description": FLAT}]}, []),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("whole", [False, True], ids=["without a reference", "with a reference"])
def test_an_alert_of_ours_that_comes_back_is_ignored(shape: str, whole: bool) -> None:
    """In every shape in which Defender's alerts reach a SIEM: raised again, it would go on for ever."""
    document, at = copy.deepcopy(SHAPES[shape])
    _inside(document, at).update({"event": ROW} if whole else {})
    outcome = applied(document, ID)
    assert (outcome.alerts, outcome.refused) == ((), ())
    assert "made in Defender" in str(outcome.ignored)


@pytest.mark.parametrize("table", ["AlertInfo", "AlertEvidence"])
def test_a_streamed_row_of_ours_is_ignored(table: str) -> None:
    """Defender streams what was made by hand in two tables; neither has a description."""
    record = {
        "category": f"AdvancedHunting-{table}",
        "properties": EVIDENCE if table == "AlertEvidence" else INFO,
    }
    outcome = applied({"records": [{"time": "2026-05-21T10:11:13Z", **record}]})
    assert (outcome.alerts, outcome.refused) == ((), ())
    assert "made in Defender" in str(outcome.ignored)


HIDERS = {
    "a command line": f'cmd.exe /c "{MARK} from Splunk"',
    "an output": f"cmd.exe /c echo 1>{MARK} from x",
    "a script": f"Script block:\n<#\n{MARK} from x: no event of Defender stands behind it.\n#>\nInvoke-Mimikatz",
    "another's id": f"Script block:\n{mark.line('x', ID)}",
}


@pytest.mark.parametrize("text", HIDERS)
@pytest.mark.parametrize("shape", ["a row of SecurityIncident", "a finding of Splunk", "anybody"])
def test_words_that_somebody_writes_hide_nothing(shape: str, text: str) -> None:
    """Its twin: who runs a command line or a script with our words is not taken for this app."""
    document, at = copy.deepcopy(SHAPES[shape])
    inner = _inside(document, at)
    name = "Description" if "Description" in inner else "description"
    inner.update({"event": ROW, name: HIDERS[text]})
    assert [item.alert.report_id for item in applied(document, "1" * 32).alerts] == ["51377"]


@pytest.mark.parametrize("packed", [False, True], ids=["a list", "a list in a text"])
def test_an_alert_beside_ours_is_not_hidden(packed: bool) -> None:
    """Each entry of a list may be another alert: the mark of one says nothing of the others."""
    items = [{"title": "A dump", "description": MARKED}, {"title": "Another", "host": "pc-1", "event": ROW}]
    for document in ({"things": json.dumps(items) if packed else items}, items):
        assert [item.alert.report_id for item in applied(document, ID).alerts] == ["51377"]


def test_each_text_is_read_once_for_the_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many events stand in a document: a large one with an id of ours would take seconds."""
    read: list[str] = []

    def named(text: str) -> tuple[str, ...]:
        read.append(text)
        return ()

    monkeypatch.setattr(mark, "named", named)
    text = "Somebody wrote a page of text about it."
    events = [{"title": "x", "event": {**ROW, "ReportId": str(number)}} for number in range(10)]
    assert (
        len(applied({"text": text, "packed": json.dumps({"text": text}), "events": events}, ID).alerts) == 10
    )
    assert read.count(text) == 2


@pytest.mark.parametrize("space", ["+", "%20"])
def test_the_mark_is_found_in_a_form(space: str) -> None:
    """A form writes a space in two ways; one of them ends with a digit that stands before the id."""
    assert mark.named(quote(MARKED).replace("%20", space)) == (ID,)


def _inside(document: Any, at: list[Any]) -> dict[str, Any]:
    """Return the object at these steps."""
    for step in at:
        document = document[step]
    inner: dict[str, Any] = document
    return inner


def test_in_a_mixed_payload_the_others_count() -> None:
    """Beside Defender's own, another product's alert is raised or refused as if it were alone."""
    other = {"title": "Of another", "severity": "low"}
    outcome = applied([DEFENDERS, {**other, "event": ROW}, other])
    assert [item.event for item in outcome.alerts] == [1]
    assert [item.event for item in outcome.refused] == [2]


QUOTES = {
    "a command line": "cmd.exe /c echo hello world && procdump.exe lsass.exe",
    "a script": "Creating Scriptblock text (1 of 1):\n# this is a test\nInvoke-Mimikatz",
}
NAMED: dict[str, dict[str, Any]] = {
    "a device and a time": {"host": "pc-1", "time": "2026-05-21T10:11:12Z"},
    "a device and a high severity": {"host": "pc-1", "severity": "critical"},
}


@pytest.mark.parametrize("text", QUOTES.values(), ids=QUOTES)
@pytest.mark.parametrize("named", NAMED.values(), ids=NAMED)
@pytest.mark.parametrize("member", ["message", "description", "details"])
def test_a_sentence_that_somebody_runs_makes_no_test_message(
    member: str, named: dict[str, Any], text: str
) -> None:
    """An alert that quotes what was run is not ignored, however that calls itself."""
    assert applied({"title": "A dump of credentials", **named, member: text}).ignored is None


@pytest.mark.parametrize("text", ["This is a test message.", "Hello world"])
def test_a_test_message_without_an_event_is_ignored(text: str) -> None:
    """Its twin: what names no device and time is what products send to try a webhook."""
    assert "it is a test" in str(applied({"title": "Notification", "description": text}).ignored)


SIGNS = {
    "ours": {"detectionSource": "manual", "alertId": "1"},
    "Defender's": {"incidentWebUrl": "https://security.microsoft.com/incidents/1"},
    "another event's": {"reportId": "5", "eventTime": "2026-05-21T10:11:12.5Z"},
}
WRITTEN: dict[str, Callable[[dict[str, str]], str]] = {
    "JSON": json.dumps,
    "JSON after words": lambda signs: f"cmd.exe /c echo {json.dumps(signs)}",
    "assignments": lambda signs: ", ".join(f"{name}={value}" for name, value in signs.items()),
    "assignments after words": lambda signs: (
        "cmd /c echo " + " ".join(f"{name}={value}" for name, value in signs.items())
    ),
}


@pytest.mark.parametrize("sign", SIGNS)
@pytest.mark.parametrize("way", WRITTEN)
@pytest.mark.parametrize(
    "member", ["process", "parent_process", "file_name", "user", "RemoteUrl", "registry_path"]
)
@pytest.mark.parametrize("row", [{}, ROW], ids=["without a reference", "with a reference"])
def test_what_somebody_runs_or_names_is_read_as_no_structure(
    member: str, way: str, sign: str, row: dict[str, str]
) -> None:
    """Who chooses a command line, a file's name or an address hides no alert, and leads it to no other event."""
    text = WRITTEN[way]({"machineId": "e" * 40, **SIGNS[sign]})
    outcome = applied(
        {"search_name": "x", "result": {"dest": "pc-1", "severity": "high", **row, member: text}}
    )
    assert outcome.ignored is None
    assert [item.alert.report_id for item in outcome.alerts] == (["51377"] if row else [])


@pytest.mark.parametrize("sign", ["ours", "Defender's"])
@pytest.mark.parametrize("way", ["JSON after words", "assignments"])
@pytest.mark.parametrize("member", ["message", "description"])
def test_signs_in_a_sentence_make_nobodys_alert(member: str, way: str, sign: str) -> None:
    """A text that quotes what was run may hold any sign; only a text that is JSON as a whole is somebody's alert."""
    text = WRITTEN[way]({"machineId": "e" * 40, **SIGNS[sign]})
    assert applied({"title": "x", "host": "pc-1", "severity": "high", member: text}).ignored is None


@pytest.mark.parametrize("way", ["JSON after words", "assignments after words"])
@pytest.mark.parametrize("member", ["message", "description", "title", "recommendedAction"])
@pytest.mark.parametrize("deep", [False, True])
def test_a_sentence_makes_no_second_event_of_a_whole_reference(*, deep: bool, member: str, way: str) -> None:
    """An alert with its reference is not refused because somebody's command line, which it quotes, names another."""
    text = WRITTEN[way]({"machineId": "e" * 40, **SIGNS["another event's"]})
    alert = {"title": "x", "severity": "high", member: text}
    outcome = applied({"alert": alert, "event": ROW} if deep else {**alert, **ROW})
    assert [item.alert.report_id for item in outcome.alerts] == ["51377"]
    assert outcome.refused == ()


@pytest.mark.parametrize("state", [{"status": "resolved"}, {"alert_status": "closed"}, {"isTest": "true"}])
@pytest.mark.parametrize("way", ["JSON after words", "assignments after words"])
@pytest.mark.parametrize("member", ["message", "description", "details"])
def test_a_sentence_ends_no_alert(member: str, way: str, state: dict[str, str]) -> None:
    """What somebody runs may name an event and say that it is resolved: the alert that quotes it is not over."""
    text = WRITTEN[way]({"machineId": "e" * 40, **SIGNS["another event's"], **state})
    assert applied({"title": "x", "host": "pc-1", "severity": "high", member: text}).ignored is None
