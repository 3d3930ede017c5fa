"""The operator's requests, `/api/operations/…`: lists and status; replay, discard, pause, resume, try.

    GET   alerts           POST  alerts/replay        GET  refused           POST  pause
    GET   alerts/{id}      POST  alerts/{id}/replay   GET  refused/{id}      POST  resume
    GET   status           POST  alerts/{id}/discard  POST refused/{id}/replay
    GET   outcomes         POST  discard              POST  dry-run          POST  try
    GET   senders          GET   unreadable           POST  unreadable/{id}/replay
    POST  alerts/{id}/search    POST  alerts/{id}/reference    POST  alerts/{id}/wrong-match

Every change is a POST and one line in the log. A request does a bounded portion and says what remains; with the
`continuation` of the answer, the same request goes on. Repeating a request is harmless.
"""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from shared import log
from shared.errors import (
    NoOperation,
    RequestError,
    WrongMethod,
)
from shared.identity import Claims
from shared.operations import (
    by_hand,
    discard,
    halt,
    listing,
    outcomes,
    refusals,
    replay,
    searches,
    sending,
    standing,
    tryout,
)
from shared.senders import Sender
from shared.sending.dispatcher import Dispatch
from shared.table.protocol import Table
from shared.web import parameters, reply
from shared.web.parameters import Parameters
from shared.web.reply import Reply
from shared.webhook.receive import Webhook

_DEFAULT_TOP = 50


@dataclass(frozen=True, slots=True)
class Operator:
    """The parts that the operator's requests need: the use cases, the claims of this host's last tokens, the search."""

    webhook: Webhook
    last_token: Callable[[], Claims | None]
    search: tryout.Search
    last_graph_token: Callable[[], Claims | None] = lambda: None

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


def _search(operator: Operator, request: Request) -> dict[str, Any]:
    search = searches.again(operator.webhook.dispatcher, request.id)
    log.step("operator", entry=search, operation="search")
    return listing.alert(operator.webhook.dispatcher, search, operator.senders)


def _reference(operator: Operator, request: Request) -> dict[str, Any]:
    most = operator.webhook.settings.max_payload_bytes
    row = by_hand.read(request.body, max_bytes=most, content_encoding=request.content_encoding)
    found = by_hand.give(operator.webhook.dispatcher, request.id, row)
    log.step("operator", entry=found, operation="reference")
    return listing.alert(operator.webhook.dispatcher, found, operator.senders)


def _wrong_match(operator: Operator, request: Request) -> dict[str, Any]:
    marked, shown = searches.wrong(operator.table, request.id)
    log.step("operator", entry=marked, operation="wrong match")
    return shown


def _replay_failed(operator: Operator, request: Request) -> dict[str, Any]:
    if request.asked.word("status", ["failed"]) is None:
        raise RequestError("status: missing; accepted: failed. Discarded alerts are replayed one by one.")
    asked = request.asked
    done = replay.failed(
        operator.webhook.dispatcher,
        asked.whole("top", _DEFAULT_TOP, listing.MOST),
        listing.matching(asked, operator.senders),
        asked.text("continuation"),
    )
    log.step("operator", operation="replay failed", replayed=done.replayed, remaining=done.remaining)
    return {
        "replayed": done.replayed,
        "remaining": done.remaining,
        "atLeast": done.at_least,
        "continuation": done.continuation,
    }


def _discard_one(operator: Operator, request: Request) -> dict[str, Any]:
    ended = discard.one(operator.table, request.id)
    log.step("operator", entry=ended, operation="discard")
    return listing.alert(operator.webhook.dispatcher, ended, operator.senders)


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
    return refusals.page(operator.table, request.asked, operator.senders)


def _refused_payload(operator: Operator, request: Request) -> dict[str, Any]:
    return refusals.shown(operator.table, refusals.stored(operator.table, request.id)[0], operator.senders)


def _replay_refused(operator: Operator, request: Request) -> Reply:
    return refusals.replay(operator.webhook, request.id, reply.origin(request.url))


def _pause(operator: Operator, request: Request) -> dict[str, Any]:
    views = halt.pause(_stages(operator, request), request.asked.text("reason"))
    reason = views[0].pause.reason if views[0].pause else ""
    log.step("operator", operation="pause", reason=reason, stages=halt.names(views))
    return halt.shown(views)


def _resume(operator: Operator, request: Request) -> dict[str, Any]:
    views = halt.resume(_stages(operator, request))
    log.step("operator", operation="resume", stages=halt.names(views))
    return halt.shown(views)


def _stages(operator: Operator, request: Request) -> Sequence[Dispatch]:
    """Return the stage that is asked for, or all that are on."""
    every = operator.webhook.stages
    name = request.asked.word("stage", [stage.policy.stage.name for stage in every])
    return [stage for stage in every if name in (None, stage.policy.stage.name)]


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


def _dry_run(operator: Operator, request: Request) -> Reply:
    """Show what a payload becomes. Nothing is stored."""
    asked = parameters.given(request.url) | {"dryRun": "true"}
    origin = reply.origin(request.url)
    return operator.webhook.receive(
        request.body, asked, origin, store=False, content_encoding=request.content_encoding
    )


def _outcomes(operator: Operator, request: Request) -> dict[str, Any]:  # noqa: ARG001 - as every use case
    """Return the newest outcomes, at most a few seconds old."""
    webhook = operator.webhook
    latest: dict[str, Any] = webhook.memory.answer(
        "outcomes",
        webhook.clocks.monotonic(),
        lambda: {"outcomes": outcomes.latest(webhook.dispatcher, operator.senders)},
    )
    return latest


def _senders(operator: Operator, request: Request) -> dict[str, Any]:
    return sending.listed(operator.table, request.asked, operator.senders)


def _status(operator: Operator, request: Request) -> dict[str, Any]:
    refresh = request.asked.word("refresh", ["true", "false"]) == "true"
    return standing.status(operator.webhook, operator.last_token, operator.last_graph_token, refresh=refresh)


_ROUTES = {
    "alerts": _Route("GET", _alerts, listing.ALERTS),
    "alerts/replay": _Route("POST", _replay_failed, ("status", "top", *listing.DISCARDED)),
    "alerts/{id}": _Route("GET", _alert),
    "alerts/{id}/replay": _Route("POST", _replay),
    "alerts/{id}/discard": _Route("POST", _discard_one),
    "alerts/{id}/search": _Route("POST", _search),
    "alerts/{id}/reference": _Route("POST", _reference),
    "alerts/{id}/wrong-match": _Route("POST", _wrong_match),
    "refused": _Route("GET", _refused_payloads, refusals.PARAMETERS),
    "refused/{id}": _Route("GET", _refused_payload),
    "refused/{id}/replay": _Route("POST", _replay_refused),
    "pause": _Route("POST", _pause, ("reason", "stage")),
    "resume": _Route("POST", _resume, ("stage",)),
    "discard": _Route("POST", _discard, listing.DISCARDED),
    "unreadable": _Route("GET", _unreadable, listing.UNREADABLE),
    "unreadable/{id}/replay": _Route("POST", _replay_unreadable),
    "dry-run": _Route("POST", _dry_run, None),
    "try": _Route("POST", _try, None),
    "outcomes": _Route("GET", _outcomes),
    "senders": _Route("GET", _senders, sending.PARAMETERS),
    "status": _Route("GET", _status, ("refresh",)),
}
