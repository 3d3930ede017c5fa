"""What an operator or a sender can do about an alert's error. Each is true for a replay, which sends the same again."""

from collections.abc import Mapping
from typing import Any

from shared.clients.answer import shows_no_alert
from shared.ledger import keys, settlement
from shared.ledger.record import Entry

_BY_HAND = (
    "The operator can search again (POST operations/alerts/{id}/search), or give the reference by hand"
    " (POST operations/alerts/{id}/reference)."
)
_SEARCHES = {
    "EventNotFound": "Check that the device is in Defender, and that the payload has the event's own time, in UTC, and"
    f" what the event has: a command line, a hash, an address. {_BY_HAND}",
    "EventAmbiguous": "The payload fits more than one event: let it name the command line, a hash or the exact time."
    f" The operator sees the candidates. {_BY_HAND}",
    "SearchFailed": f"Do what the message says. {_BY_HAND}",
    "AnswerLost": f"See why hosts die during searches. {_BY_HAND}",
}
"""What can be done about an alert whose event was not found, by the error's code."""
_ENTITIES = dict.fromkeys(
    ("AnswerUnknown", "AnswerLost", "AlertUnreadable"),
    "Look in Defender for an alert with this title; only if there is none, replay this one.",
)
"""The same about an alert on entities, which has no event."""
_AS_IT_SAYS = (
    "Do what the message says, then replay the alert. Where its texts are wrong, correct them at the sender or in its"
    " mapping, and send it again: a replay sends the same texts."
)
_TRIED_AGAIN = "Nothing to do: it is tried again."
_GIVEN_UP = "It is not tried any more: replay it once Defender answers again."
_CHECK_DEFENDER = (
    "Look in Defender for an alert with this title on this device; only if there is none, replay the alert."
)
_BETWEEN = "Something between us and Defender answered; check DEFENDER_API_URL and any proxy."
_CORRECTABLE = {401, 403, "NotDefender", "Redirect"}
_CALLERS_ERRORS = range(400, 500)
_DEFENDER: Mapping[object, str] = {
    "Timeout": f"{_TRIED_AGAIN} If it goes on, check DEFENDER_API_URL and the app's network.",
    "NoConnection": f"{_TRIED_AGAIN} If it goes on, check DEFENDER_API_URL, DNS and firewall.",
    "ConnectionLost": _TRIED_AGAIN,
    "NotDefender": _BETWEEN,
    "Redirect": _BETWEEN,
    400: "Correct the field that Defender names, at the sender or in its mapping, then send the alert again: a replay"
    " sends the same texts.",
    401: "Defender does not accept the token: check DEFENDER_TOKEN_SCOPE against DEFENDER_API_URL.",
    403: "Grant the app's identity the application role Alert.ReadWrite.All on WindowsDefenderATP; a token that was "
    "issued before may be used for up to 24 hours more.",
    404: "No event has this machineId, eventTime and reportId. Take all three from the same advanced hunting row, "
    "unrounded, and send them: a replay asks for the same three. Rows older than 30 days cannot be found.",
    408: f"{_TRIED_AGAIN} If it goes on, see the service health of Microsoft Defender.",
    429: "Nothing to do: all hosts wait as long as Defender asks, and the alert keeps its place.",
}


def of_discarded(entry: Entry) -> str:
    """Return how a discarded alert is sent all the same."""
    if (entry.error or {}).get("code") in settlement.DOUBTFUL:
        return _ENTITIES[settlement.UNKNOWN]
    return "It is sent only by replay, or if it is posted by another sender or with a higher severity."


def of(entry: Entry, error: Mapping[str, Any]) -> str:
    """Return what can be done about the `error` of an alert."""
    code, found = str(error.get("code")), error.get("status")
    status = found if isinstance(found, int) else None
    if entry.stage != keys.REFERENCE:
        hints = _SEARCHES if entry.stage == keys.SEARCH else _ENTITIES
        return hints.get(code, _AS_IT_SAYS) if entry.has_ended else _TRIED_AGAIN
    if code == "AnswerLost" or shows_no_alert(status, code):
        return _CHECK_DEFENDER if entry.has_ended else _TRIED_AGAIN
    rejected = _DEFENDER[400 if status in _CALLERS_ERRORS else 408]
    said = _DEFENDER.get(code) or _DEFENDER.get(status) or rejected
    if entry.has_ended and {code, status} & _CORRECTABLE:
        return f"{said} Then replay the alert."
    return said.replace(_TRIED_AGAIN, _GIVEN_UP) if entry.has_ended else said
