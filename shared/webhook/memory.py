"""What this host remembers for some seconds, so that those who ask again and again cost the table little."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shared.sending.dispatcher import Look

SECONDS = 5.0


@dataclass(slots=True)
class Memory:
    """The last look of a POST, and the last answers to questions of a kind. Each is replaced as a whole."""

    seen: "Look | None" = None
    answers: dict[str, tuple[float, Any]] = field(default_factory=dict)

    def note(self, look: "Look") -> None:
        """Remember the look of a POST."""
        self.seen = look

    def full(self, now: float) -> "Look | None":
        """Return the last look if the window still is full at `now`, as far as one host can know."""
        look = self.seen
        if look is None or look.view.open:
            return None
        known = SECONDS if look.view.may_change() else math.inf
        if now > look.view.now + min(look.view.opens_in, known):
            return None
        return replace(look, view=replace(look.view, now=now))

    def answer(self, kind: str, at: float, make: Callable[[], Any]) -> Any:
        """Return the last answer of a kind if it is a few seconds old at most, else make one; `at` is monotonic."""
        known = self.answers.get(kind)
        if known and 0 <= at - known[0] < SECONDS:
            return known[1]
        made = make()
        self.answers[kind] = (at, made)
        return made

    def forget(self) -> None:
        """Forget everything: the operator has changed something, and looks whether it helped."""
        self.seen = None
        self.answers.clear()
