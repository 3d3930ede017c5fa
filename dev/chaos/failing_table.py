"""A table that is stopped and started, and a network before it that loses, delays and swallows."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

from dev.chaos.scene import Scene
from dev.chaos.verdict import Case
from dev.stack.proxy import Fault, Moment

_FAULTS: tuple[tuple[str, Moment, Fault, float], ...] = (
    ("table's answers swallowed", "answer", "swallow_answer", 0.25),
    ("requests to the table lost", "request", "lose_request", 0.25),
    ("table hangs", "answer", "hang", 0.15),
    ("requests reach the table late", "request", "late", 0.15),
)


class Dice:
    """Lets a share of the requests, or of the answers, meet a fault, while a case is on."""

    def __init__(self) -> None:
        self._dice = random.Random(1)
        self._on: tuple[Case, Moment, Fault, float] | None = None

    @contextmanager
    def on(self, case: Case, moment: Moment, fault: Fault, share: float) -> Iterator[None]:
        """Let it happen until the block ends."""
        self._on = (case, moment, fault, share)
        try:
            yield
        finally:
            self._on = None

    def __call__(self, moment: Moment, request: bytes) -> Fault | None:  # noqa: ARG002 - a proxy's watch
        """Throw the dice."""
        if not (on := self._on) or on[1] != moment or self._dice.random() >= on[3]:
            return None
        on[0].struck += 1
        return on[2]


def rehearse(scene: Scene, short: bool) -> None:
    """Stop and start the table in a burst; swallow its answers, lose and delay requests, let it hang."""
    dice = Dice()
    proxy = scene.proxy(dice)
    for _ in range(2):
        scene.host(through=proxy)
    sizes = [1, 1, 3, 1] * (2 if short else 6)
    _stopped(scene, sizes)
    for what, moment, fault, share in _FAULTS[: 1 if short else None]:
        case = scene.case(what)
        with dice.on(case, moment, fault, share):
            scene.send(case, sizes)
            scene.accepted(case, ticking=True)
        scene.drain()


def _stopped(scene: Scene, sizes: list[int]) -> None:
    case = scene.case("table stopped and started in a burst")
    scene.send(case, sizes)
    scene.until(lambda: sum(sent.accepted.is_set() for sent in case.sent) >= len(sizes) // 3, "a third")
    scene.azurite.stop()
    case.struck += 1
    scene.send(case, sizes[:4])
    scene.until(lambda: all(sent.heard for sent in case.sent), "every sender was answered, or not")
    scene.azurite.start()
    scene.drain()
