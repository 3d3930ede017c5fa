"""A stack for faults: what can be done to it, and the evidence at the end."""

import contextlib
import itertools
import random
import secrets
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import requests

from dev import samples
from dev.chaos.senders import Senders
from dev.chaos.verdict import Case, Evidence, Seen, Verdict, judge
from dev.memory_table import MemoryTable
from dev.stack.azurite import Azurite
from dev.stack.proxy import Fault, Moment, Proxy
from dev.stack.stack import Host, Stack
from shared.ledger import keys, rows
from shared.settings import Settings, StorageSettings
from shared.table.azure import AzureTable
from tests.checks.sound import unsound

Kind = Literal["found", "unseen", "sign-in"]
"""An alert without a reference: its event can be found, nobody recorded it, or it is about no device."""
CALLS = 15
_ENTITY_CALLS = 5
# By the name that faults have for an API: that of its log, and how many calls it takes in a window.
_APIS = {"alerts": ("log", CALLS), "hunting": ("searches", CALLS), "entity": ("creations", _ENTITY_CALLS)}
_MOST_HOSTS = 32
TICK_SECONDS = 1.0
_LOOK_SECONDS = 0.05
_UNTIL_SECONDS = 120.0
_WAITING_SECONDS = 60.0
OTHER_KEY = "other"
"""The name of a second function key: who has it is another sender."""


@contextlib.contextmanager
def opened(*, window: float, deadline: float) -> Iterator["Scene"]:
    """Start everything but hosts; stop everything at the end. After an error the hosts' logs stay.

    `window` and `deadline` are the rate limit's window and a call's deadline, in seconds.
    """
    settings = {
        "DEFENDER_TIMEOUT_SECONDS": f"{deadline:g}",
        "INLINE_SECONDS": "3",
        "NOT_FOUND_RETRY_MINUTES": "0.02,0.05",
        "FIND_EVENTS": "true",
        "FIND_EVENTS_TIMEOUT_SECONDS": "5",
        "FIND_EVENTS_WINDOW_SECONDS": f"{window:g}",
        "FIND_EVENTS_RETRY_MINUTES": "0.02,0.05",
        "NO_EVENT": "entity",
        "ENTITY_ALERT_CALLS": str(_ENTITY_CALLS),
        "ENTITY_ALERT_WINDOW_SECONDS": f"{window:g}",
    }
    clients = [str(uuid.uuid5(uuid.NAMESPACE_URL, f"host {n}")) for n in range(_MOST_HOSTS)]
    identities = [part for client in clients for part in ("--client-id", client)]
    with (
        tempfile.TemporaryDirectory(prefix="chaos-") as folder,
        Azurite(Path(folder)) as azurite,
        Stack(
            hosts=0,
            calls=CALLS,
            window=window,
            settings=settings,
            keys={name: secrets.token_urlsafe(24) for name in ("default", OTHER_KEY)},
            azurite=azurite,
            program="dev.chaos.host",
            defender=identities,
        ) as stack,
        contextlib.closing(_table(azurite)) as table,
        contextlib.closing(Senders(stack)) as senders,
        contextlib.ExitStack() as proxies,
    ):
        yield Scene(stack, table, senders, iter(clients), window, deadline, proxies)


def _table(azurite: Azurite) -> AzureTable:
    """Return the table of the app, past all proxies."""
    defaults = Settings()
    return AzureTable(
        StorageSettings(connection_string=azurite.connection_string),
        name=defaults.alerts_table,
        partition=defaults.rate_limit_scope,
        credential=lambda: None,
    )


@dataclass
class Scene:
    """One Azurite on disk, one Defender, and hosts that come and go.

    No host has a timer: dispatch runs when the scene asks for it. `clients` are the identities of hosts to come.
    """

    stack: Stack
    table: AzureTable
    senders: Senders
    clients: Iterator[str]
    window: float
    deadline: float
    proxies: contextlib.ExitStack
    cases: list[Case] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _dice: random.Random = field(default_factory=lambda: random.Random(0))

    # ---- what can be done

    def proxy(self, *, hosts: int = 0, seconds: float = 5.0) -> Proxy:
        """Put a proxy before the table, with so many hosts behind it."""
        proxy = self.proxies.enter_context(Proxy(self.stack.azurite.port, seconds=seconds))
        for _ in range(hosts):
            self.host(through=proxy)
        return proxy

    @contextlib.contextmanager
    def striking(
        self, case: Case, proxy: Proxy, moment: Moment, fault: Fault, *, share: float
    ) -> Iterator[None]:
        """Let a share of the requests, or of the answers, meet a fault until the block ends."""
        dice = random.Random(1)

        def watch(now: Moment, _request: bytes) -> Fault | None:
            if now != moment or dice.random() >= share:
                return None
            case.struck += 1
            return fault

        proxy.watch = watch
        try:
            yield
        finally:
            proxy.watch = None

    def host(self, *arguments: str, through: Proxy | None = None, **settings: str) -> Host:
        """Start a host, with an identity of its own, so that Defender's log tells who called."""
        settings["AZURE_CLIENT_ID"] = next(self.clients)
        if through:
            settings["AzureWebJobsStorage"] = through.through(self.stack.azurite.connection_string)
        return self.stack.start_host("--no-timers", *arguments, **settings)

    def case(self, fault: str) -> Case:
        """Begin a fault's line in the table."""
        self.cases.append(Case(fault))
        return self.cases[-1]

    def send(
        self,
        case: Case,
        sizes: Sequence[int],
        host: Host | None = None,
        *,
        severity: str = "High",
        key: str | None = None,
    ) -> None:
        """Let deliveries of so many alerts be sent with a key; the first tries go to `host`, if given."""
        for size in sizes:
            numbers = itertools.islice(self._numbers, size)
            alerts = [
                samples.eight_fields(samples.event(number), f"{case.fault}, {number}", severity)
                for number in numbers
            ]
            case.sent.append(self.senders.send(alerts, host, key=key))

    def send_kinds(self, case: Case, count: int, kinds: Sequence[Kind], host: Host | None = None) -> None:
        """Send what a SIEM tells of so many alerts without a reference, of these kinds in turn."""
        for number, kind in zip(itertools.islice(self._numbers, count), itertools.cycle(kinds), strict=False):
            title, device, command = f"{case.fault}, {number}", f"pc-{number}-a", f"tool.exe /run {number}"
            at = f"{datetime.fromtimestamp(time.time() - 3600 - number, UTC):%Y-%m-%dT%H:%M:%S.%f}"
            alert, result = {"title": title}, {"UtcTime": at.replace("T", " ")[:-3]}
            if kind == "sign-in":
                result |= {"user": "amy@contoso.example", "src_ip": "203.0.113.9"}
            else:
                result |= {"host": device, "CommandLine": command}
                columns = {"FileName": "tool.exe", "ProcessCommandLine": command}
                event = {"table": "DeviceProcessEvents", "device": device, "time": f"{at}0Z", **columns}
                happens = {"events": [event], "recorded": kind == "found"}
                alert |= self.stack.simulator("POST", "world", happens)[0]
            case.sent.append(
                self.senders.send([alert], host, payload={"search_name": title, "result": result})
            )

    def drain(self) -> None:
        """Let the hosts' timers tick until every delivery has ended, or its sender has given up.

        Nothing may wait in the table either: an alert without an answer may have been stored all the same.
        """
        for sent in [sent for case in self.cases for sent in case.sent]:
            while not sent.over.wait(TICK_SECONDS):
                self.tick()
        end = time.monotonic() + _WAITING_SECONDS
        areas = [area for stage in keys.STAGES for area in stage.waiting]
        while any(self.table.query(*area, limit=1) for area in areas) and time.monotonic() < end:
            self.tick()
            time.sleep(TICK_SECONDS)

    def tick(self, host: Host | None = None) -> None:
        """Let the timer of `host`, or of any, tick."""
        with contextlib.suppress(requests.RequestException):  # it may just have been killed
            self.stack.dispatch(host or self._dice.choice(self.stack.hosts))

    def operate(self, operation: str) -> Any:
        """Do what an operator does, with the first host: POST to `operations/…`; return the answer's JSON."""
        answer = self.stack.operate("POST", operation)
        answer.raise_for_status()
        return answer.json()

    def kill(self, case: Case, host: Host) -> None:
        """Kill a host, which is a case's fault."""
        self.stack.kill(host)
        case.struck += 1
        case.unheard = True

    def switch(self, *faults: Mapping[str, Any]) -> None:
        """Switch Defender to these faults, and no others."""
        self.stack.simulator("PUT", "switches", {"faults": list(faults)})

    def met(self) -> int:
        """Return how many calls have met a fault, of whichever API."""
        return sum(call["fault"] is not None for on in _APIS for call in self.calls(on))

    def calls(self, on: str) -> list[Mapping[str, Any]]:
        """Return the calls that arrived at an API, by the name that faults have for it."""
        return list(self.stack.simulator("GET", _APIS[on][0]))

    def accepted(self, case: Case, *, ticking: bool = False) -> None:
        """Wait until all deliveries of a case were accepted; meanwhile let timers tick, or not."""
        for sent in case.sent:
            self.until(sent.accepted.is_set, f"{case.fault}: accepted")
            if ticking:
                self.tick()

    def until(self, condition: Callable[[], bool], goal: str, *, ticking: Host | None = None) -> None:
        """Wait until something is so; meanwhile let the timer of a host tick. `TimeoutError` after two minutes."""
        begun, ticked = time.monotonic(), 0.0
        while not condition():
            if (now := time.monotonic()) > begun + _UNTIL_SECONDS:
                raise TimeoutError(f"it did not come to it: {goal}")
            if ticking and now > ticked + TICK_SECONDS:
                self.tick(ticking)
                ticked = now
            time.sleep(_LOOK_SECONDS)

    # ---- what became of it

    def verdicts(self) -> list[Verdict]:
        """Judge all cases, once everything has ended."""
        apis = [Seen(self.calls(on), _APIS[on][1], self.window, once=on == "entity") for on in _APIS]
        copy = MemoryTable(_rows={row.key: row for row in self.table.query("", "~")})
        stored = [rows.read(row) for row in copy.query(keys.ALERT, keys.ALERT_END)]
        evidence = Evidence(
            apis=apis,
            made=[*self.stack.simulator("GET", "alerts"), *self.stack.simulator("GET", "entityAlerts")],
            entries={entry.alert.title: entry for entry in stored if entry.state != "matched"},
        )
        self.cases[-1].wrong += [*unsound(copy), *(wrong for api in apis for wrong in api.wrong)]
        return [judge(case, evidence) for case in self.cases]
