"""Pauses: times in which no host calls. One is the API's, the other the operator's; each has its own row.

The API's pause is a row that is `closed` for so many seconds from its server's stamp. Once it is over, the first
acquire closes it again for its own lease: that call is the probe, and all others wait for its answer.

    failure ── 5 s ── probe fails ── 10 s ── probe fails ── 20 s … 60 s ── probe answered: all go on

What the API itself asked for (`Retry-After`, a 429) holds whatever a probe's answer says: it takes the row from the
probe. The operator's pause has no end of its own, and changes nothing of what the API asked for.

A pause begins in one transaction with `window.void`, so that no acquire succeeds whose snapshot did not see it.
"""

import math
from dataclasses import dataclass

from shared.clients.answer import Answer
from shared.ledger import keys
from shared.ledger.keys import Stage
from shared.table.protocol import Delete, Insert, Operation, Replace, Row, Value

FIRST_PAUSE_SECONDS = 5.0
SLACK_SECONDS = 1.0
PROBE_SECONDS = 60.0
ACCESS_PAUSE_SECONDS = 60.0
_TOO_MANY_REQUESTS = 429
_NO_ACCESS = (401, 403)


@dataclass(frozen=True, slots=True)
class Pause:
    """A time in which no host calls, until `ends` (server's UTC seconds; infinite: until the operator resumes).

    `probed`: it was over, and a probe holds it for its lease.
    """

    ends: float
    reason: str
    step: int
    etag: str
    probed: bool = False
    key: str = keys.PAUSE

    @property
    def by_operator(self) -> bool:
        """Whether it lasts until the operator resumes."""
        return math.isinf(self.ends)


@dataclass(frozen=True, slots=True)
class Probe:
    """The pause's row as held by the one call that probes; `step` is the pause's step before it."""

    step: int
    etag: str
    key: str = keys.PAUSE


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why an answer pauses all hosts, and for how many seconds at least; `named`: the API itself asked for it."""

    reason: str
    seconds: float
    named: bool = False


@dataclass(slots=True)
class Heard:
    """Until when this host was asked not to call (server's UTC seconds), before the table says so."""

    until: float = -math.inf
    reason: str = ""

    def note(self, until: float, reason: str) -> None:
        """Remember what an answer asked for, and why."""
        if until > self.until:
            self.until, self.reason = until, reason


def read(row: Row, opens: float) -> Pause:
    """Read a pause from its row; `opens` is when the row's time is over (server's UTC seconds)."""
    step = row.values.get("step")
    stopped = row.key.endswith(keys.STOP) or bool(
        row.values.get("operator")
    )  # the older version has one row for both
    return Pause(
        ends=math.inf if stopped else opens,
        reason=str(row.values.get("reason", "")),
        step=step if isinstance(step, int) else 1,
        etag=row.etag,
        probed=bool(row.values.get("attempt")),
        key=row.key,
    )


def printable(words: str) -> str:
    """Return an API's words as the reason of a pause: what the table takes, in any case."""
    return "".join(char if char.isprintable() else " " for char in words)[:300]


def trouble(answer: Answer, window: float) -> Trouble:
    """Return why an unavailable answer pauses all hosts, and for how long; `window` is the quota's, in seconds."""
    error = answer.error or {}
    words = " ".join(str(part) for part in (answer.status, error.get("code"), error.get("message")) if part)
    reason = printable(words)
    if answer.status == _TOO_MANY_REQUESTS:
        return Trouble(reason, answer.retry_after or window, named=True)
    least = ACCESS_PAUSE_SECONDS if answer.status in _NO_ACCESS else FIRST_PAUSE_SECONDS
    return Trouble(reason, max(least, answer.retry_after or 0.0), named=answer.retry_after is not None)


def start(pause: Pause | None, cause: Trouble, now: float, stage: Stage = keys.REFERENCE) -> Operation | None:
    """Return the operation of a failure that is no probe: it starts a stage's pause, or may only lengthen one.

    So fifteen failures at once are one step. None if the pause lasts long enough, or a probe is under way.
    """
    values: dict[str, Value] = {"closed": cause.seconds, "reason": cause.reason, "step": 1}
    if pause is None:
        return Insert(stage.pause, values)
    if now + cause.seconds <= pause.ends and not pause.probed:
        return None
    if pause.probed and not cause.named:
        return None
    # A second longer: the neighbours, who fail in the same second, need no write each.
    values |= {"closed": cause.seconds + SLACK_SECONDS, "step": pause.step}
    return Replace(pause.key, values, pause.etag)


def probe(pause: Pause, attempt: str, lease: float) -> Operation:
    """Return the operation by which an acquire becomes the probe of a pause that is over."""
    values: dict[str, Value] = {
        "closed": lease,
        "reason": pause.reason,
        "step": pause.step,
        "attempt": attempt,
    }
    return Replace(pause.key, values, pause.etag)


def renew(held: Probe, cause: Trouble) -> Operation:
    """Return the operation of a probe that failed: the next step, twice as long, up to a minute, or as asked for."""
    step = held.step + 1
    doublings = min(step - 1, 10)  # an outage of days has thousands of steps
    closed = max(cause.seconds, min(PROBE_SECONDS, FIRST_PAUSE_SECONDS * 2.0**doublings))
    return Replace(held.key, {"closed": closed, "reason": cause.reason, "step": step}, held.etag)


def abandon(held: Probe, reason: str) -> Operation:
    """Return the operation of a probe that made no call: the pause is over as before, and the next acquire probes."""
    return Replace(held.key, {"closed": 0.0, "reason": reason, "step": held.step}, held.etag)


def end(held: Probe | Pause) -> Operation:
    """Return the operation that ends the API's pause, as its probe was answered."""
    return Delete(held.key, held.etag)


def stop(held: Pause | None, reason: str, stage: Stage = keys.REFERENCE) -> Operation:
    """Return the operation by which the operator pauses, or changes the reason of the pause that they `held`."""
    values: dict[str, Value] = {"operator": True, "reason": reason}
    return Insert(stage.stop, values) if held is None else Replace(held.key, values, held.etag)


def resume(held: Pause) -> list[Operation]:
    """Return the operations that end the operator's pause; what the API asked for still holds."""
    return [Delete(held.key, held.etag), Replace(keys.RESUMED, {"reason": held.reason}, "*")]
