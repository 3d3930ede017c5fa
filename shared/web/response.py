"""The answer of a function folder: a reply as the worker expects it, with the headers of every answer."""

import azure.functions as func

from shared.web.reply import Reply

_ALWAYS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


def azure_response(reply: Reply) -> func.HttpResponse:
    """Return a reply for the worker, with headers against caching and against guessing its content type."""
    return func.HttpResponse(
        reply.body,
        status_code=reply.status,
        headers={**_ALWAYS, **reply.headers},
        mimetype=reply.content_type,
    )
