"""What a month costs: idle, 1,000 and 20,000 alerts a day. Amounts are counted, prices are inputs.

python -m bench.cost                                                   with the defaults, dollars of a US region
python -m bench.cost --execution_gb_second=0.00003 --instance_gb=0.5   with your own, by the names in `Inputs`

The real code runs in virtual time: one instance serves the webhook and one the timer, as on Flex Consumption; alerts
arrive at random moments (Poisson, always the same). What cannot be measured without Azure is an input.
"""

import argparse
import functools
import json
import logging
import math
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from types import SimpleNamespace
from typing import TextIO

from bench import ground
from bench.ground import BenchError
from bench.requests import waiting
from dev.virtual.host import ORIGIN, Defender, Faults, Host
from dev.virtual.world import EPOCH, World
from shared.settings import Settings
from shared.web.reply import Reply

HOURS_A_MONTH = 730.0
_TIMER_SECONDS = 30.0
_PATIENCE_SECONDS = 600.0
_ACCEPTED = 202
_LOG = "defender-alert-webhook"


class Inputs(SimpleNamespace):
    """Every number that is not measured here, by its name in `cost.json`, which has the defaults of those not given.

    Prices are US dollars; docs/cost.md says what each is and where it is from.
    """

    def __init__(self, **given: float) -> None:
        groups = json.loads(Path(__file__).with_suffix(".json").read_bytes()).values()
        super().__init__(**{name: value for group in groups for name, value in group.items()} | given)


@dataclass(slots=True)
class Usage:
    """The counts of so many hours of virtual time; seconds are as billed.

    Executions are those of the `webhook` for an alert, the `polls` of its sender, the web test's `health`, the `timer`.
    """

    hours: float
    alerts: int = 0
    waited: int = 0
    webhook: int = 0
    polls: int = 0
    health: int = 0
    timer: int = 0
    webhook_seconds: float = 0.0
    timer_seconds: float = 0.0
    operations: int = 0
    lines: int = 0
    line_bytes: int = 0
    row_bytes: float = 0.0

    @property
    def executions(self) -> int:
        """All executions, whatever started them."""
        return self.webhook + self.polls + self.health + self.timer


@dataclass(frozen=True, slots=True)
class Load:
    """A load: alerts a day, over so many hours; `asks`: the sender polls after a 202, as Logic Apps does."""

    name: str
    alerts_a_day: float
    hours: float
    asks: bool = False


LOADS = (
    Load("idle", 0, 2),
    Load("1,000 a day", 1_000, 12),
    Load("20,000 a day", 20_000, 4),
    Load("20,000, asking", 20_000, 4, asks=True),
)


def measure(load: Load, inputs: Inputs) -> Usage:
    """Run the real code with a load, and count its work. Raise `BenchError` if it does not keep up."""
    story, log = _Story(load, inputs), logging.getLogger(_LOG)
    level = log.level
    log.addFilter(story.count_line)
    log.setLevel(logging.INFO)
    try:
        story.run()
    finally:
        log.removeFilter(story.count_line)
        log.setLevel(level)
    return story.usage


class _Story:
    """The run of one load: the sender, the web test and the timer, each a line of execution in virtual time."""

    def __init__(self, load: Load, inputs: Inputs) -> None:
        self.load, self.inputs = load, inputs
        self.usage = Usage(load.hours)
        self.world = World()
        self.end = EPOCH + load.hours * 3600
        half, table = inputs.defender_seconds / 2, inputs.table_seconds
        faults = Faults(table_delay=(table, table), call_delay=(half, half), answer_delay=(half, half))
        self.hosts = [Host(self.world, faults, arrive=Defender(self.world)) for _ in ("webhook", "timer")]
        self.webhook, self.timer = (host.webhook(Settings()) for host in self.hosts)

    def run(self) -> None:
        self.hosts[0].spawn(self._health)
        self.hosts[1].spawn(self._tick)
        self.world.spawn(self._send)
        self.world.run()
        rows = self.world.table.query("alert-", "delivery.")
        states = [row.values["state"] for row in rows if row.key.startswith("alert-")]
        if states != ["created"] * self.usage.alerts:
            raise BenchError(f"{self.load.name}: not all were created in time, so no month is like this")
        size = sum(len(row.key) + len(json.dumps(row.values)) for row in rows)
        self.usage.row_bytes = size / max(1, self.usage.alerts)
        self.usage.operations = sum(host.queries + host.commits for host in self.hosts)

    def count_line(self, line: logging.LogRecord) -> bool:
        """Count a line that the app writes into the log, without writing it."""
        self.usage.lines += 1
        self.usage.line_bytes += len(line.getMessage().encode())
        return False

    def _send(self) -> None:
        chance = random.Random(self.load.name)
        while self.load.alerts_a_day:
            self.world.sleep(chance.expovariate(self.load.alerts_a_day / 86_400))
            if self.world.now >= self.end:
                return
            self.hosts[0].spawn(functools.partial(self._post, self.usage.alerts))
            self.usage.alerts += 1

    def _post(self, number: int) -> None:
        body = json.dumps(ground.fields(number, severity="High")).encode()
        self.usage.webhook += 1
        reply = self._asked(lambda: self.webhook.receive(body, {}, ORIGIN))
        self.usage.waited += reply.status == _ACCEPTED
        delivery = json.loads(reply.body)["id"]
        while self.load.asks and reply.status == _ACCEPTED:
            self.world.sleep(float(reply.headers["Retry-After"]))
            self.usage.polls += 1
            reply = self._asked(lambda: self.webhook.status(delivery, ORIGIN))

    def _health(self) -> None:
        while self.inputs.web_tests_an_hour and self.world.now < self.end:
            self.usage.health += 1
            self._asked(self.webhook.health)
            self.world.sleep(3600 / self.inputs.web_tests_an_hour)

    def _asked(self, use_case: Callable[[], Reply]) -> Reply:
        began = self.world.now
        reply = use_case()
        self.usage.webhook_seconds += self._billed(began)
        return reply

    def _tick(self) -> None:
        # The last ones are still to be sent; a load that piles up is not waited for.
        patience = self.end + _PATIENCE_SECONDS
        while self.world.now < self.end or (waiting(self.world) and self.world.now < patience):
            began = self.world.now
            self.timer.dispatch()
            self.usage.timer += 1
            self.usage.timer_seconds += self._billed(began)
            self.world.sleep(_TIMER_SECONDS - (self.world.now - EPOCH) % _TIMER_SECONDS)

    def _billed(self, began: float) -> float:
        """Return the seconds that an execution until now is billed for."""
        seconds, step = self.world.now - began, self.inputs.step_seconds
        rounded = math.ceil(seconds / step - 1e-6) * step if step else seconds
        return max(float(self.inputs.least_seconds), rounded)


def bill(used: Usage, inputs: Inputs) -> dict[str, tuple[str, float]]:
    """Return the bill of such a month: for each item its amount, and US dollars."""
    months = HOURS_A_MONTH / used.hours
    executions = used.executions * months
    gb_seconds = (used.webhook_seconds + used.timer_seconds) * months * inputs.instance_gb
    paid_gb_seconds = max(0.0, gb_seconds - inputs.free_gb_seconds)
    paid_executions = max(0.0, executions - inputs.free_executions)
    operations = used.operations * months
    web_tests = inputs.web_tests_an_hour * HOURS_A_MONTH
    records = used.lines + used.executions * inputs.host_records_an_execution
    records += (inputs.host_records_an_hour + inputs.web_tests_an_hour) * used.hours
    log_gb = (used.line_bytes + records * inputs.bytes_around_a_record) * months / 1e9
    stored_gb = used.row_bytes * used.alerts / used.hours * 24 * inputs.retention_days / 1e9
    blobs = inputs.blob_operations_an_hour * HOURS_A_MONTH
    rules = inputs.log_rules_of_5_minutes * inputs.log_rule_5_minutes
    rules += inputs.log_rules_of_15_minutes * inputs.log_rule_15_minutes
    rules += inputs.metric_rules * inputs.metric_rule
    return {
        "execution time": (f"{gb_seconds:,.0f} GB-s", paid_gb_seconds * inputs.execution_gb_second),
        "executions": (f"{executions:,.0f}", paid_executions / 1e6 * inputs.million_executions),
        "table operations": (f"{operations:,.0f}", operations / 1e4 * inputs.table_10000_operations),
        "table storage": (f"{stored_gb:.2f} GB", stored_gb * inputs.table_gb_month),
        "blob operations": (f"{blobs:,.0f}", blobs / 1e4 * inputs.blob_10000_operations),
        "log": (f"{log_gb:.2f} GB", max(0.0, log_gb - inputs.free_log_gb) * inputs.log_gb),
        "web test": (f"{web_tests:,.0f}", web_tests * inputs.web_test),
        "alert rules": ("", rules),
    }


def main(arguments: Sequence[str] | None = None, out: TextIO = sys.stdout) -> int:
    """Print the month of each load; return 0."""
    parser = argparse.ArgumentParser(prog="python -m bench.cost", description=__doc__, allow_abbrev=False)
    for name, default in vars(Inputs()).items():
        parser.add_argument(f"--{name}", type=amount, default=default, metavar="NUMBER")
    inputs = Inputs(**vars(parser.parse_args(arguments)))
    print("\n".join(report([(load, measure(load, inputs)) for load in LOADS], inputs)), file=out)
    return 0


def amount(text: str) -> float:
    """Read an input. Raise `ValueError` where it is no number from 0 on."""
    value = float(text)
    if not 0 <= value < math.inf:
        raise ValueError(text)
    return value


def report(measured: Sequence[tuple[Load, Usage]], inputs: Inputs) -> Iterator[str]:
    """Yield the lines of the counts and of their cost."""
    bills = [bill(used, inputs) for _, used in measured]
    counted = [field.name for field in fields(Usage) if field.name not in ("hours", "row_bytes")]
    rates = {
        name.replace("_", " "): [f"{getattr(used, name) / used.hours:,.1f}" for _, used in measured]
        for name in counted
    }
    amounts = {item: [month[item][0] for month in bills] for item in bills[0]}
    dollars = {item: [f"{month[item][1]:,.2f}" for month in bills] for item in bills[0]}
    dollars["together"] = [f"{sum(cost for _, cost in month.values()):,.2f}" for month in bills]
    tables = {"measured, in an hour": rates, "a month: how much": amounts, "a month: US dollars": dollars}
    for title, rows in tables.items():
        yield _line(title, [load.name for load, _ in measured])
        yield from (_line(name, cells) for name, cells in rows.items())
        yield ""
    warm = HOURS_A_MONTH * 3600 * inputs.instance_gb * inputs.always_ready_gb_second
    yield f"Each always-ready instance: {warm:,.2f} more, and its executions by other prices."


def _line(name: str, cells: Sequence[str]) -> str:
    return f"{name:26}" + "".join(f"{cell:>18}" for cell in cells)


if __name__ == "__main__":
    sys.exit(main())
