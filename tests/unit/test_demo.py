"""The demo's claims: a line that does not agree with Defender's log is found, whatever is wrong with it."""

import shlex
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from dev.demo.audit import Audit, Expected
from dev.samples import event
from dev.simulator.judge import fullest
from dev.start import core_tools

EVENT = event(1)
REQUEST = {
    "machineId": EVENT.machine_id,
    "eventTime": EVENT.event_time,
    "reportId": EVENT.report_id,
    "title": "A title",
}
DEFENDERS = {
    "da1_1": {
        "id": "da1_1",
        "machineId": EVENT.machine_id,
        "title": "A title",
        "severity": "High",
        "category": "Execution",
    }
}
SEARCHED = {"grade": "exact", "agree": ["fileName"]}
WHY = "No event was found: Several events are possible."


def answered(**changes: Any) -> dict[str, Any]:
    """Return an alert as an answer has it: created, unless changed."""
    return {
        "status": "created",
        "route": "reference",
        "match": None,
        "merged": False,
        "duplicate": False,
        "request": REQUEST,
        "alert": DEFENDERS["da1_1"],
        "portalUrl": "https://security.microsoft.com/alerts/da1_1",
        "error": None,
        "notes": [],
        **changes,
    }


def arrived(**changes: Any) -> dict[str, Any]:
    """Return an arrival as the simulator's log has it: created, unless changed."""
    return {
        **REQUEST,
        "sequence": 0,
        "status": 200,
        "alertId": "da1_1",
        "merged": False,
        "overLimit": False,
        **changes,
    }


def search(**changes: Any) -> dict[str, Any]:
    """Return a search of the event as the simulator's log has it."""
    query = 'DeviceEvents | where DeviceName startswith "PC-001"'
    return {"sequence": 0, "status": 200, "overLimit": False, "title": None, "query": query, **changes}


LINK = "https://security.microsoft.com/alerts/ma1_0?tid=1"
ON_ENTITIES = {"id": "ma1_0", "title": "A title", "alertWebUrl": LINK}


def on_entities(**changes: Any) -> dict[str, Any]:
    """Return an alert without an event as an answer has it."""
    made = {
        "alert": {"id": "ma1_0"},
        "portalUrl": LINK,
        "notes": [WHY],
    }
    return answered(**{"route": "entity", **made, **changes})


def logs(
    log: Sequence[Any] = (),
    searches: Sequence[Any] = (),
    creations: Sequence[Any] = (),
    entity_alerts: Sequence[Any] = (ON_ENTITIES,),
) -> dict[str, Sequence[Any]]:
    """Return the logs of a simulator, and what it made."""
    made = {"alerts": list(DEFENDERS.values()), "entityAlerts": entity_alerts}
    return {"log": log, "searches": searches, "creations": creations, **made}


MISSED = {"status": 404, "code": "ResourceNotFound", "message": "not found", "target": "t"}


@pytest.mark.parametrize(
    ("outcome", "alert", "log"),
    [
        ("created", answered(), [arrived()]),
        ("merged", answered(merged=True), [arrived(merged=True)]),
        ("repeated", answered(merged=True), [arrived(merged=True)]),
        ("repeated", answered(duplicate=True), []),
        (
            "not found",
            answered(status="failed", alert=None, portalUrl=None, error=MISSED),
            [arrived(status=404, alertId=None)],
        ),
    ],
)
def test_an_answer_that_agrees_with_the_log_is_accounted_for(
    outcome: Any, alert: dict[str, Any], log: list[dict[str, Any]]
) -> None:
    """What happened as it should leaves nothing to report and no call unexplained."""
    audit = Audit()
    assert audit.compare([Expected(EVENT, outcome)], [alert], logs(log)) == []
    assert list(audit.unaccounted(logs(log))) == []
    assert len(audit.told["log"]) == len(log)


@pytest.mark.parametrize(
    ("alerts", "log"),
    [
        ([], []),
        ([answered()], []),
        ([answered(), answered()], [arrived()]),
        ([answered()], [arrived(), arrived(sequence=1)]),
        ([answered()], [arrived(reportId="1")]),
        ([answered()], [arrived(eventTime=EVENT.event_time[:-2] + "Z")]),
        ([answered()], [arrived(title="Another")]),
        ([answered()], [arrived(alertId="da2_2")]),
        ([answered()], [arrived(merged=True)]),
        ([answered(merged=True)], [arrived(merged=True)]),
        ([answered(duplicate=True)], [arrived()]),
        ([answered(portalUrl="https://security.microsoft.com/alerts/da2_2")], [arrived()]),
        ([answered(alert={**DEFENDERS["da1_1"], "severity": "Low"})], [arrived()]),
        ([answered(alert={**DEFENDERS["da1_1"], "id": "da3_3"})], [arrived(alertId="da3_3")]),
        ([answered(request={**REQUEST, "reportId": "1"})], [arrived()]),
        ([answered(status="failed", alert=None, error=MISSED)], [arrived()]),
    ],
)
def test_an_answer_that_differs_from_the_log_is_reported(
    alerts: list[dict[str, Any]], log: list[dict[str, Any]]
) -> None:
    """A missing, second, foreign, merged or differing alert or call is a mismatch."""
    assert Audit().compare([Expected(EVENT)], alerts, logs(log))


@pytest.mark.parametrize("arrival", [arrived(sequence=7), arrived(overLimit=True)])
def test_a_call_in_no_answer_or_one_too_many_is_reported(arrival: dict[str, Any]) -> None:
    """The whole log must be explained by answers, and hold no call over the limit."""
    audit = Audit()
    audit.compare([Expected(EVENT)], [answered()], logs([arrived()]))
    for name in ("log", "searches", "creations"):
        assert list(audit.unaccounted(logs() | {name: [arrival]}))


@pytest.mark.parametrize(
    ("expected", "alert", "seen"),
    [
        (Expected(EVENT, searched="pc-001"), answered(match=SEARCHED), logs([arrived()], [search()])),
        (
            Expected(None, searched="pc-001", because="Several"),
            on_entities(),
            logs((), [search()], [arrived(alertId="ma1_0")]),
        ),
        (Expected(None), on_entities(notes=[]), logs((), (), [arrived(alertId="ma1_0")])),
    ],
)
def test_a_search_and_an_alert_on_entities_are_accounted_for(
    expected: Expected, alert: dict[str, Any], seen: dict[str, Sequence[Any]]
) -> None:
    """One search and one call for one alert, whichever way it goes, leave nothing to report."""
    audit = Audit()
    assert audit.compare([expected], [alert], seen) == []
    assert list(audit.unaccounted(seen)) == []


@pytest.mark.parametrize(
    ("alert", "seen"),
    [
        (answered(match=SEARCHED), logs([arrived()])),
        (answered(match=SEARCHED), logs([arrived()], [search(), search(sequence=1)])),
        (answered(match=SEARCHED), logs([arrived()], [search(status=429)])),
        (answered(match=SEARCHED), logs([arrived()], [search(query="another device")])),
        (answered(), logs([arrived()], [search()])),
        (on_entities(), logs((), [search()], [arrived(alertId="ma1_0")])),
    ],
)
def test_a_search_that_differs_from_the_log_is_reported(
    alert: dict[str, Any], seen: dict[str, Sequence[Any]]
) -> None:
    """A missing, second, failed or foreign search is a mismatch, and so is a match that nobody tells of."""
    assert Audit().compare([Expected(EVENT, searched="pc-001")], [alert], seen)


@pytest.mark.parametrize(
    ("alert", "creations", "made"),
    [
        (on_entities(), (), None),
        (on_entities(), [arrived(alertId="ma1_0"), arrived(sequence=1)], None),
        (on_entities(), [arrived(alertId="ma2_0")], None),
        (on_entities(), [arrived(title="Another", alertId="ma1_0")], None),
        (on_entities(), [arrived(alertId="ma1_0")], []),
        (on_entities(), [arrived(alertId="ma1_0")], [{**ON_ENTITIES, "title": "Another"}]),
        (on_entities(notes=[]), [arrived(alertId="ma1_0")], None),
        (on_entities(portalUrl=f"{LINK}2"), [arrived(alertId="ma1_0")], None),
        (on_entities(route="reference"), [arrived(alertId="ma1_0")], None),
        (answered(), [arrived(alertId="ma1_0")], None),
    ],
)
def test_an_alert_on_entities_that_differs_from_the_log_is_reported(
    alert: dict[str, Any], creations: list[dict[str, Any]], made: list[dict[str, Any]] | None
) -> None:
    """A missing, second or foreign alert, another route, or no word on why there is no event, is a mismatch."""
    seen = logs((), [search()], creations) if made is None else logs((), [search()], creations, made)
    assert Audit().compare([Expected(None, searched="pc-001", because="Several")], [alert], seen)


@pytest.mark.parametrize(
    ("times", "most"),
    [([], 0), ([3.0], 1), ([0.0, 5.0, 9.9], 3), ([0.0, 5.0, 10.0], 2), ([10.0, 0.0, 10.1, 10.2, 19.9], 4)],
)
def test_the_fullest_window_is_found(times: list[float], most: int) -> None:
    """Windows are half open: two calls exactly one window apart are not in the same one."""
    assert fullest(times, 10.0) == most


def test_events_differ_and_stay_the_same() -> None:
    """An event's number names it: equal numbers give equal events, others differ in every part."""

    def parts(part: Callable[[int], str]) -> set[str]:
        return {part(number) for number in range(200)}

    assert event(3) == event(3)
    assert len(parts(lambda number: event(number).machine_id)) == 200
    assert len(parts(lambda number: event(number).event_time)) == 200
    assert len(parts(lambda number: event(number).report_id)) == 200


def test_core_tools_get_every_setting_of_the_stack() -> None:
    """The printed lines carry the stack's settings, safe for a shell; the table has a setting of its own."""
    settings = {"AzureWebJobsStorage": "AccountKey=a b;", "DEFENDER_API_URL": "http://127.0.0.1:1"}
    activate, start = core_tools(settings).splitlines()
    assert activate == ". .venv/bin/activate"
    assert shlex.split(start) == [
        "NO_PROXY=127.0.0.1,localhost",
        "FUNCTIONS_WORKER_RUNTIME=python",
        "AzureWebJobs__DispatchAlertsFunction__Disabled=true",
        "AzureWebJobsSecretStorageType=files",
        "DEFENDER_API_URL=http://127.0.0.1:1",
        "AlertStorage=AccountKey=a b;",
        "func",
        "start",
    ]
