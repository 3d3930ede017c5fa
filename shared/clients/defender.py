"""The call to Defender: `CreateAlertByReference`. What its answer means is the business of `answer`."""

import json
import socket
import threading
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from shared.clients import address, answer
from shared.clients.answer import Answer
from shared.clients.call import CURRENT, Call, Response
from shared.clients.connections import IDLE_SECONDS, Connections

if TYPE_CHECKING:
    import requests

THREAD_NAME = "defender-call"
_PATH = "/api/alerts/CreateAlertByReference"
_ANSWER_BYTES = 1 << 20
_TOKEN_CHARACTERS = 200  # a shorter one is a test's, and its text may stand in an answer by chance


class Defender:
    """Makes the calls, over connections that are kept warm; shared by up to 32 threads.

    `url` is the API's base (`DEFENDER_API_URL`). A token goes there: https or loopback, else SettingsError.
    `deadline` bounds a whole call, in seconds. `session` is taken over: its connections become ours.
    `resolve` looks names up as `socket.getaddrinfo` does. A connection idle for `idle` seconds is not reused.
    """

    def __init__(
        self,
        url: str,
        *,
        deadline: float,
        session: "requests.Session | None" = None,
        resolve: Callable[..., Iterable[Any]] = socket.getaddrinfo,
        idle: float = IDLE_SECONDS,
    ) -> None:
        address.check(url, "DEFENDER_API_URL")
        self._url = url.rstrip("/") + _PATH
        self._deadline = deadline
        self._resolve = resolve
        self._connections = Connections(session, idle=idle)

    def create_alert(self, body: Mapping[str, str], token: str) -> Answer:
        """Post one alert of eight fields. Back by the deadline; nothing the network does makes it raise."""
        payload = json.dumps(dict(body)).encode()
        call = Call("Defender", self._deadline, self._resolve)
        try:
            threading.Thread(
                target=self._work, args=(call, payload, token), name=THREAD_NAME, daemon=True
            ).start()
        except RuntimeError as error:  # out of threads, or the process is ending
            return answer.read(call.failed(error), body)
        return answer.read(call.wait(), body)

    def close(self) -> None:
        """Close the connections that are kept warm."""
        self._connections.close()

    def _work(self, call: Call, payload: bytes, token: str) -> None:
        CURRENT.set(call)
        try:
            response = self._exchange(call, payload, token)
        except Exception as error:  # noqa: BLE001  whatever happens here, the caller needs a Response
            response = call.failed(error)
        call.finish(response)

    def _exchange(self, call: Call, payload: bytes, token: str) -> Response:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        with self._connections.post(self._url, headers, payload, call.left()) as response:
            if response.status_code < HTTPStatus.OK:
                # http.client takes a 103 for the answer, and would give the real one to the next call.
                raise OSError(None, f"HTTP {response.status_code} and no answer")
            call.arrived(response.status_code, response.headers)
            body = response.raw.read(_ANSWER_BYTES + 1, decode_content=True)
        if len(body) > _ANSWER_BYTES:
            return call.too_large(_ANSWER_BYTES)
        # A test server or proxy that echoes the request must not make us store the token.
        return call.read(body.replace(token.encode(), b"[token]") if len(token) > _TOKEN_CHARACTERS else body)
