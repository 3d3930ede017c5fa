"""Requests to the table, and the entities that they read or write, counted in virtual time with the real code.

A use case must cost the same on a table of a hundred rows and of a hundred thousand, half of them alerts that wait and
half alerts that were created, while the window is full. Then a storm: 3,600 deliveries wait, and every sender asks
again when the last answer answer_with so.
"""

import functools
import json
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from bench.bare import MARK, accepted
from bench.figure import Figure, Goal, Report
from bench.ground import BenchError, Form, fields
from dev.virtual import ORIGIN, App, Defender, Faults, Host, Partition, World, answer_with
from shared.ledger import keys, record, rows
from shared.operations.routes import Operator, handle
from shared.sending import window
from shared.settings import Settings

SIZES = (100, 10_000, 100_000)
_TWO = 5  # rows: of an alert that waits, of one that was created, and of their deliveries
_CREATED = 1_000_000  # where the numbers of created alerts begin
_COUNTED = 240  # the status counts up to 200 waiting alerts, beside the window and the head of the backlog
_HOSTS, _MINUTES = 4, 5
_WAITS = 202


@dataclass
class Meter(Partition):
    """The table's server. It remembers when it read or wrote how many entities, an item for each request."""

    spent: list[tuple[float, float]] = field(default_factory=list)

    def spend(self, entities: float) -> None:
        """Count the entities of one request."""
        self.spent.append((self.clock(), entities))
        super().spend(entities)


def measure(form: Form) -> Report:
    """Count each use case on tables of every size, and the entities of the storm's busiest second."""
    costs = {size: use_cases(size) for size in form.pick(SIZES, SIZES[:2])}
    figures = []
    for name in next(iter(costs.values())):
        for place, unit in enumerate(("requests", "entities")):
            small, *larger = (cost[name][place] for cost in costs.values())
            goal = Goal("at most", 1.0, of_floor=True)
            if (name, unit) == ("status", "entities"):
                goal = Goal("at most", _COUNTED)
            note = f"{', '.join(f'{cost[name][place]:g}' for cost in costs.values())} of"
            note += f" {', '.join(f'{size:,}' for size in costs)} rows"
            figures.append(Figure(f"{unit} of a {name}", max(larger), "", small, goal, note))
    deliveries = form.pick(3_600, 360)
    seconds, polls = storm(deliveries)
    figures.append(
        Figure(
            f"entities in the busiest second of a storm of {deliveries:,} waiting deliveries",
            max(seconds),
            goal=Goal("at most", Partition.entities / 2),
            note=f"{polls:,} polls of {_HOSTS} hosts in {_MINUTES} minutes",
        )
    )
    return Report(tuple(figures), {"costs": costs, "entities of each second": seconds})


def use_cases(size: int) -> Mapping[str, tuple[int, float]]:
    """Return the requests and entities of each use case on a table of so many rows, whose window is full."""
    world, meter = _world(size // _TWO, size // _TWO)
    host = Host(world, Faults(), arrive=Defender(world))
    webhook = host.webhook(Settings())
    operator = Operator(webhook, lambda: None)
    known = json.dumps(fields(_CREATED, severity="Low")).encode()
    waiting = _waiting(world)[-1]
    cases: dict[str, Callable[[], object]] = {
        "snapshot": webhook.dispatcher.snapshot,
        "tick": webhook.dispatch,
        "poll": lambda: webhook.status(waiting, ORIGIN),
        "duplicate": lambda: webhook.receive(known, {}, ORIGIN),
        "status": lambda: handle(operator, "GET", "status", f"{ORIGIN}/api/operations/status"),
    }
    costs = {}

    def run() -> None:
        webhook.dispatcher.table.now()  # the first answer of a host's life tells it the server's time
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
    """Let the senders of waiting deliveries ask as they are told; return each second's entities, and the polls."""
    world, meter = _world(deliveries, 0)
    hosts = [Host(world, Faults(), arrive=Defender(world)) for _ in range(_HOSTS)]
    webhooks = [host.webhook(Settings()) for host in hosts]
    App(hosts[0], webhooks[0]).timer()
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

    for number, delivery in enumerate(_waiting(world)):
        hosts[number % _HOSTS].spawn(functools.partial(ask, delivery))
    world.run(60.0 * _MINUTES)
    seconds: defaultdict[int, float] = defaultdict(float)
    for at, entities in meter.spent:
        seconds[int(at)] += entities
    return list(seconds.values()), polls


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
        ended = record.settle(held, answer_with(200), now=world.now, rules=record.Rules())
        world.table.commit([*rows.note(ended, "*"), rows.insert_delivery(delivery)])
    return world, meter


def _waiting(world: World) -> list[str]:
    """Return the deliveries of all alerts that wait, by their ids."""
    return [str(row.values["delivery"]) for row in world.table.query(*keys.WAITING[0])]
