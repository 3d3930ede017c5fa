"""Hosts that die at every step of an alert's way."""

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from dev.chaos.scene import Scene
from dev.chaos.verdict import Case
from dev.stack.proxy import Fault, Moment
from dev.stack.stack import Host

Step = Literal["accept", "acquire", "outcome"]
Way = Literal["alone", "with others", "without an event", "from the backlog"]

_BEFORE_THE_TABLE: tuple[tuple[str, Step, Moment], ...] = (
    ("before the outcome is written", "outcome", "request"),
    ("while accepting", "accept", "answer"),
    ("after the acquire", "acquire", "answer"),
    ("after the outcome is written", "outcome", "answer"),
)
_BEFORE_DEFENDER: tuple[tuple[str, Mapping[str, Any]], ...] = (
    ("when Defender has the alert", {"kind": "slow", "delay": 1.5}),
    ("during the call", {"kind": "hang"}),
)


def step_of(request: bytes) -> Step | None:
    """Return which step of an alert's way a request to the table is, if it writes one."""
    if b"/$batch" not in request.partition(b"\r\n")[0]:
        return None
    states = set(re.findall(rb'"state"\s*:\s*"(\w+)"', request))
    if states & {b"created", b"failed"}:
        return "outcome"
    if b"sending" in states:
        return "acquire"
    return "accept" if b"delivery-" in request else None


@dataclass
class Killer:
    """Kills a host when it is at a step of an alert's way: at its request, which is then lost, or at the answer."""

    scene: Scene
    case: Case
    victim: Host
    at: tuple[Step, Moment]
    done: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, moment: Moment, request: bytes) -> Fault | None:
        """Kill, if this is the moment."""
        ours = self.case.fault.encode() in request and (step_of(request), moment) == self.at
        with self._lock:
            if not ours or self.done.is_set():
                return None
            self.scene.kill(self.case, self.victim)
            self.done.set()
        return "lose_request" if moment == "request" else "swallow_answer"


def rehearse(scene: Scene, short: bool) -> None:
    """Kill a host at every step, on each way that an alert goes: straight, with others, from the backlog.

    There always is a backlog of less urgent alerts, so that a slot that opens too early is noticed, and a host dies
    with many calls under way.
    """
    scene.host()  # one survives all
    load = scene.case("the backlog meanwhile")
    scene.send(load, [1] * (30 if short else 150), severity="Low")
    scene.accepted(load)
    ways: tuple[Way, ...] = ("with others",) if short else get_args(Way)
    cases = [_after_accepting(scene, ways)]
    for name, step, moment in _BEFORE_THE_TABLE[: 1 if short else None]:
        cases.append(_before_the_table(scene, name, step, moment, ways))
    for name, fault in _BEFORE_DEFENDER[: 1 if short else None]:
        case = scene.case(f"host killed {name}")
        for way in ways:
            _while_calling(scene, case, fault, way)
        cases.append(case)
    load.struck = sum(case.struck for case in cases)
    scene.drain()


def _after_accepting(scene: Scene, ways: tuple[Way, ...]) -> Case:
    case = scene.case("host killed after accepting")
    for way in ways[:3]:  # the backlog is what it gets into
        victim = scene.host()
        scene.operate("pause")
        _go(scene, case, victim, way)
        scene.accepted(case)
        scene.kill(case, victim)
        scene.operate("resume")
    return case


def _before_the_table(scene: Scene, name: str, step: Step, moment: Moment, ways: tuple[Way, ...]) -> Case:
    case = scene.case(f"host killed {name}")
    for way in ways[:3] if step == "accept" else ways:
        proxy = scene.proxy()
        victim = scene.host(through=proxy)
        proxy.watch = killer = Killer(scene, case, victim, (step, moment))
        if step == "accept":
            scene.operate("pause")
        _go(scene, case, victim, way)
        scene.until(killer.done.is_set, f"{case.fault}, {way}", ticking=victim)
        if step == "accept":
            scene.operate("resume")
    return case


def _while_calling(scene: Scene, case: Case, fault: Mapping[str, Any], way: Way) -> None:
    met, victim = scene.met(), scene.host()
    scene.switch(*({**fault, "on": on, "title": f"{case.fault}, *"} for on in ("alerts", "entity")))
    _go(scene, case, victim, way)
    scene.until(lambda: scene.met() > met, f"{case.fault}, {way}", ticking=victim)
    scene.kill(case, victim)
    scene.switch()


def _go(scene: Scene, case: Case, victim: Host, way: Way) -> None:
    """Send a delivery so that the host to be killed has it, at the latest at a tick, should the window be full."""
    if way == "from the backlog":
        scene.operate("pause")
        scene.send(case, [1, 3], scene.stack.hosts[0])
        scene.accepted(case)
        scene.operate("resume")
    elif way == "without an event":
        scene.send_kinds(case, 2, ["sign-in"], victim)
    else:
        scene.send(case, [1 if way == "alone" else 3], victim)
