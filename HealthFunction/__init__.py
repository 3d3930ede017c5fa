"""GET /api/health: pass or fail, without detail, for load balancers and web tests."""

import azure.functions as func

from shared import app
from shared.web import reply
from shared.web.response import azure_response


def main(req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG001 - the binding's name
    """Answer 200 pass or 503 fail as `application/health+json`."""
    answer = reply.guarded(app.health)
    return azure_response(answer)
