"""The call to Defender: `CreateAlertByReference`. `answer` reads what comes back."""

import json
from collections.abc import Mapping
from typing import Any

from shared.clients import address, answer
from shared.clients.answer import Answer
from shared.clients.service import Service

THREAD_NAME = "defender-call"
_PATH = "/api/alerts/CreateAlertByReference"
_ANSWER_BYTES = 1 << 20


class Defender:
    """Makes the calls; shared by up to 32 threads.

    `url` is the API's base (`DEFENDER_API_URL`). A token goes there: https or loopback, else SettingsError.
    `deadline` bounds a whole call, in seconds. `edges` are those of `Service`.
    """

    def __init__(self, url: str, *, deadline: float, **edges: Any) -> None:
        address.check(url, "DEFENDER_API_URL")
        self._service = Service(
            "Defender",
            url.rstrip("/") + _PATH,
            thread=THREAD_NAME,
            deadline=deadline,
            most_bytes=_ANSWER_BYTES,
            **edges,
        )

    def create_alert(self, body: Mapping[str, str], token: str) -> Answer:
        """Post one alert of eight fields. Return by the deadline, and never raise for network errors."""
        return answer.read(self._service.post(json.dumps(dict(body)).encode(), token), body)

    def close(self) -> None:
        """Close the open connections."""
        self._service.close()
