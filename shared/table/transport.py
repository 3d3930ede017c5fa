"""The SDK's transport, which reads the usual answer to a transaction itself: every part says 204 and nothing else.

The SDK reads each part as an e-mail, and starts threads to do so: a tenth of the time of an alert. Any other answer is
left to the SDK.
"""

import re
from http import HTTPStatus
from typing import Any

from azure.core.pipeline.transport import HttpResponse, RequestsTransport
from azure.core.utils import case_insensitive_dict

_WHOLE = re.compile(
    rb"--(?P<batch>[\w-]+)\r\n(?i:Content-Type: ?multipart/mixed; ?boundary=)(?P<changes>[\w-]+)\r\n\r\n"
    rb"--(?P=changes)\r\n(?P<parts>.*)--(?P=changes)--\r\n--(?P=batch)--\s*",
    re.DOTALL,
)
_PART = re.compile(
    rb"(?i:Content-Type: ?application/http\r\nContent-Transfer-Encoding: ?binary\r\n)\r\n"
    rb"HTTP/1\.1 204(?: [^\r\n]*)?\r\n(?P<headers>(?:[\w-]+:[^\r\n]*\r\n)+)\r\n(?:\r\n)?"
)


class Transport(RequestsTransport):  # type: ignore[misc]  # the SDK resolves the name at run time
    """Sends the SDK's requests; a usual answer to a transaction has its parts read already."""

    def send(self, request: Any, **options: Any) -> Any:
        """Send a request and return its answer."""
        response: Any = super().send(request, **options)
        if response.status_code == HTTPStatus.ACCEPTED:
            parts = _parts(request, response.headers.get("Content-Type", ""), response.read())
            if parts:
                response.parts = lambda: parts
        return response


def _parts(request: Any, kind: str, body: bytes) -> list[HttpResponse]:
    """Return the parts of a usual answer; nothing if the answer is another one."""
    whole = _WHOLE.fullmatch(body)
    if whole is None or kind != f"multipart/mixed; boundary={whole['batch'].decode()}":
        return []
    matches = [_PART.fullmatch(piece) for piece in whole["parts"].split(b"--%b\r\n" % whole["changes"])]
    return [_part(request, part["headers"]) for part in matches if part] if all(matches) else []


def _part(request: Any, lines: bytes) -> HttpResponse:
    part = HttpResponse(request, None)
    part.status_code = HTTPStatus.NO_CONTENT
    pairs = (line.partition(":") for line in lines.decode("latin-1").removesuffix("\r\n").split("\r\n"))
    part.headers = case_insensitive_dict((name, value.strip()) for name, _, value in pairs)
    return part
