"""The keys of rows: their prefixes, which are ranges, and the times and ids that follow.

Each stage has its own waiting rows, slots, pauses and turns: their keys begin with the stage's prefix.
"""

import re
import secrets
from dataclasses import dataclass

LATER, LATER_END = "later-", "later."
SLOT, SLOT_END = "slot-", "slot."
TODO, TODO_END = "todo-", "todo."
"""From `later-` to `todo.` is what one snapshot reads: no other prefix may sort between them."""
FAILED, FAILED_END = "failed-", "failed."
ENDED, ENDED_END = "ended-", "ended."
"""Names of the alerts that ended otherwise, in the order of their ends; one that was accepted again keeps its name."""
REFUSED, REFUSED_END = "kept-", "kept."
ASIDE, ASIDE_END = "aside-", "aside."
DELIVERY, DELIVERY_END = "delivery-", "delivery."
ALERT, ALERT_END = "alert-", "alert."
COPY = "copy-"
"""Copies of ended alerts, in the order of their deliveries."""
TRIAL = "trial-"
"""Outcomes of a trial's searches: each outcome is a range of its own, in the order of acceptance."""
OUTCOMES = ("exact", "probable", "ambiguous", "none")
TURN = "turn-"
PAUSE, STOP = "slot-pause", "slot-stop"
"""The API's pause and the operator's."""
MISSING = "slot-tables"
"""What a tenant does not have, each with the time until which it is not asked for."""
RESUMED = "window-resumed"
"""The row that was written when the operator last resumed: its stamp is the time."""
_WAITING_KEY = re.compile(r"(?:[a-z]+-)?(?:todo|later)-[0-9.]+-[0-9A-Za-z]+")
_DELIVERY_ID = re.compile(r"[0-9]{13}-[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage that alerts wait in, for the calls of one API: its name, and what the keys of its rows begin with.

    `once`: a call whose answer is unknown is never made again, because the API merges nothing. `setting` is the name
    of the setting that switches the stage on, empty where it is always on.
    """

    name: str
    prefix: str
    once: bool = False
    setting: str = ""

    def span(self, first: str, end: str) -> tuple[str, str]:
        """Return the range of the stage's rows between two prefixes."""
        return self.prefix + first, self.prefix + end

    @property
    def waiting(self) -> tuple[tuple[str, str], tuple[str, str]]:
        """The ranges of waiting rows, in the order in which an alert moves."""
        return self.span(TODO, TODO_END), self.span(LATER, LATER_END)

    @property
    def slots(self) -> tuple[str, str]:
        """The range of the slots and pauses."""
        return self.span(SLOT, SLOT_END)

    @property
    def pause(self) -> str:
        """The key of the API's pause."""
        return self.prefix + PAUSE

    @property
    def stop(self) -> str:
        """The key of the operator's pause."""
        return self.prefix + STOP

    @property
    def missing(self) -> str:
        """The key of the row of what the API does not have."""
        return self.prefix + MISSING

    def slot_key(self, number: int) -> str:
        """Return the key of a slot, counted from 0."""
        return f"{self.prefix}{SLOT}{number:02}"

    def todo_key(self, due: float, alert_id: str) -> str:
        """Return the key under which an alert waits for a slot: in the order of `due` (UTC seconds)."""
        return f"{self.prefix}{TODO}{stamp(due)}-{alert_id}"

    def later_key(self, at: float, alert_id: str) -> str:
        """Return the key under which an alert waits for a time (UTC seconds): a retry's, or the end of a lease."""
        return f"{self.prefix}{LATER}{stamp(at)}-{alert_id}"

    def later_before(self, now: float) -> str:
        """Return the key before which every `later-` row is due."""
        return f"{self.prefix}{LATER}{stamp(now)}"

    def is_later(self, key: str) -> bool:
        """Tell whether an alert that waits under this key waits for a time."""
        return key.startswith(self.prefix + LATER)

    def turn_key(self, sender: str, severity: str) -> str:
        """Return the key of the next turn of a sender's alerts of a severity."""
        return f"{self.prefix}{TURN}{sender}-{severity}"


REFERENCE = Stage("reference", "")
SEARCH = Stage("search", "find-", setting="FIND_EVENTS")
WAITING = REFERENCE.waiting
ENTITY = Stage("entity", "entity-", once=True, setting="NO_EVENT")
STAGES = (REFERENCE, SEARCH, ENTITY)
_STAGES = {stage.name: stage for stage in STAGES}


def stage(name: str) -> Stage:
    """Return the stage of a name; one that this version does not know has its name as prefix."""
    return _STAGES.get(name) or Stage(name, f"{name}-")


def stamp(seconds: float) -> str:
    """Return a time (UTC seconds) in the sortable form that keys use."""
    return f"{max(seconds, 0.0):014.3f}"


def alert_key(alert_id: str) -> str:
    """Return the key of an alert's row."""
    return f"{ALERT}{alert_id}"


def copy_key(delivery: str, alert_id: str) -> str:
    """Return the key of the copy of an alert that a delivery brought."""
    return f"{COPY}{delivery}-{alert_id}"


def copies(delivery: str) -> tuple[str, str]:
    """Return the range of the copies of a delivery's alerts."""
    return f"{COPY}{delivery}-", f"{COPY}{delivery}."


def delivery_key(delivery_id: str) -> str:
    """Return the key of a delivery's row."""
    return f"{DELIVERY}{delivery_id}"


def delivery_id(now: float) -> str:
    """Return a new delivery's id: sortable accept time and 128 random bits. Whoever knows it may see the delivery."""
    return f"{delivery_time(now)}-{secrets.token_hex(16)}"


def is_delivery_id(text: str) -> bool:
    """Tell whether a text has the form of a delivery's id: no other needs a query."""
    return bool(_DELIVERY_ID.fullmatch(text))


def delivery_time(seconds: float) -> str:
    """Return the beginning of the ids of deliveries accepted at a time (UTC seconds)."""
    return f"{int(max(seconds, 0.0) * 1000):013d}"


def is_waiting_key(text: str) -> bool:
    """Tell whether an alert may wait under this key."""
    return bool(_WAITING_KEY.fullmatch(text))


def waiting_alert(key: str) -> str:
    """Return the id of the alert that waits under a key."""
    return key.rpartition("-")[2]


def failed_key(ended: float | None, alert_id: str) -> str:
    """Return the key under which an alert is listed that failed at a time (UTC seconds)."""
    return f"{FAILED}{stamp(ended or 0.0)}-{alert_id}"


def ended_key(ended: float | None, alert_id: str) -> str:
    """Return the key that names an alert which ended at a time (UTC seconds), and has not failed."""
    return f"{ENDED}{stamp(ended or 0.0)}-{alert_id}"


def trial_key(outcome: str, accepted: float, alert_id: str) -> str:
    """Return the key under which the outcome of a trial's search is counted, accepted at a time (UTC seconds)."""
    return f"{TRIAL}{outcome}-{stamp(accepted)}-{alert_id}"


def trials(outcome: str, since: float) -> tuple[str, str]:
    """Return the range of the trial's searches with an outcome that were accepted since a time (UTC seconds)."""
    return f"{TRIAL}{outcome}-{stamp(since)}", f"{TRIAL}{outcome}."


def refused_id(now: float, sender: str = "") -> str:
    """Return a new refused payload's id, sortable by its time (UTC seconds). It names the sender."""
    return "-".join(filter(None, (stamp(now), sender, secrets.token_hex(8))))


def refused_sender(key: str) -> str:
    """Return the sender of a refused payload by its row's key, empty where none is known."""
    parts = key.split("-")  # kept, time, sender, random
    return parts[2] if len(parts) == 4 else ""  # noqa: PLR2004 - as just said
