"""A sender of a benchmark: one connection to a host, kept alive, and nothing that costs time of its own."""

import http.client
import json
from collections.abc import Mapping
from urllib.parse import urlsplit

from dev.stack.stack import Host


class Wire:
    """A connection to a host. It posts with the function key `key`."""

    def __init__(self, host: Host, key: str) -> None:
        self._http = http.client.HTTPConnection(urlsplit(host.url).netloc, timeout=120)
        self._headers = {"content-type": "application/json", "x-functions-key": key}

    def post(self, body: object) -> int:
        """Post a body as JSON to the webhook; return the answer's status."""
        return self._ask("POST", "/api/alerts", json.dumps(body), self._headers)

    def get(self, path: str) -> int:
        """Ask for a path without a key; return the answer's status."""
        return self._ask("GET", path, None, {})

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def _ask(self, method: str, path: str, body: str | None, headers: Mapping[str, str]) -> int:
        self._http.request(method, path, body, dict(headers))
        answer = self._http.getresponse()
        answer.read()
        return answer.status
