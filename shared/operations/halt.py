"""The operator's pause: no call in a stage until the operator resumes; of all stages in one transaction."""

from typing import TYPE_CHECKING, Any

from shared.alerts.text import cut
from shared.operations import condition
from shared.operations.replay import contested
from shared.sending import pause as pauses
from shared.sending import window
from shared.sending.window import View
from shared.table.protocol import Operation, try_commit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.sending.dispatcher import Dispatch

_REASON = "paused by the operator"
_REASON_UNITS = 300
_TRIES = 5


def pause(stages: "Sequence[Dispatch]", reason: str | None) -> list[View]:
    """Pause stages, or give the pauses that hold another reason. Return the windows as they are then. Raise `Busy`."""
    wanted = cut(reason or _REASON, _REASON_UNITS)
    tries = 2 * window.MOST_CALLS * len(stages)  # each conflict is a slot that somebody acquired meanwhile
    for _ in range(tries):
        views = [stage.snapshot().view for stage in stages]
        operations = [
            operation for view in views for operation in _stop(view, wanted, named=reason is not None)
        ]
        if not operations:
            return views
        try_commit(stages[0].table, operations)
    raise contested()


def _stop(view: View, wanted: str, *, named: bool) -> list[Operation]:
    """Return the operations that pause a stage, none if it is paused for the `wanted` reason, or none is `named`."""
    held = view.stop
    if held and (held.reason == wanted or not named):
        return []
    return [pauses.stop(held, wanted, view.stage), *([] if held else window.void(view))]


def resume(stages: "Sequence[Dispatch]") -> list[View]:
    """End the operator's pause of stages; return the windows as they are then. Raise `Busy`.

    What an API asked for stays: calling sooner would lengthen it.
    """
    for _ in range(_TRIES):
        views = [stage.snapshot().view for stage in stages]
        held = [view.stop for view in views if view.stop]
        if not held:
            return views
        by_key = {operation.key: operation for stop in held for operation in pauses.resume(stop)}
        try_commit(stages[0].table, list(by_key.values()))
    raise contested()


def shown(views: "Sequence[View]") -> dict[str, Any]:
    """Return the pauses of stages; `pause` is that of the first."""
    stages = [{"name": view.stage.name, "pause": condition.pause(view.pause, view.now)} for view in views]
    return {"pause": stages[0]["pause"], "stages": stages}


def names(views: "Sequence[View]") -> str:
    """Return the names of stages, for the log."""
    return ", ".join(view.stage.name for view in views)
