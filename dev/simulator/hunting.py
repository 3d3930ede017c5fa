"""Microsoft Graph's advanced hunting on made tables: Microsoft's parser reads a query, DuckDB runs it.

    POST /v1.0/security/runHuntingQuery    {"Query": "<KQL>", "Timespan": "<from>/<to>"}
    POST /_simulator/world                 {"events": [{table, device, time, …columns}], "searchableAfter": seconds}
    GET  /_simulator/searches              the calls that arrived

The tenant has 40 devices and the last day of each, and what was added. A call is judged as those to Defender are, by
45 calls a minute. The checks decide in this order: token (401), role (403), quota (429), body and query (400).
"""

import math
import re
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from dev.simulator import rules
from dev.simulator.judge import Judge
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

HUNTING_PATH = "/v1.0/security/runHuntingQuery"
CALLS, WINDOW = 45, 60.0
_LONGEST = timedelta(days=30)
_LONGEST_QUERY = 10_000
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,7})?Z", re.ASCII)
_CONTEXT = "https://graph.microsoft.com/v1.0/$metadata#microsoft.graph.security.huntingQueryResults"
_QUOTA = "API calls quota exceeded! maximum allowed {} per 00:01:00"
_RESOURCES = (
    "You have exceeded processing resources allocated to this tenant. You can run queries again in 7 minutes."
)
_UNRESOLVED = "Failed to resolve table or column expression named '{}'. Fix semantic errors in your query."


@dataclass(slots=True)
class Search:
    """A call, logged when its headers were read; `at` is on the machine's monotonic clock.

    `seconds` are what parser and engine took for it.
    """

    sequence: int
    at: float
    over_limit: bool = False
    query: str | None = None
    timespan: str | None = None
    fault: str | None = None
    status: int | None = None
    rows: int | None = None
    seconds: float = 0.0


class Hunting:
    """Graph's hunting of one simulator. The tables and the parser are made at the first need. Thread-safe."""

    def __init__(self, simulator: "Simulator", calls: int = CALLS, window: float = WINDOW) -> None:
        self._simulator = simulator
        self._judge = Judge(calls, window)
        self._log: list[Search] = []
        self._world = World()
        self._tenant: Tenant | None = None
        self._parser: Parser | None = None
        self._later: list[tuple[float, list[Record]]] = []
        self._lock = threading.Lock()  # guards all of the above

    @property
    def log(self) -> list[Search]:
        """Every call in its order, as known at this moment."""
        with self._lock:
            return [replace(search) for search in self._log]

    def close(self) -> None:
        """End the parser."""
        with self._lock:
            if self._parser:
                self._parser.__exit__()

    def add(
        self,
        events: Sequence[Mapping[str, Any]],
        searchable_after: float = 0.0,
        *,
        recorded: bool = True,
    ) -> list[dict[str, str]]:
        """Let events happen, each with its decoys; they are searchable some seconds later. Return their references.

        With `recorded` off only their decoys are.
        """
        with self._lock:
            records, references = self._world.place(events, recorded=recorded)
            self._later.append((time.monotonic() + searchable_after, records))
        self._simulator.register(known=references)
        names = ("machineId", "eventTime", "reportId")
        return [dict(zip(names, reference, strict=True)) for reference in references]

    def arrive(self, authorization: str | None) -> tuple[Search, Rejected | None]:
        """Stamp, log and judge a call whose headers were read; return why it is rejected already, if it is."""
        self._simulator.pause(self._simulator.switches.transit)
        with self._lock:
            search = Search(len(self._log), time.monotonic())
            self._log.append(search)
            try:
                rules.admit(
                    authorization, time.time(), token_endpoint.GRAPH_AUDIENCE, token_endpoint.GRAPH_ROLE
                )
            except Rejected as rejected:
                return search, rejected
            wait = self._judge.arrive(search.at)
            search.over_limit = wait is not None
            quota = _QUOTA.format(self._judge.calls)
            return search, None if wait is None else Rejected(
                429, "TooManyRequests", quota, retry_after=math.ceil(wait)
            )

    def answer(
        self, search: Search, rejected: Rejected | None, method: str, content_type: str | None, body: bytes
    ) -> Reply:
        """Return what to send for a call that has arrived, be it the answer or a fault."""
        self._simulator.pause(self._simulator.switches.latency)
        fault, released = self._simulator.draw("hunting")

        def process() -> Reply:
            try:
                if rejected:
                    raise rejected
                return self._run(search, method, content_type, rules.json_object(body))
            except Rejected as rejection:
                return _error_reply(rejection)

        def fail(status: int) -> Reply:
            words = {"quota": _QUOTA.format(CALLS), "resources": _RESOURCES}
            code = HTTPStatus(status).phrase.replace(" ", "")
            return _error_reply(
                Rejected(status, code, words.get(fault.kind if fault else "", "Switched on."))
            )

        reply = self._simulator.bend(fault, released, process, fail, HUNTING_PATH)
        with self._lock:
            search.fault, search.status = fault.kind if fault else None, reply.status
        return reply

    def _run(
        self, search: Search, method: str, content_type: str | None, body: Mapping[str, Any] | None
    ) -> Reply:
        """Return the rows of a query. Raise `Rejected` unless the call is what Graph documents, to the letter."""
        rules.check_form(method, content_type)
        if body is None or {name: type(text) for name, text in body.items()} != {
            "Query": str,
            "Timespan": str,
        }:
            raise Rejected(400, "BadRequest", "The body is a JSON object of two texts, Query and Timespan.")
        since, until = _span(body["Timespan"])
        if len(body["Query"]) > _LONGEST_QUERY or body["Query"].lstrip().startswith("."):
            raise Rejected(
                400, "BadRequest", f"A query has at most {_LONGEST_QUERY} characters, and is no command."
            )
        with self._lock:
            search.query, search.timespan = body["Query"], body["Timespan"]
            tenant, parser = self._ready()
        began = time.monotonic()
        checked = parser.check(body["Query"])
        missing = [table for table in self._simulator.switches.missing_tables if table in checked["tables"]]
        if missing:
            raise Rejected(400, "BadRequest", _UNRESOLVED.format(missing[0]))
        if checked["errors"] or checked["statements"] != 1:
            raise Rejected(400, "BadRequest", "; ".join(checked["errors"]) or "A query is one statement.")
        answer = tenant.run(body["Query"], since, until)
        with self._lock:
            search.rows, search.seconds = len(answer.rows), time.monotonic() - began
        results = [_annotated(row, answer.types) for row in answer.rows]
        schema = [{"name": name, "type": kind} for name, kind in answer.types.items()]
        return json_reply(200, {"@odata.context": _CONTEXT, "schema": schema, "results": results})

    def _ready(self) -> "tuple[Tenant, Parser]":
        """Return the tables, with all that is searchable by now, and the parser."""
        from dev.simulator.tenant import Tenant  # noqa: PLC0415  slow to import, and most runs need none

        if self._tenant is None or self._parser is None:
            yesterday = int(time.time() - 86_400) * SECOND
            self._tenant, self._parser = Tenant(self._world.day(yesterday)), Parser(TABLES)
        now = time.monotonic()
        due = [records for at, records in self._later if at <= now]
        self._later = [(at, records) for at, records in self._later if at > now]
        self._tenant.add(record for records in due for record in records)
        return self._tenant, self._parser


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
    shown: dict[str, Any] = {}
    for name, value in row.items():
        if types[name] == "Int64" and value is not None:
            shown[f"{name}@odata.type"] = "#Int64"
        shown[name] = value
    return shown


def _error_reply(rejected: Rejected) -> Reply:
    """Return an error in Graph's shape."""
    request = str(uuid.uuid4())
    inner = {
        "date": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S}",
        "request-id": request,
        "client-request-id": request,
    }
    return error_reply(rejected, innerError=inner)
