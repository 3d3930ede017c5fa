"""The operator's pause: no call to Defender until the operator resumes."""

from typing import TYPE_CHECKING

from shared.alerts.text import cut
from shared.errors import Busy
from shared.sending import pause as pauses
from shared.sending import window
from shared.sending.pause import Pause
from shared.table.protocol import try_commit

if TYPE_CHECKING:
    from shared.sending.dispatcher import Dispatch

_REASON = "paused by the operator"
_REASON_UNITS = 300
_TRIES = 5


def pause(dispatcher: "Dispatch", reason: str | None) -> tuple[Pause, float]:
    """Pause, or give the pause that holds another reason. Return it, and the time (UTC seconds). Raise `Busy`."""
    wanted = cut(reason or _REASON, _REASON_UNITS)
    for _ in range(2 * window.MOST_CALLS):  # each conflict is a slot that somebody acquired meanwhile
        view = dispatcher.snapshot().view
        held = view.stop
        if held and (held.reason == wanted or not reason):
            return held, view.now
        begins = [] if held else window.void(view)
        try_commit(dispatcher.table, [pauses.stop(held, wanted), *begins])
    raise _busy()


def resume(dispatcher: "Dispatch") -> tuple[Pause | None, float]:
    """End the operator's pause; return the API's, if there is one, and the time (UTC seconds). Raise `Busy`.

    What Defender asked for stays: calling sooner would lengthen it.
    """
    for _ in range(_TRIES):
        view = dispatcher.snapshot().view
        if view.stop is None:
            return view.asked, view.now
        try_commit(dispatcher.table, pauses.resume(view.stop))
    raise _busy()


def _busy() -> Busy:
    return Busy("Others keep changing this at the same moment; try again.", retry_after=1)
