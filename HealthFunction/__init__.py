"""GET /api/health: pass or fail, without detail, for load balancers and web tests."""

import azure.functions as func

from shared import app
from shared.web import reply


def main(req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG001 - the binding's name
    """Answer 200 pass or 503 fail as `application/health+json`."""
    answer = reply.guarded(app.health)
    return func.HttpResponse(
        answer.body, status_code=answer.status, headers=dict(answer.headers), mimetype=answer.content_type
    )
