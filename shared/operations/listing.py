"""Alerts for the operator: lists in pages, and single ones with all details; and rows that were moved aside."""

import contextlib
import re
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from shared.alerts.event_time import utc
from shared.alerts.vocabulary import SEVERITIES
from shared.errors import NotFound, Unreadable
from shared.ledger import aside, keys, rows
from shared.ledger.record import Entry
from shared.operations import ordered, page
from shared.operations.page import Page
from shared.search import stored
from shared.senders import Sender
from shared.senders import keys as keys_of
from shared.senders import name as name_of
from shared.table.protocol import Row, Table
from shared.web import delivery, evidence
from shared.web.delivery import DeliveryAlert
from shared.web.parameters import Parameters

if TYPE_CHECKING:
    from shared.sending.dispatcher import Dispatch

MOST = 200
"""How many items a page has at most."""
STATUSES = ("waiting", "created", "failed", "discarded")
FILTERS = ("severity", "sender", "device", "delivery")
ALERTS = (
    "status", "machineId", "title", "source", "since", "top", "continuation", *FILTERS, "until", "order",
)  # fmt: skip
UNREADABLE = ("top", "continuation", "order")
DISCARDED = ("source", "title", "continuation", *FILTERS, "machineId", "since", "until")
ORDERS = ("newest", "oldest")
_DEFAULT_TOP = 50
_REFUSED_ROWS = 200  # each may hold 60 KiB
SKEW_SECONDS = 60.0  # every host knows the server's time as a lower bound of its own
_THOUSANDS = 11  # of alerts that are read for a filter, because few fit
_WIDE = {"status", "order", "top", "continuation"}
_SEARCHED = ("matched", "searched")
_ID = re.compile(r"[0-9a-f.-]{1,60}")


def alerts(dispatcher: "Dispatch", asked: Parameters, senders: Sequence[Sender]) -> dict[str, Any]:
    """Return a page of alerts that fit the filters, the newest first, or as `order` says.

    Waiting ones are sorted by their turn unless there is an `order`, failed ones by their end. `waiting` are all that
    have not ended, in whichever stage. A search that has led to an alert is not listed: the alert is. Beyond a thousand
    alerts, eleven thousand if they are filtered, the order is that of their deliveries.
    """
    status, order = asked.word("status", STATUSES), asked.word("order", ORDERS)
    fits = matching(asked, senders)

    def pick(row: Row) -> Entry | None:
        entry = rows.read(row)
        fitting = status in (None, "waiting", entry.state) and entry.state not in _SEARCHED
        return entry if fitting and fits(entry) else None

    top, continuation = asked.whole("top", _DEFAULT_TOP, MOST), asked.text("continuation")
    if status == "waiting" and order is None:
        listed = page.read(dispatcher.table, page.WAITING, pick, top=top, continuation=continuation)
    elif status == "failed":
        within = (begin(keys.FAILED, asked.time("since")), keys.FAILED_END)
        listed = by_time(dispatcher.table, within, pick, asked, page.ROWS)
    else:
        listed = ordered.alerts(
            dispatcher.table,
            _waits(pick) if status == "waiting" else pick,
            lambda entry: (entry.accepted, entry.alert.id),
            oldest=order == "oldest",
            top=top,
            continuation=continuation,
            thousands=1 if asked.values.keys() <= _WIDE else _THOUSANDS,
        )
    # One that was acquired between two of our queries was read twice: the last reading counts.
    entries = {entry.alert.id: entry for entry in listed.items}.values()
    return {"alerts": items(dispatcher, entries, senders), "continuation": listed.continuation}


def _waits(pick: Callable[[Row], Entry | None]) -> Callable[[Row], Entry | None]:
    def waiting(row: Row) -> Entry | None:
        entry = pick(row)
        return entry if entry and not entry.has_ended else None

    return waiting


def alert(dispatcher: "Dispatch", entry: Entry, senders: Sequence[Sender]) -> dict[str, Any]:
    """Return one alert with its tries: the first and last four, each with Defender's answer."""
    (item,) = items(dispatcher, [entry], senders)
    return {
        **item,
        **_found(dispatcher.table, entry),
        "tries": [{**call, "at": utc(call["at"])} for call in entry.tries],
    }


def _found(table: Table, entry: Entry) -> dict[str, Any]:
    """Return what only the operator sees of an alert's search."""
    search = search_of(table, entry)
    clues: list[dict[str, str]] = []
    with contextlib.suppress(ValueError):  # of a newer version
        clues = evidence.known(stored.read((search or entry).clues or {}))
    return {
        "clues": clues,
        "candidates": list(search.candidates) if search else [],
        "event": (entry.match or {}).get("event"),
        "wrongMatch": entry.wrong_match,
    }


def search_of(table: Table, entry: Entry) -> Entry | None:
    """Return the search that an alert came from, or that it still is; None if there was none, or it is gone."""
    if entry.stage == keys.SEARCH:
        return entry
    stored_row = table.get(keys.alert_key(entry.link)) if entry.link else None
    with contextlib.suppress(Unreadable):
        search = rows.read(stored_row) if stored_row else None
        return search if search and search.stage == keys.SEARCH else None
    return None


def entry(table: Table, alert_id: str) -> tuple[Entry, str]:
    """Return an alert and its row's ETag; of a search that has led to an alert, that alert. Raise `NotFound`."""
    found, etag = own(table, alert_id)
    return own(table, found.link) if found.state == "matched" else (found, etag)


def own(table: Table, alert_id: str) -> tuple[Entry, str]:
    """Return what is stored under an id, and its row's ETag: an alert, or a search. Raise `NotFound`."""
    there = row(table, keys.ALERT, alert_id, "alert")
    return rows.read(there), there.etag


def matching(asked: Parameters, senders: Sequence[Sender]) -> Callable[[Entry], bool]:
    """Return whether an alert fits the filters: texts must be equal, with case; times concern its last acceptance.

    A sender is named by its fingerprint or by its name in `SENDERS`.
    """
    source, title, delivery_id = asked.text("source"), asked.text("title"), asked.text("delivery")
    severity = asked.word("severity", SEVERITIES)
    devices = {name.lower() for name in (asked.text("device"), asked.text("machineId")) if name}
    since, until = asked.time("since"), asked.time("until")
    sender = sent_by(asked, senders)
    return lambda entry: (
        source in (None, entry.source)
        and title in (None, entry.alert.title)
        and delivery_id in (None, entry.delivery)
        and severity in (None, entry.alert.severity)
        and devices <= _devices(entry)
        and (sender is None or entry.sender in sender)
        and (since is None or entry.accepted >= since)
        and (until is None or entry.accepted <= until)
    )


def _devices(entry: Entry) -> set[str]:
    """Return the device of an alert; without a reference, the devices that it names."""
    if entry.stage == keys.REFERENCE:
        return {entry.alert.machine_id}
    hosts = (entry.clues or {}).get("hosts", ())
    return {str(host.get("value", "")).lower() for host in hosts}


def sent_by(asked: Parameters, senders: Sequence[Sender]) -> tuple[str, ...] | None:
    """Return the keys of the sender that is asked for; None if none is."""
    name = asked.text("sender")
    return None if name is None else keys_of(senders, name)


def unreadable(table: Table, asked: Parameters) -> dict[str, Any]:
    """Return a page of rows that were moved aside because they cannot be read, without their contents."""
    listed = by_time(table, (keys.ASIDE, keys.ASIDE_END), aside.read, asked, _REFUSED_ROWS)
    return {
        "rows": [
            {"id": row.id, "row": row.key, "column": row.column or None, "movedAside": utc(row.at)}
            for row in listed.items
        ],
        "continuation": listed.continuation,
    }


def moved(table: Table, row_id: str) -> Row:
    """Return a row that was moved aside. Raise `NotFound`."""
    return row(table, keys.ASIDE, row_id, "row moved aside")


def by_time(
    table: Table, within: page.Range, pick: Callable[[Row], Any], asked: Parameters, rows_read: int
) -> Page[Any]:
    """Return a page of rows whose keys are times."""
    top, continuation = asked.whole("top", _DEFAULT_TOP, MOST), asked.text("continuation")
    if asked.word("order", ORDERS) == "oldest":
        return page.read(table, [within], pick, top=top, continuation=continuation, rows=rows_read)
    return ordered.newest(table, within, pick, top=top, continuation=continuation, rows=rows_read)


def items(
    dispatcher: "Dispatch", entries: Iterable[Entry], senders: Sequence[Sender]
) -> list[dict[str, Any]]:
    """Return alerts as the operator sees them."""
    shown = list(entries)
    snapshot = None if all(entry.has_ended for entry in shown) else dispatcher.snapshot()
    now = dispatcher.table.now()
    return [
        {
            **delivery.alert_document(DeliveryAlert(entry), snapshot, now),
            "senderName": name_of(senders, entry.sender),
            "source": entry.source,
            "delivery": entry.delivery,
            "accepted": utc(entry.accepted),
            "ended": utc(entry.ended),
            "trial": entry.trial,
        }
        for entry in shown
    ]


def row(table: Table, prefix: str, row_id: str, kind: str) -> Row:
    """Return the row of an id from a URL: only characters of ids reach the query."""
    key = prefix + row_id
    row = table.get(key) if _ID.fullmatch(row_id) else None
    if row is None:
        raise NotFound(f"There is no {kind} with the id {row_id[:60]!r}; it may be past RETENTION_DAYS.")
    return row


def begin(prefix: str, since: float | None) -> str:
    """Return where a range whose keys are times can begin."""
    return prefix if since is None else prefix + keys.stamp(since - SKEW_SECONDS)
