"""Table operations for each created alert, and of an idle host: counted, in virtual time, with the real code."""

import json
from collections.abc import Callable, Iterable
from statistics import median

from bench.figure import Figure, Goal, Report
from bench.ground import BenchError, Form, fields
from dev.virtual import ORIGIN, Defender, Faults, Host, World
from shared.ledger import keys
from shared.settings import Settings
from shared.webhook.receive import Webhook

_STRAIGHT, _WAITING = 15, 60
_HOUR, _HOURS = 3600.0, 24
_TICK = 30.0
_OK, _ACCEPTED = 200, 202


def measure(form: Form) -> Report:  # noqa: ARG001 - virtual time is short in any form
    """Send 15 alerts, 60 through the backlog, and stand idle for a day; once one by one, once all at a time."""
    single, batch = _story(together=False), _story(together=True)
    straight, (accept, dispatch) = single["sent"], (batch[name] for name in ("accept", "dispatch"))
    apart = single["dispatch"]
    hours = [sum(single[f"hour {hour}"]) for hour in range(_HOURS)]
    clearing = [count for count in hours if count != median(hours)]
    snapshots, snapshots_apart = (
        f"{queries / (_WAITING / 15):.1f} snapshots for each 15 sent" for queries, _ in (dispatch, apart)
    )
    lines: tuple[tuple[str, float, float | None, str], ...] = (
        ("table operations an alert, straight", sum(straight) / _STRAIGHT, 3, f"{_STRAIGHT} alerts, counted"),
        (
            "table operations an alert, accept",
            sum(accept) / _WAITING,
            2,
            f"{_WAITING} alerts; one where the window is known to be full",
        ),
        ("table operations an alert, dispatch", dispatch[1] / _WAITING, 2, "its take and its outcome"),
        (
            "table operations an alert, accept and dispatch, snapshots and all",
            (sum(accept) + sum(dispatch)) / _WAITING,
            4,
            snapshots,
        ),
        (
            "the same where every slot opens at a moment of its own",
            (sum(accept) + sum(apart)) / _WAITING,
            None,
            snapshots_apart,
        ),
        (
            "table operations of an idle hour",
            median(hours),
            120,
            f"of {_HOURS}; in {len(clearing)} of them it clears away, and takes up to {max(hours)}",
        ),
    )
    figures = (
        Figure(name, value, goal=None if most is None else Goal("at most", most), note=note)
        for name, value, most, note in lines
    )
    return Report(
        tuple(figures), {"queries and transactions": {"one by one": single, "all at a time": batch}}
    )


def _story(*, together: bool) -> dict[str, tuple[int, int]]:
    """Return the queries and transactions of each step of a host's life."""
    world = World()
    host = Host(world, Faults(call_delay=(0.1, 0.1), answer_delay=(0.1, 0.1)), arrive=Defender(world))
    webhook = host.webhook(Settings())
    counts: dict[str, tuple[int, int]] = {}

    def step(name: str, run: Callable[[], None]) -> None:
        queries, commits = host.queries, host.commits
        run()
        counts[name] = (host.queries - queries, host.commits - commits)

    def story() -> None:
        webhook.dispatcher.table.now()  # the first answer of a host's life tells it the server's time
        first = [range(_STRAIGHT)] if together else [range(at, at + 1) for at in range(_STRAIGHT)]
        step("sent", lambda: _post(webhook, first, _OK))
        rest = range(_STRAIGHT, _STRAIGHT + _WAITING)
        step("accept", lambda: _post(webhook, [range(at, at + 1) for at in rest], _ACCEPTED))
        step("dispatch", lambda: _drain(webhook, host, _WAITING))
        world.sleep(120.0)
        for hour in range(_HOURS):
            step(f"hour {hour}", lambda: tick(webhook, world, world.now + _HOUR))

    host.spawn(story)
    world.run()
    if f"hour {_HOURS - 1}" not in counts:
        raise BenchError("the story did not come to its end")
    return counts


def tick(webhook: Webhook, world: World, end: float) -> None:
    """Let a host's timer tick every 30 s until a moment of virtual time."""
    while world.now < end:
        due = world.now + _TICK
        webhook.dispatch()
        world.sleep(max(0.0, due - world.now))


def waiting(world: World) -> bool:
    """Say whether an alert waits in the table, for a slot or for a later attempt."""
    return any(world.table.query(*area, limit=1) for area in keys.WAITING)


def _post(webhook: Webhook, deliveries: Iterable[range], status: int) -> None:
    for numbers in deliveries:
        body = json.dumps([fields(number, severity="High") for number in numbers]).encode()
        reply = webhook.receive(body, {}, ORIGIN)
        if reply.status != status:
            raise BenchError(f"alerts {numbers} were answered {reply.status}, not {status}")


def _drain(webhook: Webhook, host: Host, expected: int) -> None:
    """Tick until the whole backlog is sent. A tick that finds nothing is no dispatch, so it does not count."""
    while waiting(host.world):
        webhook.dispatch()
    ended = sum(row.values["state"] == "created" for row in host.world.table.query("alert-", "alert."))
    if ended != _STRAIGHT + expected:
        raise BenchError(f"{ended} alerts were created, not {_STRAIGHT + expected}")
