"""What a month costs: idle, 1,000 and 20,000 alerts a day. Amounts are measured (`usage.py`), prices are inputs.

python -m bench.cost                                               with the defaults, dollars of a US region
python -m bench.cost execution_gb_second=0.00003 instance_gb=0.5   with your own, by the names in `Inputs`
"""

import argparse
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from typing import TextIO

from bench.usage import LOADS, Inputs, Load, Usage, measure

HOURS_A_MONTH = 730.0


def bill(used: Usage, inputs: Inputs) -> dict[str, tuple[str, float]]:
    """Return what a month like this comes to: for each item how much of it, and US dollars."""
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
    parser = argparse.ArgumentParser(prog="python -m bench.cost", description=__doc__.splitlines()[0])
    known = [field.name for field in fields(Inputs)]
    parser.add_argument("given", nargs="*", metavar="NAME=VALUE", help=f"some of: {', '.join(known)}")
    try:
        inputs = chosen(parser.parse_args(arguments).given)
    except ValueError as error:
        parser.error(str(error))
    measured = [(load, measure(load, inputs)) for load in LOADS]
    print("\n".join(report(measured, inputs)), file=out)
    return 0


def chosen(given: Sequence[str]) -> Inputs:
    """Return the inputs with those that were given, as `name=value`. Raise `ValueError` that names a wrong one."""
    known = {field.name for field in fields(Inputs)}
    values: dict[str, float] = {}
    for pair in given:
        name, _, value = pair.partition("=")
        if name not in known:
            raise ValueError(f"there is no {name!r}; there are {', '.join(sorted(known))}")
        try:
            values[name] = float(value)
        except ValueError:
            raise ValueError(f"{name}: {value!r} is not a number") from None
        if not 0 <= values[name] < math.inf:
            raise ValueError(f"{name}: {value} is below 0 or no number")
    return replace(Inputs(), **values)


def report(measured: Sequence[tuple[Load, Usage]], inputs: Inputs) -> Iterator[str]:
    """Yield the lines of what was measured and of what it costs."""
    bills = [bill(used, inputs) for _, used in measured]
    rates = {
        name: [f"{getattr(used, counted) / used.hours:,.1f}" for _, used in measured]
        for name, counted in _RATES.items()
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


_RATES = {
    "alerts": "alerts",
    "of them answered 202": "waited",
    "executions": "executions",
    "of them the timer": "timer",
    "of them asking again": "polls",
    "seconds billed, webhook": "webhook_seconds",
    "seconds billed, timer": "timer_seconds",
    "table operations": "operations",
    "log lines of ours": "lines",
    "bytes of them": "line_bytes",
}


def _line(name: str, cells: Sequence[str]) -> str:
    return f"{name:26}" + "".join(f"{cell:>18}" for cell in cells)


if __name__ == "__main__":
    sys.exit(main())
