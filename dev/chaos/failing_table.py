"""A table that is stopped and started, and a network that loses and delays requests and answers."""

from dev.chaos.scene import Scene
from dev.stack.proxy import Fault, Moment, Proxy

_FAULTS: tuple[tuple[str, Moment, Fault, float], ...] = (
    ("table's answers swallowed", "answer", "swallow_answer", 0.25),
    ("requests to the table lost", "request", "lose_request", 0.25),
    ("table hangs", "answer", "hang", 0.15),
    ("requests reach the table late", "request", "late", 0.15),
)
_REFUSED = 503
_SLOW_SECONDS = 2.5


def rehearse(scene: Scene, short: bool) -> None:
    """Stop and start the table in a burst; swallow its answers, lose and delay requests, let it hang."""
    proxy = scene.proxy(hosts=2)
    sizes = [1, 1, 3, 1] * (2 if short else 6)
    _stopped(scene, sizes)
    for fault in _FAULTS[: 1 if short else None]:
        _struck(scene, proxy, fault, sizes)


def busy(scene: Scene, short: bool) -> None:
    """Let the table turn away most requests of five hosts, then all for longer than a POST waits."""
    proxy = scene.proxy(hosts=2 if short else 5)
    sizes = [1, 1, 3, 1] * (2 if short else 10)
    _struck(scene, proxy, ("busy table: four requests of five", "request", "busy", 0.8), sizes)
    if not short:
        case = scene.case("busy table: for longer than a POST waits")
        with scene.striking(case, proxy, "request", "busy", share=1.0):
            scene.send(case, sizes[:12])  # no more than may post at once: each goes on until it is accepted
            scene.until(lambda: all(_REFUSED in sent.heard for sent in case.sent), "every sender heard 503")
        scene.drain()


def slow(scene: Scene, short: bool) -> None:
    """Let every answer of the table take seconds: calls are made all the same, and none twice."""
    proxy = scene.proxy(hosts=2, seconds=_SLOW_SECONDS)
    case = scene.case("slow table")
    with scene.striking(case, proxy, "answer", "slow", share=1.0):
        scene.send(case, [1, 3] if short else [1, 1, 3, 1, 1, 3])
        scene.drain()
    log = scene.stack.simulator("GET", "log")
    if len(log) != len({call["title"] for call in log}):
        case.wrong.append("an alert was called twice")


def _struck(scene: Scene, proxy: Proxy, fault: tuple[str, Moment, Fault, float], sizes: list[int]) -> None:
    """Let a share of the requests, or of the answers, meet a fault until all deliveries were accepted."""
    name, moment, kind, share = fault
    case = scene.case(name)
    with scene.striking(case, proxy, moment, kind, share=share):
        scene.send(case, sizes)
        scene.accepted(case, ticking=True)
    scene.drain()


def _stopped(scene: Scene, sizes: list[int]) -> None:
    """Stop the table in a burst until a sender has heard 503, and start it again."""
    case = scene.case("table stopped and started in a burst")
    scene.send(case, sizes)
    scene.until(lambda: sum(sent.accepted.is_set() for sent in case.sent) >= len(sizes) // 3, "a third")
    scene.stack.azurite.stop()
    case.struck += 1
    scene.send(case, sizes[:4])
    scene.until(lambda: all(_REFUSED in sent.heard for sent in case.sent[-4:]), "the senders heard 503")
    scene.stack.azurite.start()
    scene.drain()
