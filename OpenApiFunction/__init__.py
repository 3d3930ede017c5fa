"""GET /api/openapi.json: the definition of the whole HTTP contract."""

import azure.functions as func

from shared import settings
from shared.web import openapi, reply
from shared.web.response import azure_response


def main(req: func.HttpRequest) -> func.HttpResponse:
    """Answer with the OpenAPI document, with the address under which callers reach us."""
    answer = reply.guarded(
        lambda: openapi.answer(settings.current().public_base_url or reply.origin(req.url))
    )
    return azure_response(answer)
