"""GET /api/console: the operator's page, and the files that it loads. It holds no data, and asks for no key."""

import azure.functions as func

from shared import settings
from shared.web import reply, static
from shared.web.response import azure_response


def main(req: func.HttpRequest) -> func.HttpResponse:
    """Answer with the page or one of its files, unless the setting CONSOLE is false."""
    name = req.route_params.get("name") or ""
    answer = reply.guarded(lambda: static.answer(name, req.url, on=settings.current().console))
    return azure_response(answer)
