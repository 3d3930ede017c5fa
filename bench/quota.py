"""Quota use: how much of what Defender allows is used while there is more to send than it allows.

Use is the calls after the first fifteen, by what Defender allows between the fifteenth arrival and the last. First on
real hosts: each case has a Defender, a table and hosts of its own; all cases run side by side, since they wait nearly
all the time, and begin some seconds apart, so that their bursts do not meet.

Then by simulation: 1 to 200 hosts run the real dispatcher in virtual time on one saturated backlog. Every host's timer
ticks on its own, although the platform runs a timer once for all instances: so this is the worst case of many that
want the same slots. Defender takes 1 s, the table answers within 5 to 50 ms.
"""

import functools
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from bench.bare import accepted
from bench.figure import Figure, Goal, Report
from bench.ground import BenchError, Form, fields
from bench.requests import tick
from dev.simulator.judge import violations
from dev.stack.stack import Stack
from dev.virtual.host import Defender, Faults, Host
from dev.virtual.world import World
from shared.ledger import rows
from shared.settings import Settings

CALLS, WINDOW, MARGIN = 15, 60.0, 0.25
_APART_SECONDS = 3.0
_POLL_SECONDS = 0.5
_TABLE = (0.0025, 0.025)  # each way, simulated
_LATENCY = 1.0  # of the simulated Defender


@dataclass(frozen=True, slots=True)
class Case:
    """A latency of Defender in seconds, a number of hosts, and the results."""

    latency: float
    hosts: int
    use: float
    too_many: int
    calls: int
    conflicts_a_call: float = 0.0
    requests_a_minute: float = 0.0


def bound(window: float, margin: float, latency: float) -> float:
    """Return the most that the design can use: each slot is used once in window + margin + latency.

    Without the margin it is the most of any limiter that cannot see when in a call Defender counts it.
    """
    return window / (window + margin + latency)


def use(arrivals: Iterable[float], calls: int, window: float) -> float:
    """Return the part of the quota that was used, from the last of the first `calls` arrivals to the last."""
    ordered = sorted(arrivals)
    if len(ordered) <= calls:
        raise ValueError(f"{len(ordered)} arrivals are too few: the first {calls} count for nothing")
    seconds = ordered[-1] - ordered[calls - 1]
    return (len(ordered) - calls) / (seconds * calls / window)


def measure(form: Form) -> Report:
    """Run every case, side by side; then simulate five windows for each number of hosts."""
    window, windows = form.pick(WINDOW, 6.0), form.pick(4, 2)
    shapes = [(latency, hosts) for latency in form.pick((0.1, 1.0, 5.0), (0.1, 1.0)) for hosts in (1, 4)]
    with ThreadPoolExecutor(len(shapes)) as pool:
        running = [
            pool.submit(_run, *shape, window, windows, delay=number * _APART_SECONDS)
            for number, shape in enumerate(shapes)
        ]
        cases = [future.result() for future in running]
    sizes = form.pick((1, 2, 5, 10, 20, 50, 100, 200), (1, 10))
    simulated = [simulate(hosts, windows=form.pick(5, 4)) for hosts in sizes]
    worst = min(simulated, key=lambda case: case.use)
    most = bound(WINDOW, MARGIN, _LATENCY) * 100
    nearly, name = Goal("at least", 0.98, of_floor=True), f"simulated quota use, {len(sizes)} sizes, worst"
    figures = (
        *(_figure(case, window, judged=not form.quick) for case in cases),
        _too_many("calls over the limit, by the strict judge", cases),
        Figure(name, worst.use * 100, "%", most, nearly, f"with {worst.hosts} hosts; the design's bound"),
        _too_many("simulated calls over the limit", simulated),
        *(
            Figure(
                f"simulated conflicts a call, {case.hosts} host{'s' if case.hosts > 1 else ''}",
                case.conflicts_a_call,
                note=f"{case.requests_a_minute:,.0f} requests to the table a minute",
            )
            for case in simulated
        ),
    )
    measured = {"window": window, "cases": cases, "simulated": simulated}
    return Report(figures, measured, chart(simulated))


def chart(cases: Sequence[Case]) -> str:
    """Return how conflicts and requests grow with the hosts, as two charts in Markdown."""
    hosts = ", ".join(f'"{case.hosts}"' for case in cases)
    names = {"conflicts a call": "conflicts_a_call", "requests to the table a minute": "requests_a_minute"}
    return "\n\n".join(
        f'```mermaid\nxychart-beta\n    title "Simulated {title}"\n    x-axis "hosts" [{hosts}]\n'
        f"    line [{', '.join(f'{getattr(case, name):.4g}' for case in cases)}]\n```"
        for title, name in names.items()
    )


def _figure(case: Case, window: float, *, judged: bool) -> Figure:
    name = f"quota use, L = {case.latency:g} s, {case.hosts} host{'s' if case.hosts > 1 else ''}"
    note = f"floor: the design's bound; any limiter's: {bound(window, 0.0, case.latency) * 100:.1f} %"
    goal = Goal("at least", 0.99, of_floor=True) if judged else None
    return Figure(name, case.use * 100, "%", bound(window, MARGIN, case.latency) * 100, goal, note)


def _too_many(name: str, cases: Sequence[Case]) -> Figure:
    calls = sum(case.calls for case in cases)
    return Figure(
        name, sum(case.too_many for case in cases), goal=Goal("at most", 0), note=f"{calls:,} calls"
    )


def _run(latency: float, hosts: int, window: float, windows: int, *, delay: float) -> Case:
    time.sleep(delay)
    with Stack(hosts=hosts, calls=CALLS, window=window, defender=("--latency", f"{latency:g}")) as stack:
        return run(stack, latency, window, windows)


def run(stack: Stack, latency: float, window: float, windows: int) -> Case:
    """Post more than can be sent, let every host dispatch, and wait for so many windows after the first."""
    alerts = [fields(number) for number in range(CALLS * (windows + 2))]
    for start in range(0, len(alerts), 100):
        stack.post(alerts[start : start + 100]).raise_for_status()
    for host in stack.hosts:
        stack.dispatch(host)
    return observed(stack, latency, window, windows)


def observed(stack: Stack, latency: float, window: float, windows: int) -> Case:
    """Wait until Defender has let pass what so many windows after the first can hold, and judge its log."""
    expected, passed = CALLS * (windows + 1), list[float]()
    end = time.monotonic() + 3 * (windows + 2) * (window + latency + 1) + 60
    while len(passed) < expected:
        if time.monotonic() > end:
            raise BenchError(f"only {len(passed)} of {expected} calls came")
        time.sleep(_POLL_SECONDS)
        log = [arrival for arrival in stack.simulator("GET", "log") if arrival["judged"]]
        passed = [arrival["at"] for arrival in log if not arrival["overLimit"]]
    too_many = max(len(log) - len(passed), len(violations((each["at"] for each in log), CALLS, window)))
    return Case(latency, len(stack.hosts), use(passed[:expected], CALLS, window), too_many, len(log))


def simulate(hosts: int, *, windows: int, seed: int = 1) -> Case:
    """Run so many hosts until the backlog has been sent for so many windows after the first."""
    world = World(seed)
    defender = Defender(world)
    half = _LATENCY / 2
    faults = Faults(table_delay=_TABLE, call_delay=(half, half), answer_delay=(half, half))
    for number in range(CALLS * (windows + 3)):
        entry, _ = accepted(fields(number), world.now + number * 0.001)
        world.table.commit(rows.insert(entry))
    fleet = [
        Host(world, faults, wall_error=world.random.uniform(-3600, 3600), arrive=defender)
        for _ in range(hosts)
    ]
    end = world.now + (windows + 1) * (WINDOW + MARGIN + _LATENCY)
    for host in fleet:
        host.spawn(functools.partial(_dispatch, host, end))
    began = world.now
    world.run(end - began)
    arrivals = [arrival.at for arrival in defender.arrivals]
    return Case(
        _LATENCY,
        hosts,
        use(arrivals[: CALLS * (windows + 1)], CALLS, WINDOW),
        len(violations(arrivals, CALLS, WINDOW)),
        len(arrivals),
        sum(host.lost for host in fleet) / len(arrivals),
        sum(host.queries + host.commits for host in fleet) * 60 / (end - began),
    )


def _dispatch(host: Host, end: float) -> None:
    webhook = host.webhook(Settings())
    host.world.sleep(host.world.random.uniform(0, 1.0))
    tick(webhook, host.world, end)
