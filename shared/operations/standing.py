"""The whole status: what the table shows, at most a few seconds old, and the tokens of the instance that answers."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from shared.alerts.event_time import utc
from shared.errors import TokenError
from shared.identity import Claims
from shared.ledger import keys
from shared.operations import condition, permission

if TYPE_CHECKING:
    from shared.sending.dispatcher import Dispatch
    from shared.webhook.receive import Webhook

_NOTES = {
    keys.ENTITY.name: "A beta API of Microsoft, which may change. Its alerts have no process tree, start no automatic"
    " investigation, and are not merged. Do not use it where Defender could see the event itself."
}
_FIRST = ("window", "pause", "backlog", "token", "tokenProblem", "permission")
Last = Callable[[], Claims | None]
"""Returns the claims of this host's last token for an API."""


def status(webhook: "Webhook", last_token: Last, last_graph_token: Last, *, refresh: bool) -> dict[str, Any]:
    """Return the status; `refresh` asks for tokens first. `tokenProblem`: why none came, or what is wrong with it.

    What stands beside `stages` is that of the stage *reference*.
    """
    problems = {stage.policy.stage.name: _refreshed(stage) for stage in webhook.stages} if refresh else {}
    if refresh:
        webhook.memory.forget()
    stands: dict[str, Any] = webhook.memory.answer(
        "status", webhook.clocks.monotonic(), lambda: _stands(webhook)
    )
    defender, graph = last_token(), last_graph_token()
    tokens = [(defender, _of_defender(defender, webhook))] + [
        (graph, permission.graph(graph, stage.policy.stage)) for stage in webhook.others
    ]
    stages = []
    for stage, of, (claims, problem) in zip(stands["stages"], webhook.stages, tokens, strict=True):
        why = problems.get(stage["name"]) or problem
        pause = stage["pause"]
        held = pause["reason"] if pause and not pause["byOperator"] else None
        permitted = permission.said(claims, why, of.policy.stage, held)
        shown = {"token": condition.token(claims), "tokenProblem": why, "permission": permitted}
        stages.append({**stage, **shown})
    first = {name: stages[0][name] for name in _FIRST}
    return {**stands, **first, "stages": stages}


def _of_defender(claims: Claims | None, webhook: "Webhook") -> str | None:
    settings = webhook.settings
    return permission.wrong(
        claims,
        api_url=settings.defender_api_url,
        scope=settings.defender_token_scope,
        client_id=settings.client_id,
        tenant_id=settings.defender_tenant_id,
        now=datetime.fromtimestamp(webhook.dispatcher.table.now(), UTC),
    )


def _refreshed(stage: "Dispatch") -> str | None:
    """Ask for a token of a stage's API; return why none came."""
    try:
        stage.token()
    except TokenError as error:
        return error.detail
    return None


def _stands(webhook: "Webhook") -> dict[str, Any]:
    """Return the part of the status that the table shows."""
    table = webhook.dispatcher.table
    stages = [_stage(stage, webhook.settings.find_events) for stage in webhook.stages]
    return {
        "now": utc(table.now()),
        "stages": stages,
        "off": _off(webhook),
        "failed": condition.failed(table),
        "unreadable": condition.unreadable(table),
    }


def _off(webhook: "Webhook") -> list[dict[str, Any]]:
    """Return the stages that are off although alerts wait in them: those wait until the stage is on again."""
    table, on = webhook.dispatcher.table, [stage.policy.stage for stage in webhook.stages]
    off = [stage for stage in keys.STAGES if stage not in on]
    held: list[dict[str, Any]] = [
        {"name": stage.name, "backlog": condition.backlog(table, stage, table.now())} for stage in off
    ]
    return [each for each in held if each["backlog"]["waiting"] or each["backlog"]["sending"]]


def _stage(dispatcher: "Dispatch", mode: str) -> dict[str, Any]:
    view, table = dispatcher.snapshot().view, dispatcher.table
    searches = view.stage == keys.SEARCH
    return {
        "name": view.stage.name,
        "window": condition.window(view, dispatcher.policy),
        "pause": condition.pause(view.pause, view.now),
        "backlog": condition.backlog(table, view.stage, view.now),
        "note": _NOTES.get(view.stage.name),
        "search": condition.search(table, view, mode) if searches else None,
    }
