"""What an alert waits for, why, and until when; and when it is worth asking again."""

import math
from typing import TYPE_CHECKING, Any

from shared.alerts.event_time import utc
from shared.ledger import keys
from shared.ledger.record import Entry

if TYPE_CHECKING:
    from shared.sending.snapshot import Snapshot

_DRAIN_SECONDS = 5.0  # a slot is open: who drains the backlog reads it every so often
_SLACK_SECONDS = 2.0  # between an alert's own time and that of the pause which its answer began
_DENIED = (401, 403)  # each probe begins a pause anew, whatever the alert's own time is
_SEARCHED = {
    "EventNotFound": "no such event could be found yet; it is searched again",
    "EventAmbiguous": "more than one event fits so far; it is searched again",
}


def shown(entry: Entry, snapshot: "Snapshot | None", now: float) -> dict[str, Any] | None:
    """Return what an alert waits for; None when it has ended.

    `snapshot` is that of the stage *reference*, if it was read; `now` is the server's time in UTC seconds.
    """
    if entry.has_ended:
        return None
    if _is_off(entry, snapshot):
        setting = f"setting {entry.stage.setting}" if entry.stage.setting else "this version does not have it"
        reason = (
            f"the stage {entry.stage.name} is switched off ({setting}); the alert waits until it is on again"
        )
        return {"what": "pause", "reason": reason, "until": None}
    if entry.stage == keys.SEARCH:
        return _for_the_event(entry, now)
    if entry.state == "sending":
        api = "Defender" if entry.stage == keys.REFERENCE else "Graph"
        return {"what": "answer", "reason": f"{api} is being called", "until": None}
    return _to_be_called(entry, snapshot, now)


def _to_be_called(entry: Entry, snapshot: "Snapshot | None", now: float) -> dict[str, Any]:
    again = entry.next_attempt if entry.next_attempt and entry.next_attempt > now else 0.0
    view = snapshot.view if snapshot and entry.stage == keys.REFERENCE else None
    pause = view.pause if view and view.paused else None
    if pause and (pause.ends + _SLACK_SECONDS >= again or (entry.error or {}).get("status") in _DENIED):
        until = None if pause.by_operator else utc(max(pause.ends, again))
        return {"what": "pause", "reason": pause.reason, "until": until}
    if again:
        return {"what": "retry", "reason": _reason(entry), "until": utc(again)}
    return _for_a_slot(entry, snapshot, now)


def _for_a_slot(entry: Entry, snapshot: "Snapshot | None", now: float) -> dict[str, Any]:
    if entry.stage != keys.REFERENCE:  # its window was not read
        reason = "Graph takes only so many alerts a minute; the alert waits for its turn"
        return {"what": "slot", "reason": reason, "until": None}
    reason = "Defender takes 15 calls a minute; the alert waits for its turn"
    return {"what": "slot", "reason": reason, "until": utc(_turn(entry, snapshot, now))}


def seconds(entry: Entry, snapshot: "Snapshot | None", now: float) -> float:
    """Return in how many seconds a waiting alert is expected to end. The parameters are those of `shown`."""
    if _is_off(entry, snapshot):
        return math.inf
    if entry.next_attempt:
        pause = snapshot.view.pause if snapshot and entry.stage == keys.REFERENCE else None
        return max(0.0, entry.next_attempt - now, pause.ends - now if pause else 0.0)
    if entry.stage != keys.REFERENCE:
        return _DRAIN_SECONDS
    if entry.state == "sending" or snapshot is None:
        return 2.0
    return max(_DRAIN_SECONDS, snapshot.turn_in(entry.due) + 1.0)


def _is_off(entry: Entry, snapshot: "Snapshot | None") -> bool:
    return snapshot is not None and entry.stage.name not in snapshot.on


def _for_the_event(entry: Entry, now: float) -> dict[str, Any]:
    """Return that an alert waits for its event to be found."""
    again = entry.next_attempt if entry.next_attempt and entry.next_attempt > now else None
    if entry.state == "sending":
        reason = "advanced hunting is searching for its event"
    elif again is None:
        reason = "its event is to be found by advanced hunting; the search waits for its turn"
    else:
        code = str((entry.error or {}).get("code"))
        reason = _SEARCHED.get(code, "the last search for its event failed; it is made again")
    return {"what": "event", "reason": reason, "until": utc(again)}


def _turn(entry: Entry, snapshot: "Snapshot | None", now: float) -> float | None:
    """Return the time of an alert's turn (UTC seconds), or None if more may wait before it than the snapshot shows."""
    if snapshot is None or snapshot.remembered:
        return None
    covers = snapshot.whole or (bool(snapshot.waiting) and entry.due <= snapshot.waiting[-1].entry.due)
    return now + snapshot.turn_in(entry.due) if covers else None


def _reason(entry: Entry) -> str:
    error = entry.error or {}
    return f"the last answer was {error.get('status') or error.get('code') or 'none'}"
