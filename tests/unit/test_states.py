"""What is over, and what is a test message: by the words of one table, asked of the alert, not of things beside."""

from typing import Any

import pytest

from shared.payload import names, states
from shared.payload.reader import Reader
from shared.payload.states import Where

TABLE = names.table("states")
OPEN = [
    "open",
    "new",
    "active",
    "firing",
    "triggered",
    "alert",
    "critical",
    "in progress",
    "unresolved",
    "reopened",
]


def closed(*where: Any) -> str | None:
    """Return what says that an alert is over."""
    return states.closed([Where(place, alert=True) for place in where], Reader(lambda _: None))


def is_test(*where: Any) -> str | None:
    """Return what says that a payload is a test message."""
    read = Reader(lambda _: None)
    given = [Where(place, alert=True) for place in where]
    return states.test(given, read) or states.tells_test(given, read)


@pytest.mark.parametrize("name", TABLE["status"]["names"])
def test_every_name_of_a_status_is_asked(name: str) -> None:
    """Under each name of a status each word of an end ends the alert; words of an open one do not."""
    for word in TABLE["status"]["words"]:
        assert closed({name: word}), word
        assert closed({name: word.upper()}), word
    assert [word for word in OPEN if closed({name: word})] == []


@pytest.mark.parametrize("name", TABLE["good"]["names"])
def test_every_name_of_a_health_is_asked(name: str) -> None:
    """What is well again is over, under the names by which monitors say so."""
    assert all(closed({name: word}) for word in TABLE["good"]["words"])
    assert [word for word in OPEN if closed({name: word})] == []


@pytest.mark.parametrize("name", TABLE["message"]["names"])
def test_every_name_of_a_message_is_asked(name: str) -> None:
    """The kind of a message may say that it brings the end of an alert, alone or behind the thing that ends."""
    for verb in TABLE["message"]["verbs"]:
        loose = name in TABLE["message"]["loosely"] and verb in TABLE["message"]["loose"]
        assert bool(closed({name: verb})) is not loose, verb  # an action "resolve" may be anybody's
        assert closed({name: f"incident.{verb}"}), verb
    assert [
        word for word in ("created", "alert.triggered", "incident_opened", "PROBLEM") if closed({name: word})
    ] == []


@pytest.mark.parametrize(
    "value",
    [
        {"status": "resolved"},
        {"Status": "7 - Closed"},
        {"state": "ResolvedFalsePositive"},
        {"status": "resolved_false_positive"},
        {"status": "Closed - True Positive"},
        {"workflow_status": "ACKNOWLEDGED"},
        {"recordState": "ARCHIVED"},
        {"status": {"display_value": "Closed", "value": "7"}},
        {"message_type": "RECOVERY"},
        {"event_action": "resolve"},
        {"event": "alert.resolved"},
        {"event_type": "incident.acknowledged"},
        {"type": "IncidentClosed"},
        {"action": "close", "alert": {"id": "x"}},
        {"action": "deleted", "issue": {"id": "x"}},
        {"severity": "cleared"},
        {"isResolved": True},
        {"alert": {"status": "resolved"}},
        {"incident": {"state": "closed"}},
        {"closeReason": "benign"},
        {"newStateValue": "OK"},
    ],
)
def test_an_alert_that_is_over(value: Any) -> None:
    """Resolved, closed, acknowledged, deleted, recovered, in the words and places of many products."""
    assert closed(value)


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"status": "open"},
        {"status": "unresolved"},
        {"status": "not resolved"},
        {"status": "closed" * 20},
        {"event": "alert.created"},
        {"type": "alert.triggered"},
        {"action": "FileDeleted"},
        {"action": "blocked"},
        {"action": "delete"},
        {"event": {"action": "File deleted"}},
        {"event_type": "ProcessTerminated"},
        {"ActionType": "RegistryKeyDeleted"},
        {"isResolved": False},
        {"isResolved": "no"},
        {"port": {"state": "closed"}},
        {"device": {"status": "inactive"}},
        {"host": {"status": "closed"}},
        {"description": "The ticket was resolved."},
        {"title": "Closed"},
        {"severity": "clearly"},
        {"alert": {"device": {"status": "closed"}}},
    ],
)
def test_an_alert_that_is_not_over(value: Any) -> None:
    """A device, a port and what happened to a file have states of their own, and no text ends an alert."""
    assert closed(value) is None


def test_every_object_is_asked_and_the_first_is_named() -> None:
    """The alert and the objects around it count; what said so is shown with its name and value."""
    assert closed({"status": "open"}, {"State": "Resolved"}) == 'State is "Resolved"'
    assert closed({"isClosed": True}) == "isClosed is true"
    assert closed(None, "resolved", ["resolved"], {"a": 1}) is None


def test_a_row_of_events_has_states_of_its_own() -> None:
    """What a process or a service ended as is no state of the alert; that something is resolved is one anywhere."""
    reader = Reader(lambda _: None)
    for word in TABLE["weak"]:
        assert states.closed([Where({"status": word}, alert=False)], reader) is None, word
        assert states.closed([Where({"alert_status": word}, alert=False)], reader), word
    assert states.closed([Where({"status": "resolved"}, alert=False)], reader)


@pytest.mark.parametrize("word", TABLE["open"])
def test_an_open_alert_goes_before_what_is_around_it(word: str) -> None:
    """The nearest state counts: an open alert in a closed case is raised, a closed one in an open case is not."""
    assert closed({"status": "closed"}, {"status": word}) is None
    assert closed({"status": word}, {"status": "closed"})


@pytest.mark.parametrize(
    "value",
    [
        {"event_type": "test"},
        {"type": "ping"},
        {"event": "Test Notification"},
        {"message": "This is a test message from Contoso."},
        {"description": "Hello world"},
        {"isTest": True},
        {"notification": {"test": True}},
    ],
)
def test_a_test_message_is_known(value: Any) -> None:
    """What products send to try a webhook says so by its kind, a sentence or a flag."""
    assert is_test(value)


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"type": "alert"},
        {"message": "A tester was attested."},
        {"isTest": False},
        {"title": "Latest"},
        {"test": 1},
    ],
)
def test_what_only_looks_like_a_test_is_none(value: Any) -> None:
    """Its twin: words that contain another, and flags that are off."""
    assert is_test(value) is None


def test_the_table_has_nothing_twice_or_useless() -> None:
    """Every name and word of the table means something: none is empty once its punctuation is taken off."""
    for group in ("status", "good", "severity", "message"):
        assert all(names.word(name) for name in TABLE[group]["names"]), group
        for words in (part for key, part in TABLE[group].items() if key != "names"):
            assert len(set(words)) == len(words), group
