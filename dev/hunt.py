"""`make map ARGS=--hunt`: searches for events in the running simulator of `make start`, as the app would in Graph.

`make start` leaves the simulator's address in `.tools`, and takes it away when it ends.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import requests
import yaml
from rich.text import Text

from dev import setup
from dev.stack import token_endpoint
from shared.clients.graph import Graph, Result
from shared.mapping.outcome import Evidence
from shared.operations import tryout
from shared.search.query import Query
from shared.web import evidence

ADDRESS = setup.TOOLS / "simulator-address"
_DEADLINE_SECONDS = 60.0
_WIDTH = 200  # of a line, before it is folded
_HEALTH_SECONDS = 5.0


class NoSimulator(Exception):
    """No simulator runs. The text says how to start one."""


@contextmanager
def announced(url: str, address: Path = ADDRESS) -> Iterator[None]:
    """Let `make map` find the simulator while the block runs."""
    address.write_text(url, "utf-8")
    try:
        yield
    finally:
        address.unlink(missing_ok=True)


def running(address: Path = ADDRESS) -> str:
    """Return the address of the running simulator. Raise `NoSimulator` if none answers."""
    try:
        url = address.read_text("utf-8")
        with requests.Session() as wire:
            wire.trust_env = False
            wire.get(f"{url}/_simulator/health", timeout=_HEALTH_SECONDS).raise_for_status()
    except OSError:  # which those of requests are, too
        raise NoSimulator(
            "--hunt searches in the simulator, and none is running. Start one with `make start` in another terminal."
        ) from None
    return url


@contextmanager
def calls(url: str) -> Iterator[Callable[[Query], Result]]:
    """Yield what runs a query in the simulator at `url`, as the app does in Graph."""
    grant = token_endpoint.grant(token_endpoint.GRAPH_AUDIENCE)
    token, _ = token_endpoint.seal(token_endpoint.USER_ASSIGNED_CLIENT_ID, grant, time.time())
    with closing(Graph(url, deadline=_DEADLINE_SECONDS)) as graph:
        yield lambda built: graph.hunt(built.text, built.timespan, built.columns, token)


class Hunt:
    """The searches of one command, in the simulator at `url`; at most as many as a try makes."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._left = tryout.EVENTS
        self._without: set[str] = set()

    def lines(self, item: Evidence) -> Iterator[Text]:
        """Search for an event, and yield what is to be said of it: the verdict, the reference, the candidates."""
        if not self._left:
            yield Text.assemble(("  not searched  ", "yellow"), f"only {tryout.EVENTS} events are")
            return
        self._left -= 1
        with calls(self._url) as call:
            judgement, result = tryout.judged(item.scan.clues, call, self._without, time.time)
        if judgement is None:
            yield Text.assemble(("  no answer  ", "red"), result.message if result else "no table is left")
            return
        shown = evidence.judged(judgement, sorted(self._without))
        style = "green" if shown["outcome"] == "match" else "yellow"
        yield Text(yaml.safe_dump(shown, sort_keys=False, allow_unicode=True, width=_WIDTH), style)
        if judgement.outcome == "no device":
            advice = (
                f"The simulator's devices are made up; POST {self._url}/_simulator/world adds your event:"
                " dev/simulator/hunting.py says how."
            )
            yield Text(f"  {advice}", "dim")
