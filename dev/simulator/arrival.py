"""One call in the simulator's log."""

from dataclasses import dataclass


@dataclass(slots=True)
class Arrival:
    """A call, logged when its headers were read; other fields are filled in later.

    `at` is on the machine's monotonic clock (the same for all its processes), `connection` the caller's port.
    `judged`: had a good token, so it counts in the window. `status` is None as long as nothing was answered.
    `alert_id` is set when the call created or met an alert, whether or not the caller got an answer. Of a search there
    are `query`, `timespan` and `rows`, and the `seconds` that parser and engine took.
    """

    sequence: int
    at: float
    wall: str
    method: str
    connection: int
    app_id: str | None = None
    judged: bool = False
    over_limit: bool = False
    machine_id: str | None = None
    event_time: str | None = None
    report_id: str | None = None
    title: str | None = None
    fault: str | None = None
    status: int | None = None
    code: str | None = None
    retry_after: str | None = None
    alert_id: str | None = None
    merged: bool = False
    query: str | None = None
    timespan: str | None = None
    rows: int | None = None
    seconds: float = 0.0
