"""The floor: the same rows and the same call, made with the SDKs alone.

The rows and bodies are made before the clock runs, with the app's own code, so that both sides send the same
properties, sizes and operations. Timed are `TableClient`, `requests.Session`, and passing on ETags.
"""

import itertools
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import requests
from azure.core.pipeline.transport import RequestsTransport
from azure.data.tables import TableClient

from shared import app, settings
from shared.alerts.alert import Alert
from shared.clients.answer import Answer
from shared.ledger import keys, record, rows, settlement
from shared.ledger.record import Delivery, Entry
from shared.sending import window
from shared.table.azure import AzureTable
from shared.table.protocol import Insert, Operation, Replace, Value

MARK = "0123456789abcdef"
_SNAPSHOT_ROWS = 2 * 15 + 1
_CONNECTIONS = 64
_PARTITION = "floor"
_TURN = f"{keys.TURN}floor-Medium"


def accepted(fields: Mapping[str, str], now: float) -> tuple[Entry, Delivery]:
    """Return the entry and the delivery that the app would make of one alert of eight fields."""
    alert = Alert.from_body(fields)
    delivery = keys.delivery_id(now)
    entry = record.accept(alert, source="defender", delivery=delivery, now=now)
    return entry, Delivery(delivery, "defender", now, (alert.id,))


@dataclass(frozen=True, slots=True)
class Floor:
    """One table and one partition of it, and Defender, reached with the SDKs alone."""

    table: TableClient
    app_table: AzureTable
    session: requests.Session
    url: str
    token: str
    policy: window.Policy
    turn: dict[str, str]
    """The ETag of the row with the turn of those that wait, by its key; none before the first is written."""

    @classmethod
    def open(cls) -> "Floor":
        """Open the table and Defender of this process's settings, without retries and look-ups."""
        chosen, dispatcher = settings.current(), app.webhook().dispatcher
        dispatcher.snapshot()  # makes the table
        transport = RequestsTransport()
        transport.open()
        for adapter in transport.session.adapters.values():  # a connection for each thread of a burst
            adapter.init_poolmanager(_CONNECTIONS, _CONNECTIONS)
        table = TableClient.from_connection_string(
            chosen.storage.connection_string or "", chosen.alerts_table, transport=transport, retry_total=0
        )
        session = requests.Session()
        session.trust_env = False
        url = f"{chosen.defender_api_url}/api/alerts/CreateAlertByReference"
        app_table = AzureTable(chosen.storage, name="", partition=_PARTITION, credential=lambda: None)
        return cls(table, app_table, session, url, dispatcher.token(), dispatcher.policy, {})

    def snapshot(self) -> list[Any]:
        """Query the window and the head of the backlog: the same filter, the same page."""
        start, end = keys.SLOT, keys.TODO_END
        entities = self.table.query_entities(
            f"PartitionKey eq '{_PARTITION}' and RowKey ge '{start}' and RowKey lt '{end}'",
            results_per_page=_SNAPSHOT_ROWS,
        )
        return list(itertools.islice(entities, _SNAPSHOT_ROWS))  # no further page

    def fill(self, closed: float) -> None:
        """Write the fifteen slots, closed for so many seconds, and a turn."""
        values: dict[str, Value] = {"closed": closed, "attempt": MARK}
        slots = (f"{keys.SLOT}{number:02}" for number in range(self.policy.calls))
        written = self.table.submit_transaction(
            self.batch([Insert(_TURN, {"due": 0.0}), *(Insert(key, values) for key in slots)])
        )
        self.turn[_TURN] = written[0]["etag"]

    def batch(self, operations: Iterable[Operation]) -> list[Any]:
        """Return operations in the SDK's form, as the app hands them over."""
        return [self.app_table._entry(operation, MARK) for operation in operations]  # noqa: SLF001 - no other has it

    def call(self, payload: str) -> dict[str, Any]:
        """Post one alert to Defender; return its alert object."""
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        answered = self.session.post(self.url, data=payload, headers=headers, timeout=30)
        answered.raise_for_status()
        created: dict[str, Any] = answered.json()
        return created

    def straight(self, entry: Entry, delivery: Delivery, created: dict[str, Any]) -> Callable[[], None]:
        """Prepare one alert's straight way; the result runs it: query, transaction, call, transaction.

        `created` is an alert object of Defender's, for an outcome of the size that ours writes.
        """
        held = record.hold(entry, MARK, now=entry.accepted, lease=self.policy.lease)
        answer = Answer("created", 200, created, False, None, None, True, True, 0.01)
        ended = settlement.settle(held, answer, now=entry.accepted, rules=settlement.Rules())
        acquired, released = (
            Replace(f"{keys.SLOT}00", {"closed": seconds, "attempt": MARK}, "?")
            for seconds in (self.policy.lease, self.policy.cooldown)
        )
        take = self.batch([*rows.insert(held), rows.insert_delivery(delivery), acquired])
        settle = self.batch([*rows.move(held, ended, waiting="?"), released])
        payload = json.dumps(entry.alert.body())

        def run() -> None:
            slots = self.snapshot()
            take[-1][-1]["etag"] = slots[0].metadata["etag"]
            written = self.table.submit_transaction(take)
            self.call(payload)
            settle[1][-1]["etag"] = written[1]["etag"]
            settle[-1][-1]["etag"] = written[-1]["etag"]
            self.table.submit_transaction(settle)

        return run

    def waiting(self, entry: Entry, delivery: Delivery, *, snapshot: bool) -> Callable[[], None]:
        """Prepare one alert's way into the backlog; the result runs it: (query,) transaction."""
        turn = Replace(_TURN, {"due": entry.due}, self.turn.get(_TURN, "*"))
        batch = self.batch([turn, *rows.insert(entry), rows.insert_delivery(delivery)])

        def run() -> None:
            if snapshot:
                self.snapshot()
            self.turn[_TURN] = self.table.submit_transaction(batch)[0]["etag"]

        return run
