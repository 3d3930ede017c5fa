"""POST /api/alerts: the webhook. A payload comes in, its alerts go to Defender, the sender learns what became."""

import azure.functions as func

from shared import app
from shared.web import parameters, reply


def main(req: func.HttpRequest) -> func.HttpResponse:
    """Receive one delivery and answer with what became of it (README: Answers)."""
    if req.method == "OPTIONS":
        answer = reply.handshake(req.headers.get("WebHook-Request-Origin"))
    else:
        answer = reply.guarded(
            lambda: app.gateway().receive(
                req.get_body(),
                parameters.given(req.url),
                reply.origin(req.url),
                content_encoding=req.headers.get("Content-Encoding", ""),
            )
        )
    return func.HttpResponse(
        answer.body, status_code=answer.status, headers=dict(answer.headers), mimetype=answer.content_type
    )
