"""The faults of the campaign, stage by stage; a stage is a scene and what happens on it."""

import functools
import random
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from dev.chaos.scene import Scene
from dev.chaos.verdict import Case, Verdict
from dev.proxy import Fault, Moment
from dev.stack import Host

Step = Literal["accept", "take", "outcome"]


@dataclass(frozen=True, slots=True)
class Stage:
    """A scene, by its window and a call's deadline in seconds, and what happens there; `short` does less."""

    name: str
    window: float
    deadline: float
    rehearse: Callable[[Scene, bool], None]
    settings: Mapping[str, str]


def step_of(request: bytes) -> Step | None:
    """Return which step of an alert's way a request to the table is, if it writes one."""
    if b"/$batch" not in request.partition(b"\r\n")[0]:
        return None
    states = set(re.findall(rb'"state"\s*:\s*"(\w+)"', request))
    if states & {b"created", b"failed"}:
        return "outcome"
    if b"sending" in states:
        return "take"
    return "accept" if b"delivery-" in request else None


# ---- hosts killed


class Killer:
    """Kills a host when it is at a step of an alert's way: at its request, which is then lost, or at the answer."""

    def __init__(self, scene: Scene, case: Case, step: Step, moment: Moment) -> None:
        self._scene = scene
        self._case = case
        self._at = (step, moment)
        self._lock = threading.Lock()
        self.victim: Host | None = None
        self.done = threading.Event()

    def __call__(self, moment: Moment, request: bytes) -> Fault | None:
        """Kill, if this is the moment."""
        ours = self._case.fault.encode() in request and (step_of(request), moment) == self._at
        with self._lock:
            if not ours or self.done.is_set() or self.victim is None:
                return None
            self._scene.stack.kill(self.victim)
            self._case.struck += 1
            self.done.set()
        return "lose_request" if moment == "request" else "swallow_answer"


def hosts_killed(scene: Scene, short: bool) -> None:
    """Kill a host at every step, on each way that an alert goes: straight, with others, from the backlog."""
    scene.host()  # one survives all
    ways = ("alone",) if short else ("alone", "with others", "from the backlog")
    _killed_after_accepting(scene, ways)
    steps: list[tuple[str, Step, Moment]] = [
        ("while accepting", "accept", "answer"),
        ("after the take", "take", "answer"),
        ("before the outcome is written", "outcome", "request"),
        ("after the outcome is written", "outcome", "answer"),
    ]
    for what, step, moment in steps:
        case = scene.case(f"host killed {what}")
        for way in ways:
            if step == "accept" and way == "from the backlog":
                continue
            killer = Killer(scene, case, step, moment)
            proxy = scene.proxy(killer)
            killer.victim = victim = scene.host(through=proxy)
            _go(scene, case, victim, way, paused=step == "accept")
            _wait_for(killer.done, f"{case.fault}, {way}")
            if step == "accept":
                scene.stack.operate("POST", "resume")
    for what, fault in (("during the call", "hang"), ("when Defender has the alert", "slow")):
        case = scene.case(f"host killed {what}")
        for way in ways:
            victim = scene.host()
            _switch(
                scene, {"kind": fault, "delay": 1.5 if fault == "slow" else 0, "title": f"{case.fault}, *"}
            )
            met = _met(scene, case)
            _go(scene, case, victim, way)
            scene.until(functools.partial(_has_met_more, scene, case, met), f"{case.fault}, {way}")
            scene.stack.kill(victim)
            case.struck += 1
            _switch(scene)
    scene.drain()


def _killed_after_accepting(scene: Scene, ways: tuple[str, ...]) -> None:
    case = scene.case("host killed after accepting")
    for way in ways[:2]:
        victim = scene.host()
        _go(scene, case, victim, way, paused=True)
        _wait_for(case.sent[-1].accepted, case.fault)
        scene.stack.kill(victim)
        case.struck += 1
        scene.stack.operate("POST", "resume")


def _go(scene: Scene, case: Case, victim: Host, way: str, *, paused: bool = False) -> None:
    """Send a delivery on its way, so that the victim has it."""
    survivor = scene.stack.hosts[0]
    if paused or way == "from the backlog":
        scene.stack.operate("POST", "pause?reason=rehearsal").raise_for_status()
    if way == "from the backlog":
        scene.send(case, [1, 3], survivor)
        for sent in case.sent[-2:]:
            _wait_for(sent.accepted, case.fault)
        scene.stack.operate("POST", "resume").raise_for_status()
    else:
        scene.send(case, [1 if way == "alone" else 3], victim)
    if not paused and victim in scene.stack.hosts:
        scene.stack.dispatch(victim)  # should the window have been full just now


# ---- a table that fails


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
        if not self._on or self._on[1] != moment or self._dice.random() >= self._on[3]:
            return None
        self._on[0].struck += 1
        return self._on[2]


def table_fails(scene: Scene, short: bool) -> None:
    """Stop and start the table in a burst; swallow its answers, lose and delay requests, let it hang."""
    dice = Dice()
    proxy = scene.proxy(dice)
    for _ in range(2):
        scene.host(through=proxy)
    sizes = [1, 1, 3, 1] * (3 if short else 6)
    _table_stopped(scene, sizes)
    faults: list[tuple[str, Moment, Fault, float]] = [
        ("table's answers swallowed", "answer", "swallow_answer", 0.25),
        ("requests to the table lost", "request", "lose_request", 0.25),
        ("table hangs", "answer", "hang", 0.15),
        ("requests reach the table late", "request", "late", 0.15),
    ]
    for what, moment, fault, share in faults[: 1 if short else None]:
        case = scene.case(what)
        with dice.on(case, moment, fault, share):
            scene.send(case, sizes)
            for sent in case.sent:
                _wait_for(sent.accepted, what)
                scene.tick()
        scene.drain()


def _table_stopped(scene: Scene, sizes: list[int]) -> None:
    case = scene.case("table stopped and started in a burst")
    scene.send(case, sizes)
    scene.until(lambda: sum(sent.accepted.is_set() for sent in case.sent) >= len(sizes) // 3, "a third")
    scene.azurite.stop()
    case.struck += 1
    scene.send(case, sizes[:4])
    scene.until(lambda: all(sent.heard for sent in case.sent), "every sender was answered, or not")
    scene.azurite.start()
    scene.drain()


# ---- a Defender, or a token endpoint, that fails


def defender_fails(scene: Scene, short: bool) -> None:
    """Let Defender say everything that it may say instead of an answer, twice each."""
    scene.host()
    faults: list[tuple[str, dict[str, Any]]] = [
        ("Defender: 500", {"kind": "status", "status": 500, "times": 2}),
        ("Defender: 503", {"kind": "status", "status": 503, "times": 2}),
        ("Defender: 429, Retry-After 4", {"kind": "status", "status": 429, "retryAfter": 4, "times": 1}),
        ("Defender: a page of HTML", {"kind": "html", "times": 2}),
        ("Defender: hangs", {"kind": "hang", "times": 2}),
        ("Defender: reset", {"kind": "reset", "times": 2}),
        ("Defender: reset after processing", {"kind": "reset", "times": 2, "afterProcessing": True}),
    ]
    for what, fault in faults[:1] if short else faults:
        case = scene.case(what)
        _switch(scene, fault)
        scene.send(case, [1, 3])
        scene.drain()
        _switch(scene)
        case.struck += _met(scene, case)
    if not short:
        _token_endpoint_fails(scene)
        _refused_for_good(scene)


def _token_endpoint_fails(scene: Scene) -> None:
    for what, fault in (
        ("token endpoint: 500", {"kind": "status", "status": 500, "times": 2}),
        ("token endpoint: slow", {"kind": "slow", "delay": 4, "times": 1}),
        ("token endpoint: hangs", {"kind": "hang", "times": 1}),
    ):
        case = scene.case(what)
        scene.stack.kill(scene.stack.hosts[0])
        scene.host()  # has no token yet
        asked = _tokens_asked(scene)
        _switch(scene, {**fault, "on": "token"})
        scene.send(case, [1, 3])
        for sent in case.sent:
            _wait_for(sent.accepted, what)
        case.struck += _tokens_asked(scene) - asked
        if fault["kind"] == "hang":
            _switch(scene)
        scene.drain()
        _switch(scene)


def _refused_for_good(scene: Scene) -> None:
    """Let alerts fail with a reason; replayed when Defender has changed its mind, they are created."""
    for what, status, is_replayed in (
        ("Defender: rejects, then replayed", 400, True),
        ("Defender: rejects", 400, False),
        ("Defender: knows no such event", 404, False),
    ):
        case = scene.case(what)
        _switch(scene, {"kind": "status", "status": status})
        scene.send(case, [1, 3])
        scene.drain()
        _switch(scene)
        case.struck += _met(scene, case)
        alerts = [alert for sent in case.sent for alert in (sent.told or {}).get("alerts", [])]
        for alert in alerts:
            reason = alert["error"] or {}
            if alert["status"] != "failed" or reason.get("status") != status or not reason.get("hint"):
                case.wrong.append(f"{alert['request']['title']}: {alert['status']}, {reason}")
        if is_replayed:
            done = scene.stack.operate("POST", "alerts/replay?status=failed&top=50").json()
            if (done["replayed"], done["remaining"]) != (len(alerts), 0):
                case.wrong.append(f"{len(alerts)} failed, and the replay says {done}")
            scene.ask_again(case)
            scene.drain()


# ---- clocks, and a burst


def clocks_apart(scene: Scene, short: bool) -> None:
    """Let hosts live hours apart, by their wall clocks, in a full window."""
    offsets = ("-18000", "0", "18000")
    for offset in offsets:
        scene.host(f"--wall-offset={offset}")
    case = scene.case("wall clocks five hours apart")
    scene.send(case, [1, 1, 3] * (5 if short else 12))
    scene.drain()
    case.struck += len({call["appId"] for call in scene.stack.simulator("GET", "log")}) == len(offsets)


def burst(scene: Scene, short: bool) -> None:
    """Post hundreds of deliveries at once."""
    for _ in range(2 if short else 4):
        scene.host()
    case = scene.case("500 deliveries at once" if not short else "60 deliveries at once")
    scene.send(case, [1] * (60 if short else 500))
    case.struck += 1
    scene.drain()


STAGES = (
    Stage("hosts killed", 5.0, 2.0, hosts_killed, {}),
    Stage("a table that fails", 5.0, 2.0, table_fails, {}),
    Stage("a Defender that fails", 3.0, 2.0, defender_fails, {}),
    Stage("clocks apart", 3.0, 5.0, clocks_apart, {}),
    Stage("a burst", 2.0, 5.0, burst, {"RATE_LIMIT_MARGIN_SECONDS": "0.1"}),
)


def rehearse(stage: Stage, *, short: bool = False) -> list[Verdict]:
    """Set the scene, let the stage's faults happen, and judge what became of the alerts."""
    with Scene(window=stage.window, deadline=stage.deadline, settings=stage.settings) as scene:
        stage.rehearse(scene, short)
        return scene.verdicts()


def _switch(scene: Scene, *faults: Mapping[str, Any]) -> None:
    scene.stack.simulator("PUT", "switches", {"faults": list(faults)})


def _met(scene: Scene, case: Case) -> int:
    """Return how many calls for a case's alerts met a fault."""
    log = scene.stack.simulator("GET", "log")
    return sum(call["fault"] is not None and call["title"].startswith(f"{case.fault},") for call in log)


def _has_met_more(scene: Scene, case: Case, before: int) -> bool:
    return _met(scene, case) > before


def _tokens_asked(scene: Scene) -> int:
    return sum(scene.stack.simulator("GET", "tokens").values())


def _wait_for(event: threading.Event, what: str) -> None:
    if not event.wait(120):
        raise TimeoutError(f"it did not come to it: {what}")
