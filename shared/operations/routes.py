"""The operator's requests, `/api/operations/…`: lists and status; replay, discard, pause, resume, try.

    GET   alerts           POST  alerts/replay        GET  refused           POST  pause
    GET   alerts/{id}      POST  alerts/{id}/replay   GET  refused/{id}      POST  resume
    GET   status           POST  discard              POST refused/{id}/replay
    GET   senders          GET   unreadable       POST  unreadable/{id}/replay       POST try

Every change is a POST and one line in the log. A request does a bounded portion and says what remains; with the
`continuation` of the answer, the same request goes on. Repeating a request is harmless.
"""

import dataclasses
import functools
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from shared import log
from shared.alerts.event_time import utc
from shared.alerts.text import cut
from shared.errors import (
    Busy,
    NoOperation,
    NotNow,
    RequestError,
    TableError,
    TokenError,
    WebhookError,
    WrongMethod,
)
from shared.identity import Claims
from shared.operations import condition, discard, listing, permission, replay, sending, tryout
from shared.senders import Sender
from shared.sending import pause, window
from shared.table.protocol import Delete, Table, try_commit
from shared.web import parameters, reply
from shared.web.parameters import Parameters
from shared.web.reply import Reply
from shared.webhook.receive import Webhook

_DEFAULT_TOP = 50
_REASON_UNITS = 300
_TRIES = 5


@dataclass(frozen=True, slots=True)
class Operator:
    """The parts that the operator's requests need: the use cases, the claims of this host's last token, the search."""

    webhook: Webhook
    last_token: Callable[[], Claims | None]
    search: tryout.Search

    @property
    def senders(self) -> tuple[Sender, ...]:
        """The senders of the setting `SENDERS`."""
        return self.webhook.settings.senders

    @property
    def table(self) -> Table:
        """The one table."""
        return self.webhook.dispatcher.table


@dataclass(frozen=True, slots=True)
class Request:
    """A request: the id in the path if there is one, the parameters, the URL, the body as it came."""

    id: str
    asked: Parameters
    url: str
    body: bytes
    content_encoding: str


@dataclass(frozen=True, slots=True)
class _Route:
    """A use case. It takes the parameters `accepted`; None: it reads the URL itself."""

    method: str
    run: Callable[[Operator, Request], Any]
    accepted: tuple[str, ...] | None = ()


def handle(
    operator: Operator, method: str, path: str, url: str, *, body: bytes = b"", content_encoding: str = ""
) -> Reply:
    """Answer a request to `path` below `operations/`; `url` is whole, with parameters. Raise `WebhookError`."""
    parts = path.strip("/").lower().split("/")
    for template, route in _ROUTES.items():
        names = template.split("/")
        if len(names) != len(parts) or any(
            name not in ("{id}", part) for name, part in zip(names, parts, strict=True)
        ):
            continue
        if method != route.method:
            error = WrongMethod(f"operations/{template} takes {route.method}, not {method}.")
            return dataclasses.replace(reply.of_error(error), headers={"Allow": route.method})
        named = parts[names.index("{id}")] if "{id}" in names else ""
        asked = Parameters() if route.accepted is None else parameters.read(url, route.accepted)
        done = route.run(operator, Request(named, asked, url, body, content_encoding))
        if method == "POST":
            operator.webhook.memory.forget()
        return done if isinstance(done, Reply) else reply.of(200, done, Cache_Control="no-store")
    raise NoOperation(f"There is no operations/{path[:60]}; there are {', '.join(_ROUTES)}.")


def _alerts(operator: Operator, request: Request) -> dict[str, Any]:
    return listing.alerts(operator.webhook.dispatcher, request.asked, operator.senders)


def _alert(operator: Operator, request: Request) -> dict[str, Any]:
    return listing.alert(
        operator.webhook.dispatcher, listing.entry(operator.table, request.id)[0], operator.senders
    )


def _replay(operator: Operator, request: Request) -> dict[str, Any]:
    again = replay.alert(operator.webhook.dispatcher, request.id)
    log.step("operator", entry=again, operation="replay")
    return listing.alert(operator.webhook.dispatcher, again, operator.senders)


def _replay_failed(operator: Operator, request: Request) -> dict[str, Any]:
    if request.asked.word("status", ["failed"]) is None:
        raise RequestError("status: missing; accepted: failed. Discarded alerts are replayed one by one.")
    replayed = replay.failed(
        operator.webhook.dispatcher, request.asked.whole("top", _DEFAULT_TOP, listing.MOST)
    )
    left = condition.failed(operator.table)
    log.step("operator", operation="replay failed", replayed=replayed, remaining=left["count"])
    return {"replayed": replayed, "remaining": left["count"], "atLeast": left["atLeast"]}


def _discard(operator: Operator, request: Request) -> dict[str, Any]:
    asked = request.asked
    if not any(asked.text(name) for name in ("source", "title", "machineId", *listing.FILTERS)):
        raise RequestError(
            "no filter found; accepted: one or more of source, title, sender, device, delivery and severity,"
            " exactly as in the alerts."
        )
    fits = listing.matching(asked, operator.senders)
    done = discard.portion(operator.table, fits, asked.text("continuation"))
    log.step("operator", operation="discard", discarded=done.discarded, remaining=done.remaining)
    return {
        "discarded": done.discarded,
        "remaining": done.remaining,
        "sending": done.sending,
        "atLeast": done.at_least,
        "continuation": done.continuation,
    }


def _refused_payloads(operator: Operator, request: Request) -> dict[str, Any]:
    return listing.refused_payloads(operator.table, request.asked, operator.senders)


def _refused_payload(operator: Operator, request: Request) -> dict[str, Any]:
    return listing.refused_payload(listing.stored(operator.table, request.id)[0], operator.senders)


def _replay_refused(operator: Operator, request: Request) -> Reply:
    """Receive a stored payload again, with its parameters, and answer as the webhook does."""
    stored, row = listing.stored(operator.table, request.id)
    if stored.bytes > len(stored.payload):
        raise NotNow(
            f"Of {stored.bytes:,} bytes only the first {len(stored.payload):,} were stored: let it be sent again.",
            extensions={"bytes": stored.bytes, "kept": len(stored.payload)},
        )
    try:
        answer = operator.webhook.receive(
            stored.payload, stored.query, reply.origin(request.url), store=False, sender=stored.sender
        )
    except WebhookError as error:
        answer = reply.of_error(error)
    log.step("operator", operation="replay refused", refusal=stored.id, status=answer.status)
    if answer.status // 100 == 2 and not json.loads(answer.body).get("refused"):  # noqa: PLR2004 - HTTP's success
        try:
            try_commit(operator.table, [Delete(row.key, row.etag)])
        except TableError as error:  # its alerts are accepted, and that is what the answer is about
            log.problem("replayed payload not removed", error, refusal=stored.id)
    return answer


def _pause(operator: Operator, request: Request) -> dict[str, Any]:
    reason = cut(request.asked.text("reason") or "paused by the operator", _REASON_UNITS)
    for _ in range(2 * window.MOST_CALLS):  # each conflict is a slot that somebody acquired meanwhile
        view = operator.webhook.dispatcher.snapshot().view
        held = view.stop
        if held and (held.reason == reason or not request.asked.text("reason")):
            log.step("operator", operation="pause", reason=held.reason)
            return {"pause": condition.pause(held, view.now)}
        begins = [] if held else window.void(view)
        try_commit(operator.table, [pause.stop(held, reason), *begins])
    raise _busy()


def _resume(operator: Operator, request: Request) -> dict[str, Any]:  # noqa: ARG001 - as every use case
    """End the operator's pause. One that Defender asked for stays: calling sooner would lengthen it."""
    for _ in range(_TRIES):
        view = operator.webhook.dispatcher.snapshot().view
        held = view.stop
        if held is None:
            log.step("operator", operation="resume")
            return {"pause": condition.pause(view.asked, view.now)}
        try_commit(operator.table, pause.resume(held))
    raise _busy()


def _unreadable(operator: Operator, request: Request) -> dict[str, Any]:
    return listing.unreadable(operator.table, request.asked)


def _replay_unreadable(operator: Operator, request: Request) -> dict[str, Any]:
    again = replay.unreadable(operator.table, request.id)
    log.step("operator", entry=again, operation="replay unreadable")
    shown = listing.alert(operator.webhook.dispatcher, again, operator.senders) if again else None
    return {"alert": shown}


def _try(operator: Operator, request: Request) -> dict[str, Any]:
    asked = parameters.given(request.url)
    return tryout.answer(operator.webhook, operator.search, request.body, asked, request.content_encoding)


def _senders(operator: Operator, request: Request) -> dict[str, Any]:
    return sending.listed(operator.table, request.asked, operator.senders)


def _status(operator: Operator, request: Request) -> dict[str, Any]:
    """Return the status. `tokenProblem`: why no token came, or what is wrong with it.

    Each instance has its own token; this is the one of the instance that answers.
    """
    webhook = operator.webhook
    problem = None
    if request.asked.word("refresh", ["true", "false"]) == "true":
        try:
            webhook.dispatcher.token()
        except TokenError as error:
            problem = error.detail
        webhook.memory.forget()
    claims, settings = operator.last_token(), webhook.settings
    stands: dict[str, Any] = webhook.memory.answer(
        "status", webhook.clocks.monotonic(), functools.partial(_stands, operator)
    )
    return {
        **stands,
        "token": condition.token(claims),
        "tokenProblem": problem
        or permission.wrong(
            claims,
            api_url=settings.defender_api_url,
            scope=settings.defender_token_scope,
            client_id=settings.client_id,
            tenant_id=settings.defender_tenant_id,
            now=datetime.fromtimestamp(operator.table.now(), UTC),
        ),
    }


def _stands(operator: Operator) -> dict[str, Any]:
    """Return the part of the status that the table shows."""
    dispatcher = operator.webhook.dispatcher
    view = dispatcher.snapshot().view
    return {
        "now": utc(view.now),
        "window": condition.window(view, dispatcher.policy),
        "pause": condition.pause(view.pause, view.now),
        "backlog": condition.backlog(operator.table, view.now),
        "failed": condition.failed(operator.table),
        "unreadable": condition.unreadable(operator.table),
    }


def _busy() -> Busy:
    return Busy("Others keep changing this at the same moment; try again.", retry_after=1)


_ROUTES = {
    "alerts": _Route("GET", _alerts, listing.ALERTS),
    "alerts/replay": _Route("POST", _replay_failed, ("status", "top")),
    "alerts/{id}": _Route("GET", _alert),
    "alerts/{id}/replay": _Route("POST", _replay),
    "refused": _Route("GET", _refused_payloads, listing.REFUSED),
    "refused/{id}": _Route("GET", _refused_payload),
    "refused/{id}/replay": _Route("POST", _replay_refused),
    "pause": _Route("POST", _pause, ("reason",)),
    "resume": _Route("POST", _resume),
    "discard": _Route("POST", _discard, listing.DISCARDED),
    "unreadable": _Route("GET", _unreadable, listing.UNREADABLE),
    "unreadable/{id}/replay": _Route("POST", _replay_unreadable),
    "try": _Route("POST", _try, None),
    "senders": _Route("GET", _senders, sending.PARAMETERS),
    "status": _Route("GET", _status, ("refresh",)),
}
