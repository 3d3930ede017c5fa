"""GET, POST /api/operations/…: list, inspect, replay, discard, pause, resume, try, status. For the operator."""

import azure.functions as func

from shared import app
from shared.operations import routes
from shared.web import reply
from shared.web.response import azure_response


def main(req: func.HttpRequest) -> func.HttpResponse:
    """Do what the operator asks; ready requests are in ops.http."""
    path = req.route_params.get("rest", "")
    # The URL, not `req.params`: an empty parameter does not arrive there, and `discard?source=a&title=` would
    # be `discard?source=a`.
    answer = reply.guarded(
        lambda: routes.handle(
            app.operator(),
            req.method,
            path,
            req.url,
            body=req.get_body(),
            content_encoding=req.headers.get("Content-Encoding", ""),
        )
    )
    return azure_response(answer)
