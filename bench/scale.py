"""Scale by simulation: 1 to 200 hosts that run the real dispatcher in virtual time on one saturated backlog.

Every host's timer ticks on its own, although the platform runs a timer once for all instances: so this is the
worst case of many that want the same slots. Defender takes 1 s, the table answers within 5 to 50 ms.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.figure import Figure, Goal, Report
from bench.ground import Form, fields
from bench.quota import bound, use
from bench.requests import tick
from dev.simulator.judge import violations
from dev.virtual import Defender, Faults, Host, World
from shared.alerts.alert import Alert
from shared.errors import Conflict
from shared.ledger import record, rows
from shared.settings import Settings
from shared.table.protocol import Operation

WINDOW, MARGIN, LATENCY, CALLS = 60.0, 0.25, 1.0, 15
_TABLE = (0.0025, 0.025)  # each way


@dataclass
class _CountingHost(Host):
    """A virtual host that counts the takes it lost to somebody else."""

    lost: int = 0

    def commit(self, operations: Sequence[Operation], *, mark: str, seconds: float) -> dict[str, str]:
        try:
            return super().commit(operations, mark=mark, seconds=seconds)
        except Conflict:
            self.lost += 1
            raise


@dataclass(frozen=True, slots=True)
class Case:
    """What one number of hosts came to."""

    hosts: int
    use: float
    violations: int
    conflicts_per_call: float
    operations_per_minute: float


def measure(form: Form) -> Report:
    """Simulate five windows for each number of hosts."""
    sizes = form.pick((1, 2, 5, 10, 20, 50, 100, 200), (1, 10))
    cases = [simulate(hosts, windows=form.pick(5, 4)) for hosts in sizes]
    most = bound(WINDOW, MARGIN, LATENCY)
    worst = min(cases, key=lambda case: case.use)
    figures = (
        Figure(
            f"simulated quota use, {sizes[0]} to {sizes[-1]} hosts, worst",
            worst.use * 100,
            "%",
            most * 100,
            Goal("at least", 0.98, of_floor=True),
            f"with {worst.hosts} hosts; the floor is the design's bound",
        ),
        Figure(
            "simulated calls over the limit",
            sum(case.violations for case in cases),
            goal=Goal("at most", 0),
            note=f"{len(cases)} sizes of {form.pick(5, 4)} windows",
        ),
        *(
            Figure(
                f"simulated conflicts a call, {case.hosts} hosts",
                case.conflicts_per_call,
                note=f"{case.operations_per_minute:,.0f} table operations a minute",
            )
            for case in cases
        ),
    )
    return Report(figures, {"cases": cases})


def simulate(hosts: int, *, windows: int, seed: int = 1) -> Case:
    """Run so many hosts until the backlog has been sent for so many windows after the first."""
    world = World(seed)
    defender = Defender(world)
    half = LATENCY / 2
    faults = Faults(table_delay=_TABLE, call_delay=(half, half), answer_delay=(half, half))
    for number in range(CALLS * (windows + 3)):
        alert, accepted = Alert.from_body(fields(number)), world.now + number * 0.001
        entry = record.accept(alert, source="defender", delivery="bench", now=accepted)
        world.table.commit(rows.insert(entry))
    fleet = [
        _CountingHost(world, faults, wall_error=world.random.uniform(-3600, 3600), arrive=defender)
        for _ in range(hosts)
    ]
    end = world.now + (windows + 1) * (WINDOW + MARGIN + LATENCY)
    for host in fleet:
        host.spawn(lambda host=host: _tick(host, end))  # type: ignore[misc]  # bound early on purpose
    began = world.now
    world.run(end - began)
    arrivals = [arrival.at for arrival in defender.arrivals]
    counted = arrivals[: CALLS * (windows + 1)]
    minutes = (end - began) / 60
    return Case(
        hosts,
        use(counted, CALLS, WINDOW),
        len(violations(arrivals, CALLS, WINDOW)),
        sum(host.lost for host in fleet) / len(arrivals),
        sum(host.queries + host.commits for host in fleet) / minutes,
    )


def _tick(host: Host, end: float) -> None:
    gateway = host.gateway(Settings())
    host.world.sleep(host.world.random.uniform(0, 1.0))
    tick(gateway, host.world, end)
