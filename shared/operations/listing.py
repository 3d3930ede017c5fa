"""What the operator sees of alerts and refused payloads: lists in pages, and one with all that is known of it."""

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from shared.errors import NotFound
from shared.ledger import keys, rows
from shared.ledger.record import Entry, Refusal
from shared.operations import page
from shared.operations.page import Page
from shared.table.protocol import Row, Table
from shared.web import delivery
from shared.web.delivery import Told, utc
from shared.web.parameters import Parameters

if TYPE_CHECKING:
    from shared.sending.dispatcher import Dispatch

MOST = 200
"""How many items a page has at most."""
STATUSES = ("waiting", "created", "failed", "discarded")
ALERTS = ("status", "machineId", "title", "source", "since", "top", "continuation")
REFUSALS = ("source", "since", "top", "continuation")
_DEFAULT_TOP = 50
_REFUSED_ROWS = 200  # each may hold 60 KiB
_SKEW_SECONDS = 60.0  # every host knows the server's time as a lower bound of its own
_ID = re.compile(r"[0-9a-f.-]{1,60}")


def alerts(dispatcher: "Dispatch", asked: Parameters) -> dict[str, Any]:
    """Return a page of alerts that fit what is asked, in the order of their rows.

    Waiting ones come in the order of their turn, failed ones in that of their end, others in none. `waiting` are
    all that have not ended. Every text is compared exactly; `since` with the last acceptance or replay.
    """
    status, since = asked.word("status", STATUSES), asked.time("since")
    machine = (asked.text("machineId") or "").lower()
    matches = matching(asked)

    def pick(row: Row) -> Entry | None:
        entry = rows.read(row)
        fits = (
            status in (None, "waiting", entry.state)
            and (since is None or entry.accepted >= since)
            and machine in ("", entry.alert.machine_id)
            and matches(entry)
        )
        return entry if fits else None

    ranges: tuple[page.Range, ...] = ((keys.ALERT, keys.ALERT_END),)
    if status == "waiting":
        ranges = keys.WAITING
    elif status == "failed":
        ranges = ((_from(keys.FAILED, since), keys.FAILED_END),)
    found = _page(dispatcher.table, ranges, pick, asked)
    # One that was taken between two of our queries was seen twice: it stands as it was seen last.
    entries = {entry.alert.id: entry for entry in found.items}.values()
    return {"alerts": _items(dispatcher, entries), "continuation": found.continuation}


def alert(dispatcher: "Dispatch", entry: Entry) -> dict[str, Any]:
    """Return one alert with its tries: the first and last four, each with Defender's answer."""
    (item,) = _items(dispatcher, [entry])
    return {**item, "tries": [{**one, "at": utc(one["at"])} for one in entry.tries]}


def entry(table: Table, alert_id: str) -> tuple[Entry, str]:
    """Return an alert and its row's ETag. Raise `NotFound`."""
    row = _row(table, keys.ALERT, alert_id, "alert")
    return rows.read(row), row.etag


def matching(asked: Parameters) -> Callable[[Entry], bool]:
    """Return whether an alert has the source and the title asked for: exactly, capitals matter."""
    source, title = asked.text("source"), asked.text("title")
    return lambda entry: source in (None, entry.source) and title in (None, entry.alert.title)


def refusals(table: Table, asked: Parameters) -> dict[str, Any]:
    """Return a page of refused payloads, oldest first, without the payloads themselves."""
    since, source = asked.time("since"), asked.text("source")

    def pick(row: Row) -> Refusal | None:
        found = rows.read_refusal(row)
        return found if (since is None or found.at >= since) and source in (None, found.source) else None

    ranges = ((_from(keys.REFUSED, since), keys.REFUSED_END),)
    found = _page(table, ranges, pick, asked, rows=_REFUSED_ROWS)
    return {"refused": [_refused(one) for one in found.items], "continuation": found.continuation}


def refusal(found: Refusal) -> dict[str, Any]:
    """Return a refused payload as text, with every problem of every event and the parameters it came with."""
    return {
        **_refused(found),
        "refused": list(found.refused),
        "query": {name: value for name, value in found.query.items() if name.lower() != "code"},
        "payload": found.payload.decode("utf-8", "replace"),
    }


def kept(table: Table, refusal_id: str) -> tuple[Refusal, Row]:
    """Return a refused payload and its row. Raise `NotFound`."""
    row = _row(table, keys.REFUSED, refusal_id, "refused payload")
    return rows.read_refusal(row), row


def _page(
    table: Table,
    ranges: tuple[page.Range, ...],
    pick: Callable[[Row], Any],
    asked: Parameters,
    rows: int = page.ROWS,
) -> Page[Any]:
    top = asked.whole("top", _DEFAULT_TOP, MOST)
    return page.read(table, ranges, pick, top=top, continuation=asked.text("continuation"), rows=rows)


def _items(dispatcher: "Dispatch", entries: Iterable[Entry]) -> list[dict[str, Any]]:
    shown = list(entries)
    look = None if all(one.has_ended for one in shown) else dispatcher.snapshot()
    now = dispatcher.table.now()
    return [
        {
            **delivery.told_alert(Told(one), look, now),
            "source": one.source,
            "delivery": one.delivery,
            "accepted": utc(one.accepted),
            "ended": utc(one.ended),
        }
        for one in shown
    ]


def _refused(found: Refusal) -> dict[str, Any]:
    return {
        "id": found.id,
        "at": utc(found.at),
        "source": found.source or None,
        "status": found.status,
        "detail": found.detail,
        "bytes": found.bytes,
        "whole": found.bytes == len(found.payload),
    }


def _row(table: Table, prefix: str, found: str, what: str) -> Row:
    """Return the row of an id out of a URL: only what an id can be made of reaches the query."""
    key = prefix + found
    row = table.get(key) if _ID.fullmatch(found) else None
    if row is None:
        raise NotFound(f"There is no {what} with the id {found[:60]!r}; it may be past RETENTION_DAYS.")
    return row


def _from(prefix: str, since: float | None) -> str:
    """Return where a range whose keys are times can begin."""
    return prefix if since is None else prefix + keys.stamp(since - _SKEW_SECONDS)
