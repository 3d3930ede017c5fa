"""POST /api/alerts: the webhook. A payload comes in, its alerts go to Defender, the sender learns what became."""

import azure.functions as func

from shared import app, senders
from shared.web import parameters, reply, signature
from shared.web.response import azure_response


def main(req: func.HttpRequest) -> func.HttpResponse:
    """Receive one delivery and answer with what became of it (README: Answers)."""
    if req.method == "OPTIONS":
        answer = reply.handshake(req.headers.get("WebHook-Request-Origin"))
    else:
        answer = reply.guarded(lambda: _receive(req))
    return azure_response(answer)


def _receive(req: func.HttpRequest) -> reply.Reply:
    asked = parameters.given(req.url)  # the host leaves out what is empty, and `?dryRun` is
    body, sender, webhook = req.get_body(), senders.fingerprint(req.headers, asked), app.webhook()
    signature.demand(webhook.settings.senders, sender, req.headers, body, webhook.clocks.wall())
    return webhook.receive(
        body,
        asked,
        reply.origin(req.url),
        content_encoding=req.headers.get("Content-Encoding", ""),
        sender=sender,
    )
