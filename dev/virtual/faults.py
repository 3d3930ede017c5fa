"""How long requests take, and the fault of one of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from shared.table.protocol import Operation

if TYPE_CHECKING:
    from dev.virtual.host import Host


Kind = Literal[
    "lost", "late", "swallowed", "busy", "timed out", "denied", "unsent",
    "crash", "crashed", "freeze", "frozen", "suspended",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Faults:
    """How long requests take on their way: each way to the table, to Defender, and back from it; in seconds."""

    table_delay: tuple[float, float] = (0.005, 0.05)
    call_delay: tuple[float, float] = (0.01, 1.0)
    answer_delay: tuple[float, float] = (0.01, 0.5)


AT_ONCE = Faults(table_delay=(0, 0), call_delay=(0, 0), answer_delay=(0, 0))
"""A network that takes no time: what happens at the same moment is for `World.pick` to order."""


@dataclass(frozen=True, slots=True)
class Fault:
    """The fault of one request.

    ```
    lost       it never arrives; nobody answers
    late       it arrives `seconds` later; nobody answers
    swallowed  it arrives; nobody answers
    busy       of the table: 503 ServerBusy, nothing is written
    timed out  of the table: 500 OperationTimedOut, and it is written all the same
    denied     of the table: 403
    unsent     of a call: not a byte left this machine
    crash      the host dies before it arrives
    crashed    the host dies as soon as it has arrived
    freeze     the host stands still for `seconds` before it arrives
    frozen     the host stands still for `seconds` before it sees the answer
    suspended  the same, and its monotonic clock stands still as well
    ```
    """

    kind: Kind
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Request:
    """A request of a host: to the table a query of `start` to `end` or a commit, to Defender a call."""

    host: "Host"
    kind: Literal["query", "commit", "call"]
    start: str = ""
    end: str = ""
    operations: Sequence[Operation] = ()
    body: Mapping[str, str] = field(default_factory=dict)
