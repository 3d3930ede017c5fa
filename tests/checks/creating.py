"""Graph's `createAlert` in simulated time: payloads that name entities, and the alerts that it makes of them."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dev.simulator import create_alert as simulated
from shared.clients import create_alert
from shared.clients.call import Response
from shared.clients.create_alert import Result
from tests.checks.virtual import World

URL = "https://security.microsoft.com/alerts/ma7_1?tid=5f3c1a52-0d5f-4c0c-9a5e-7a6f0f5b8a11"


@dataclass(frozen=True, slots=True)
class Creation:
    """One call as Graph saw it: when (true time, UTC seconds), and its body."""

    at: float
    body: Mapping[str, Any]


def sign_in(number: int, *, user: str = "amy@contoso.example", **more: Any) -> dict[str, Any]:
    """Return a notable of Splunk about a user's sign-in: a time and a user, and nothing of a device."""
    result = {"UtcTime": f"2026-03-04 10:{number:02}:00", "src_ip": "203.0.113.9", "user": user, **more}
    return {"search_name": f"Sign-in {number}", "result": result}


def created(number: int = 1) -> Result:
    """Return what the client makes of the answer about a new alert."""
    return answered(201, {"id": f"ma7_{number}", "incidentId": 50_000 + number, "alertWebUrl": URL})


def answered(status: int, document: Any = None, **headers: str) -> Result:
    """Return what the client makes of an answer; without a `document` it is an error in Graph's form."""
    if document is None:
        inner = {"request-id": "43f4cb08"}
        document = {"error": {"code": f"Code{status}", "message": f"It is {status}.", "innerError": inner}}
    raw = document if isinstance(document, bytes) else json.dumps(document).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return create_alert.read(Response(status, named, raw, None, sent=True, seconds=0.3))


@dataclass
class Creations:
    """Answers each call with what `says` returns for it (None: never), and records all of them.

    `says` gets how many calls were made before. Without it every alert is created. A body that the API would not take
    fails the test.
    """

    world: World
    says: Callable[[int], Result | None] = lambda before: created(before + 1)
    arrivals: list[Creation] = field(default_factory=list)

    def __call__(self, body: Mapping[str, Any]) -> Result | None:
        """Take one call."""
        simulated.check(body)
        self.arrivals.append(Creation(self.world.now, body))
        return self.says(len(self.arrivals) - 1)

    @property
    def times(self) -> list[float]:
        """When the calls arrived (true time, UTC seconds)."""
        return [arrival.at for arrival in self.arrivals]

    @property
    def titles(self) -> list[str]:
        """The titles of the calls."""
        return [str(arrival.body["title"]) for arrival in self.arrivals]
