"""The keys of rows: their prefixes, which are ranges, and the times and ids that follow."""

import re
import secrets

LATER, LATER_END = "later-", "later."
SLOT, SLOT_END = "slot-", "slot."
TODO, TODO_END = "todo-", "todo."
"""From `later-` to `todo.` is what one snapshot reads: no other prefix may sort between them."""
WAITING = ((TODO, TODO_END), (LATER, LATER_END))  # in the order in which an alert moves
FAILED, FAILED_END = "failed-", "failed."
REFUSED, REFUSED_END = "kept-", "kept."
ASIDE, ASIDE_END = "aside-", "aside."
DELIVERY, DELIVERY_END = "delivery-", "delivery."
ALERT, ALERT_END = "alert-", "alert."
TURN = "turn-"
RESUMED = "window-resumed"
"""The row that was written when the operator last resumed: its stamp is the time."""
_WAITING_KEY = re.compile(r"(todo|later)-[0-9.]+-[0-9A-Za-z]+")
_DELIVERY_ID = re.compile(r"[0-9]{13}-[0-9a-f]{32}")


def stamp(seconds: float) -> str:
    """Return a time (UTC seconds) in the sortable form that keys use."""
    return f"{max(seconds, 0.0):014.3f}"


def alert_key(alert_id: str) -> str:
    """Return the key of an alert's row."""
    return f"{ALERT}{alert_id}"


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


def todo_key(due: float, alert_id: str) -> str:
    """Return the key under which an alert waits for a slot: in the order of `due` (UTC seconds)."""
    return f"{TODO}{stamp(due)}-{alert_id}"


def later_key(at: float, alert_id: str) -> str:
    """Return the key under which an alert waits for a time (UTC seconds): a retry's, or the end of a lease."""
    return f"{LATER}{stamp(at)}-{alert_id}"


def is_waiting_key(text: str) -> bool:
    """Tell whether an alert may wait under this key."""
    return bool(_WAITING_KEY.fullmatch(text))


def waiting_alert(key: str) -> str:
    """Return the id of the alert that waits under a key."""
    return key.rpartition("-")[2]


def failed_key(ended: float | None, alert_id: str) -> str:
    """Return the key under which an alert is listed that failed at a time (UTC seconds)."""
    return f"{FAILED}{stamp(ended or 0.0)}-{alert_id}"


def later_before(now: float) -> str:
    """Return the key before which every `later-` row is due."""
    return LATER + stamp(now)


def refused_id(now: float, sender: str = "") -> str:
    """Return a new refused payload's id, sortable by its time (UTC seconds). It names the sender."""
    return "-".join(filter(None, (stamp(now), sender, secrets.token_hex(8))))


def refused_sender(key: str) -> str:
    """Return the sender of a refused payload by its row's key, empty where none is known."""
    parts = key.split("-")  # kept, time, sender, random
    return parts[2] if len(parts) == 4 else ""  # noqa: PLR2004 - as just said
