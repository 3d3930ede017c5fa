"""Requests to the table, and the entities that they read or write: counted in virtual time with the real code.

First those of each alert and of an idle host. Then those of each use case, which must cost the same on a table of a
hundred rows and of a hundred thousand, half of them alerts that wait and half alerts that were created, while the
window is full. Last a storm: 3,600 deliveries wait, and every sender polls again after the `Retry-After` of its answer.
"""

import functools
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from statistics import median

from bench.bare import MARK, accepted
from bench.figure import Figure, Goal, Report
from bench.ground import BenchError, Form, fields
from dev.virtual.host import ORIGIN, Defender, Faults, Host, alert_created
from dev.virtual.world import Partition, World
from shared.ledger import keys, record, rows, settlement
from shared.operations.routes import Operator, handle
from shared.sending import window
from shared.settings import Settings
from shared.webhook.receive import Webhook
from tests.checks import graph, virtual
from tests.checks.app import App
from tests.checks.searches import searching

SIZES = (100, 10_000, 100_000)
_STRAIGHT, _WAITING = 15, 60  # alerts
_ALL = 2 * _STRAIGHT + _WAITING
_HOUR, _HOURS = 3600.0, 24
_TICK = 30.0
_TWO = 5  # rows: of an alert that waits, of one that was created, and of their deliveries
_CREATED = 1_000_000  # where the numbers of created alerts begin
_COUNTED = 240  # the status counts up to 200 waiting alerts, beside the window and the head of the backlog
_STORM, _HOSTS, _MINUTES = 3_600, 4, 5
_OK, _WAITS = 200, 202


@dataclass
class Meter(Partition):
    """The table's server. It remembers when it read or wrote how many entities, an item for each request."""

    spent: list[tuple[float, float]] = field(default_factory=list)

    def spend(self, entities: float) -> None:
        """Count the entities of one request."""
        self.spent.append((self.clock(), entities))
        super().spend(entities)


def measure(form: Form) -> Report:
    """Count what an alert costs, each use case on tables of every size, and the storm's busiest second."""
    alerts = of_alerts()
    costs = {size: of_use_cases(size) for size in form.pick(SIZES, SIZES[:2])}
    seconds, polls = storm(deliveries := form.pick(_STORM, 360))
    busiest = Figure(
        f"entities in the busiest second of a storm of {deliveries:,} waiting deliveries",
        max(seconds),
        goal=Goal("at most", Partition.entities / 2),
        note=f"{polls:,} polls of {_HOSTS} hosts in {_MINUTES} minutes",
    )
    searched = of_search()
    found = [
        Figure(f"{what} of an alert whose event is found in its POST", count, goal=Goal("at most", most))
        for (what, count), most in zip(searched.items(), (5, 1, 1), strict=True)
    ]
    figures = (*_figures_of_alerts(alerts), *found, *_figures_of_use_cases(costs), busiest)
    return Report(figures, {"alerts": alerts, "search": searched, "use cases": costs, "storm": seconds})


def _figures_of_alerts(counts: Mapping[str, tuple[int, int]]) -> Iterable[Figure]:
    straight, accept, dispatch = sum(counts["straight"]), sum(counts["accept"]), counts["dispatch"]
    hours = [sum(counts[f"hour {hour}"]) for hour in range(_HOURS)]
    clearing = [count for count in hours if count != median(hours)]
    known = f"{_WAITING} alerts; one where the window is known to be full"
    snapshots = f"{dispatch[0] / (_WAITING / _STRAIGHT):.1f} snapshots for each {_STRAIGHT} sent"
    idle = f"of {_HOURS}; in {len(clearing)} of them it clears away, and takes up to {max(hours)}"
    for name, ours, most, note in (
        ("an alert, straight", straight / _STRAIGHT, 3, f"{_STRAIGHT} alerts, counted"),
        ("an alert, accept", accept / _WAITING, 2, known),
        ("an alert, dispatch", dispatch[1] / _WAITING, 2, "its take and its outcome"),
        ("an alert, snapshots and all", (accept + sum(dispatch)) / _WAITING, 4, snapshots),
        ("an idle hour", median(hours), 120, idle),
    ):
        yield Figure(f"requests of {name}", ours, goal=Goal("at most", most), note=note)


def _figures_of_use_cases(costs: Mapping[int, Mapping[str, tuple[int, float]]]) -> Iterable[Figure]:
    sizes = ", ".join(f"{size:,}" for size in costs)
    for name in next(iter(costs.values())):
        for place, unit in enumerate(("requests", "entities")):
            small, *larger = counts = [cost[name][place] for cost in costs.values()]
            goal = Goal("at most", 1.0, of_floor=True)
            if (name, unit) == ("status", "entities"):
                goal = Goal("at most", _COUNTED)
            note = f"{', '.join(f'{count:g}' for count in counts)} of {sizes} rows"
            yield Figure(f"{unit} of a {name}", max(larger), "", small, goal, note)


def of_alerts() -> dict[str, tuple[int, int]]:
    """Return the queries and transactions of each step of a host's life: 15 alerts straight, 60 that wait, idle hours.

    Before the 60 a delivery of 15 fills the window, so that its slots open at the same moment.
    """
    world = World()
    host = Host(world, Faults(call_delay=(0.1, 0.1), answer_delay=(0.1, 0.1)), arrive=Defender(world))
    webhook = host.webhook(Settings())
    counts: dict[str, tuple[int, int]] = {}

    def step(name: str, run: Callable[[], None]) -> None:
        queries, commits = host.queries, host.commits
        run()
        counts[name] = (host.queries - queries, host.commits - commits)

    def post(deliveries: Iterable[range], status: int) -> None:
        for numbers in deliveries:
            body = json.dumps([fields(number, severity="High") for number in numbers]).encode()
            if (reply := webhook.receive(body, {}, ORIGIN)).status != status:
                raise BenchError(f"alerts {numbers} were answered {reply.status}, not {status}")

    def drain() -> None:
        while waiting(world):  # a tick that finds nothing is no dispatch, so it does not count
            webhook.dispatch()

    def story() -> None:
        webhook.dispatcher.table.now()  # the first answer of a host's life tells it the server's time
        step("straight", lambda: post([range(at, at + 1) for at in range(_STRAIGHT)], _OK))
        world.sleep(120.0)
        step("full", lambda: post([range(_STRAIGHT, 2 * _STRAIGHT)], _OK))
        step("accept", lambda: post([range(at, at + 1) for at in range(2 * _STRAIGHT, _ALL)], _WAITS))
        step("dispatch", drain)
        world.sleep(120.0)
        for hour in range(_HOURS):
            step(f"hour {hour}", lambda: tick(webhook, world, world.now + _HOUR))

    host.spawn(story)
    world.run()
    states = [row.values["state"] for row in world.table.query("alert-", "alert.")]
    if states != ["created"] * _ALL or f"hour {_HOURS - 1}" not in counts:
        raise BenchError("the story did not come to its end")
    return counts


def of_search() -> dict[str, int]:
    """Return what an alert without a reference costs that is searched and created within its POST."""
    world = virtual.World()
    hunting, defender = graph.Graph(world), virtual.Defender(world)
    host = virtual.Host(world, Faults(), arrive=defender, hunts=hunting)
    app = App.on(host, Settings(find_events="true"))
    world.finish(app.health())  # the first answer of a host's life tells it the server's time
    before = host.queries + host.commits
    if (reply := world.finish(app.post(graph.payload(1)))).status != _OK:
        raise BenchError(f"an alert whose event is found was answered {reply.status}, not {_OK}")
    requests = host.queries + host.commits - before
    return {"requests": requests, "searches": len(hunting.arrivals), "calls": len(defender.arrivals)}


def of_use_cases(size: int) -> dict[str, tuple[int, float]]:
    """Return the requests and entities of each use case on a table of so many rows, whose window is full."""
    world, meter = _world(size // _TWO, size // _TWO)
    host = Host(world, Faults(), arrive=Defender(world))
    webhook = host.webhook(Settings())
    operator = Operator(webhook, lambda: None, searching())
    known = json.dumps(fields(_CREATED, severity="Low")).encode()
    delivery = _deliveries(world)[-1]
    cases: dict[str, Callable[[], object]] = {
        "snapshot": webhook.dispatcher.snapshot,
        "tick": webhook.dispatch,
        "poll": lambda: webhook.status(delivery, ORIGIN),
        "duplicate": lambda: webhook.receive(known, {}, ORIGIN),
        "status": lambda: handle(operator, "GET", "status", f"{ORIGIN}/api/operations/status"),
    }
    costs = {}

    def run() -> None:
        webhook.dispatcher.table.now()
        for name, case in cases.items():
            world.sleep(60.0)  # nothing is remembered any more
            before = len(meter.spent)
            case()
            costs[name] = (len(meter.spent) - before, sum(entities for _, entities in meter.spent[before:]))

    host.spawn(run)
    world.run()
    if len(costs) < len(cases):
        raise BenchError("the use cases did not come to their end")
    return costs


def storm(deliveries: int) -> tuple[list[float], int]:
    """Let the senders of waiting deliveries poll after each `Retry-After`; return each second's entities and polls."""
    world, meter = _world(deliveries, 0)
    hosts = [Host(world, Faults(), arrive=Defender(world)) for _ in range(_HOSTS)]
    webhooks = [host.webhook(Settings()) for host in hosts]
    hosts[0].spawn(functools.partial(tick, webhooks[0], world, world.now + 60.0 * _MINUTES))
    polls = 0

    def ask(delivery: str) -> None:
        nonlocal polls
        world.sleep(world.random.uniform(0.0, 60.0))  # as they were posted in the minute before
        status, again = _WAITS, 0.0
        while status == _WAITS:
            world.sleep(again)
            reply = world.random.choice(webhooks).status(delivery, ORIGIN)
            status, again = reply.status, float(reply.headers.get("Retry-After", 0))
            polls += 1

    for number, delivery in enumerate(_deliveries(world)):
        hosts[number % _HOSTS].spawn(functools.partial(ask, delivery))
    world.run(60.0 * _MINUTES)
    seconds: defaultdict[int, float] = defaultdict(float)
    for at, entities in meter.spent:
        seconds[int(at)] += entities
    return list(seconds.values()), polls


def tick(webhook: Webhook, world: World, end: float) -> None:
    """Let a host's timer tick every 30 s until a moment of virtual time."""
    while world.now < end:
        due = world.now + _TICK
        webhook.dispatch()
        world.sleep(max(0.0, due - world.now))


def waiting(world: World) -> bool:
    """Say whether an alert waits in the table, for a slot or for a later attempt."""
    return any(world.table.query(*area, limit=1) for area in keys.WAITING)


def _world(waiting: int, created: int) -> tuple[World, Meter]:
    """Return a world with a full window, so many alerts that wait, and so many that were created."""
    world = World()
    world.partition = meter = Meter(lambda: world.now)
    policy = window.Policy(window=3600.0)
    slots = window.read([], world.now, policy).slots
    world.table.commit([window.acquire(slot, MARK, policy) for slot in slots])
    for number in range(waiting):
        entry, delivery = accepted(fields(number, severity="Low"), world.now)
        world.table.commit([*rows.insert(entry), rows.insert_delivery(delivery)])
    for number in range(_CREATED, _CREATED + created):
        entry, delivery = accepted(fields(number, severity="Low"), world.now)
        held = record.hold(entry, MARK, now=world.now, lease=policy.lease)
        ended = settlement.settle(held, alert_created(), now=world.now, rules=settlement.Rules())
        world.table.commit([*rows.note(ended, "*"), rows.insert_delivery(delivery)])
    return world, meter


def _deliveries(world: World) -> list[str]:
    """Return the deliveries of all alerts that wait, by their ids."""
    return [str(row.values["delivery"]) for row in world.table.query(*keys.WAITING[0])]
