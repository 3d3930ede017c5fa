"""Microsoft Graph's advanced hunting on made tables: Microsoft's parser reads a query, DuckDB runs it.

    POST /v1.0/security/runHuntingQuery    {"Query": "<KQL>", "Timespan": "<from>/<to>"}
    POST /_simulator/world                 {"events": [{table, device, time, …columns}], "searchableAfter": seconds}
    GET  /_simulator/searches              the calls that arrived

The tenant has 40 devices and the last day of each, and what was added. A call is judged as those to Defender are, by
45 calls a minute. The checks decide in this order: token (401), role (403), quota (429), body and query (400).
"""

import re
import time
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from dev.simulator.api import Api
from dev.simulator.arrival import Arrival
from dev.simulator.moments import SECOND
from dev.simulator.parser import Parser
from dev.simulator.reply import Reply, error_reply, json_reply
from dev.simulator.rules import Rejected
from dev.simulator.schema import TABLES, Record
from dev.simulator.world import World
from dev.stack import token_endpoint

if TYPE_CHECKING:
    from dev.simulator.simulator import Simulator
    from dev.simulator.tenant import Tenant

_CALLS = 45
_LONGEST = timedelta(days=30)
_LONGEST_QUERY = 10_000
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,7})?Z", re.ASCII)
_CONTEXT = "https://graph.microsoft.com/v1.0/$metadata#microsoft.graph.security.huntingQueryResults"
_QUOTA = "API calls quota exceeded! maximum allowed {} per 00:01:00"
_RESOURCES = (
    "You have exceeded processing resources allocated to this tenant. You can run queries again in 7 minutes."
)
_UNRESOLVED = "Failed to resolve table or column expression named '{}'. Fix semantic errors in your query."


class Hunting(Api):
    """Graph's hunting of one simulator. The tables are made, and the parser starts, at the first need."""

    path = "/v1.0/security/runHuntingQuery"
    on = "hunting"
    audience, role = token_endpoint.GRAPH_AUDIENCE, token_endpoint.GRAPH_ROLE
    fault_words: ClassVar[Mapping[str, str]] = {"quota": _QUOTA.format(_CALLS), "resources": _RESOURCES}

    def __init__(self, simulator: "Simulator", calls: int = _CALLS, window: float = 60.0) -> None:
        super().__init__(simulator, calls, window)
        self._world = World()
        self._tenant: Tenant | None = None
        self._parser = Parser(TABLES)
        self._later: list[tuple[float, list[Record]]] = []

    def close(self) -> None:
        """End the parser."""
        self._parser.close()

    def add(
        self, events: Sequence[Mapping[str, Any]], searchable_after: float = 0.0, *, recorded: bool = True
    ) -> list[dict[str, str]]:
        """Let events happen, each with its decoys; they are searchable some seconds later. Return their references.

        With `recorded` off only their decoys are.
        """
        with self._lock:
            records, references = self._world.place(events, recorded=recorded)
            self._later.append((time.monotonic() + searchable_after, records))
        self._simulator.defender.register(known=references)
        names = ("machineId", "eventTime", "reportId")
        return [dict(zip(names, reference, strict=True)) for reference in references]

    def _quota(self, seconds: int) -> str:  # noqa: ARG002 - only its header tells
        return _QUOTA.format(self._judge.calls)

    def _process(self, arrival: Arrival, document: Mapping[str, Any] | None) -> Reply:
        """Return the rows of a query. Raise `Rejected` unless the call is what Graph documents, to the letter."""
        body = document or {}
        if {name: type(text) for name, text in body.items()} != {"Query": str, "Timespan": str}:
            raise Rejected(400, "BadRequest", "The body is a JSON object of two texts, Query and Timespan.")
        since, until = _span(body["Timespan"])
        query = body["Query"]
        if len(query) > _LONGEST_QUERY or query.lstrip().startswith("."):
            words = f"A query has at most {_LONGEST_QUERY} characters, and is no command."
            raise Rejected(400, "BadRequest", words)
        with self._lock:
            arrival.query, arrival.timespan = query, body["Timespan"]
            tenant = self._ready()
        began = time.monotonic()
        checked = self._parser.check(query)
        missing = [table for table in self._simulator.switches.missing_tables if table in checked["tables"]]
        if missing:
            raise Rejected(400, "BadRequest", _UNRESOLVED.format(missing[0]))
        if checked["errors"] or checked["statements"] != 1:
            raise Rejected(400, "BadRequest", "; ".join(checked["errors"]) or "A query is one statement.")
        answer = tenant.run(query, since, until)
        with self._lock:
            arrival.rows, arrival.seconds = len(answer.rows), time.monotonic() - began
        results = [_annotated(row, answer.types) for row in answer.rows]
        schema = [{"name": name, "type": kind} for name, kind in answer.types.items()]
        return json_reply(200, {"@odata.context": _CONTEXT, "schema": schema, "results": results})

    def _refuse(self, rejected: Rejected) -> Reply:
        ids = dict.fromkeys(("request-id", "client-request-id"), str(uuid.uuid4()))
        return error_reply(rejected, innerError={"date": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S}", **ids})

    def _ready(self) -> "Tenant":
        """Return the tables, with all that is searchable by now."""
        from dev.simulator.tenant import Tenant  # noqa: PLC0415  slow to import, and most runs need none

        if self._tenant is None:
            self._tenant = Tenant(self._world.day(int(time.time() - 86_400) * SECOND))
        now = time.monotonic()
        due = [records for at, records in self._later if at <= now]
        self._later = [(at, records) for at, records in self._later if at > now]
        self._tenant.add(record for records in due for record in records)
        return self._tenant


def _span(text: str) -> tuple[datetime, datetime]:
    """Return the moments between which a Timespan is: both are written, as this app does."""
    try:
        since, until = map(datetime.fromisoformat, text.split("/"))
        good = all(map(_MOMENT.fullmatch, text.split("/"))) and timedelta() < until - since <= _LONGEST
    except (ValueError, TypeError):
        good = False
    if not good:
        raise Rejected(400, "BadRequest", f"The Timespan {text[:100]!r} is none of at most 30 days.")
    return since, until


def _annotated(row: Mapping[str, Any], types: Mapping[str, str]) -> dict[str, Any]:
    """Return a row as Graph's JSON has it: beside a long number its type."""
    long = [name for name, value in row.items() if types[name] == "Int64" and value is not None]
    return {**{f"{name}@odata.type": "#Int64" for name in long}, **row}
