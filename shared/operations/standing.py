"""The whole status: what the table shows, at most a few seconds old, and the token of the instance that answers."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from shared.alerts.event_time import utc
from shared.errors import TokenError
from shared.identity import Claims
from shared.operations import condition, permission

if TYPE_CHECKING:
    from shared.sending.dispatcher import Dispatch
    from shared.webhook.receive import Webhook


def status(webhook: "Webhook", last_token: Callable[[], Claims | None], *, refresh: bool) -> dict[str, Any]:
    """Return the status; `refresh` asks for a token first. `tokenProblem`: why none came, or what is wrong with it."""
    problem = None
    if refresh:
        try:
            webhook.dispatcher.token()
        except TokenError as error:
            problem = error.detail
        webhook.memory.forget()
    claims, settings = last_token(), webhook.settings
    stands: dict[str, Any] = webhook.memory.answer(
        "status", webhook.clocks.monotonic(), lambda: _stands(webhook.dispatcher)
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
            now=datetime.fromtimestamp(webhook.dispatcher.table.now(), UTC),
        ),
    }


def _stands(dispatcher: "Dispatch") -> dict[str, Any]:
    """Return the part of the status that the table shows."""
    view = dispatcher.snapshot().view
    return {
        "now": utc(view.now),
        "window": condition.window(view, dispatcher.policy),
        "pause": condition.pause(view.pause, view.now),
        "backlog": condition.backlog(dispatcher.table, view.now),
        "failed": condition.failed(dispatcher.table),
        "unreadable": condition.unreadable(dispatcher.table),
    }
