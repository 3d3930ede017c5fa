"""How much each sender sends: deliveries, refused payloads and waiting alerts since a time."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from shared import senders
from shared.alerts.event_time import utc
from shared.errors import Unreadable
from shared.ledger import keys, rows
from shared.operations import page
from shared.senders import Sender
from shared.table.protocol import Row, Table
from shared.web.parameters import Parameters

_T = TypeVar("_T")
PARAMETERS = ("since",)
_SECONDS = 86_400.0
_REFUSED_ROWS = 200  # each may hold 60 KiB


@dataclass(slots=True)
class _Sums:
    """The sums of one sender."""

    deliveries: int = 0
    alerts: int = 0
    refused: int = 0
    waiting: int = 0
    last: float = 0.0


def listed(table: Table, asked: Parameters, named: Sequence[Sender]) -> dict[str, Any]:
    """Return each sender with its sums since a time (default: a day ago); the last sender comes first.

    `atLeast` says that there is more than one request counts. Senders that `SENDERS` names are always listed.
    """
    now = table.now()
    since = asked.time("since") or now - _SECONDS
    deliveries = table.query(
        keys.DELIVERY + keys.delivery_time(since), keys.DELIVERY_END, limit=page.ROWS + 1
    )
    refused = table.query(keys.REFUSED + keys.stamp(since), keys.REFUSED_END, limit=_REFUSED_ROWS + 1)
    waiting = page.read(table, page.WAITING, rows.read, top=page.ROWS)
    sums: dict[str, _Sums] = {key: _Sums() for sender in named for key in sender.keys}
    for delivery in _readable(deliveries[: page.ROWS], rows.read_delivery):
        did = sums.setdefault(delivery.sender, _Sums())
        did.deliveries += 1
        did.alerts += len(delivery.alerts)
        did.last = max(did.last, delivery.accepted)
    for payload in _readable(refused[:_REFUSED_ROWS], rows.read_refused):
        did = sums.setdefault(payload.sender, _Sums())
        did.refused += 1
        did.last = max(did.last, payload.at)
    for entry in waiting.items:
        sums.setdefault(entry.sender, _Sums()).waiting += 1
    at_least = len(deliveries) > page.ROWS or len(refused) > _REFUSED_ROWS or waiting.continuation is not None
    ranked = sorted(sums.items(), key=lambda item: (-item[1].last, item[0]))
    return {
        "since": utc(since),
        "atLeast": at_least,
        "senders": [_shown(key, did, named) for key, did in ranked],
    }


def _shown(key: str, sums: _Sums, named: Sequence[Sender]) -> dict[str, Any]:
    rights = senders.of(named, key)
    return {
        "sender": key or None,
        "senderName": senders.name(named, key),
        "sources": list(rights.sources) if rights and rights.sources is not None else None,
        "deliveries": sums.deliveries,
        "alerts": sums.alerts,
        "refused": sums.refused,
        "waiting": sums.waiting,
        "last": utc(sums.last or None),
    }


def _readable(unread: Sequence[Row], read: Callable[[Row], _T]) -> Iterator[_T]:
    for row in unread:
        with contextlib.suppress(Unreadable):
            yield read(row)
