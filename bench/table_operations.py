"""Table operations for each created alert, and of an idle host: counted, in virtual time, with the real code."""

import json
from collections.abc import Callable, Iterable, Mapping
from statistics import median

from bench.figure import Figure, Goal, Report
from bench.ground import BenchError, Form
from dev import samples
from dev.virtual import Faults, Host, World
from shared.clients.answer import Answer
from shared.settings import Settings
from shared.webhook.gateway import Gateway

_ORIGIN = "http://127.0.0.1"
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
    return Report(
        (
            Figure(
                "table operations an alert, straight",
                sum(straight) / _STRAIGHT,
                goal=Goal("at most", 3),
                note=f"{_STRAIGHT} alerts, counted",
            ),
            Figure(
                "table operations an alert, accept",
                sum(accept) / _WAITING,
                goal=Goal("at most", 2),
                note=f"{_WAITING} alerts; one where the window is known to be full",
            ),
            Figure(
                "table operations an alert, dispatch",
                dispatch[1] / _WAITING,
                goal=Goal("at most", 2),
                note="its take and its outcome",
            ),
            Figure(
                "table operations an alert, accept and dispatch, looks and all",
                (sum(accept) + sum(dispatch)) / _WAITING,
                goal=Goal("at most", 4),
                note=f"{dispatch[0] / (_WAITING / 15):.1f} looks for each 15 sent",
            ),
            Figure(
                "the same where every slot opens at a moment of its own",
                (sum(accept) + sum(apart)) / _WAITING,
                note=f"{apart[0] / (_WAITING / 15):.1f} looks for each 15 sent",
            ),
            Figure(
                "table operations of an idle hour",
                median(hours),
                goal=Goal("at most", 120),
                note=f"of {_HOURS}; in {len(clearing)} of them it clears away, and takes up to {max(hours)}",
            ),
        ),
        {"queries and transactions": {"one by one": single, "all at a time": batch}},
    )


def _story(*, together: bool) -> dict[str, tuple[int, int]]:
    """Return the queries and transactions of each step of a host's life."""
    world = World()
    host = Host(world, Faults(call_delay=(0.1, 0.1), answer_delay=(0.1, 0.1)), arrive=created)
    gateway = host.gateway(Settings())
    counts: dict[str, tuple[int, int]] = {}

    def step(name: str, run: Callable[[], None]) -> None:
        queries, commits = host.queries, host.commits
        run()
        counts[name] = (host.queries - queries, host.commits - commits)

    def story() -> None:
        gateway.dispatcher.table.now()  # the first answer of a host's life tells it the server's time
        first = [range(_STRAIGHT)] if together else [range(at, at + 1) for at in range(_STRAIGHT)]
        step("sent", lambda: _post(gateway, first, _OK))
        rest = range(_STRAIGHT, _STRAIGHT + _WAITING)
        step("accept", lambda: _post(gateway, [range(at, at + 1) for at in rest], _ACCEPTED))
        step("dispatch", lambda: _drain(gateway, host, _WAITING))
        world.sleep(120.0)
        for hour in range(_HOURS):
            step(f"hour {hour}", lambda: _idle(gateway, host))

    host.spawn(story)
    world.run()
    if f"hour {_HOURS - 1}" not in counts:
        raise BenchError("the story did not come to its end")
    return counts


def created(body: Mapping[str, str]) -> Answer:
    """Answer as Defender does when all is well."""
    alert = {"id": f"da{body['machineId'][:8]}"}
    return Answer("created", 200, alert, False, None, None, True, True, 0.2)


def _post(gateway: Gateway, deliveries: Iterable[range], status: int) -> None:
    for numbers in deliveries:
        fields = [
            samples.eight_fields(samples.event(number), "Encoded PowerShell", "High") for number in numbers
        ]
        reply = gateway.receive(json.dumps(fields).encode(), {}, _ORIGIN)
        if reply.status != status:
            raise BenchError(f"alerts {numbers} were answered {reply.status}, not {status}")


def _drain(gateway: Gateway, host: Host, expected: int) -> None:
    """Tick until the whole backlog is sent. A tick that finds nothing is no dispatch, so it does not count."""
    while len(host.world.table.query("todo-", "todo.")) + len(host.world.table.query("later-", "later.")):
        gateway.dispatch()
    ended = sum(row.values["state"] == "created" for row in host.world.table.query("alert-", "alert."))
    if ended != _STRAIGHT + expected:
        raise BenchError(f"{ended} alerts were created, not {_STRAIGHT + expected}")


def _idle(gateway: Gateway, host: Host) -> None:
    end = host.world.now + _HOUR
    while host.world.now < end:
        due = host.world.now + _TICK
        gateway.dispatch()
        host.world.sleep(max(0.0, due - host.world.now))
