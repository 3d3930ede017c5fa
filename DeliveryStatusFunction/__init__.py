"""GET /api/deliveries/{id}: what became of a delivery. Its random id is the key."""

import azure.functions as func

from shared import app
from shared.web import reply
from shared.web.response import azure_response


def main(req: func.HttpRequest) -> func.HttpResponse:
    """Answer 202 until all alerts of the delivery have ended, then what the POST would have said."""
    delivery = req.route_params.get("id", "")
    answer = reply.guarded(lambda: app.webhook().status(delivery, reply.origin(req.url)))
    return azure_response(answer)
