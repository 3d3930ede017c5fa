"""Runs the benchmarks, prints one table, and stores the record; exits 1 if a goal is missed.

make bench                            all of them, about half an hour
make bench BENCH=quick                the short form: to see that everything runs; stores no record
make bench ONLY="paths load"    some of them
"""

import argparse
import importlib
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TextIO

import requests

from bench import record
from bench.figure import Figure, Goal, Report, table
from bench.ground import BenchError, Form
from dev.stack.child import ChildError

NAMES = (
    "quota",
    "rival",
    "paths",
    "load",
    "import_time",
    "mapping_cost",
    "mapping_bounds",
    "requests",
    "found",
)

Measure = Callable[[Form], Report]


def main(
    arguments: Sequence[str] | None = None,
    out: TextIO = sys.stdout,
    benchmarks: Mapping[str, Measure] | None = None,
) -> int:
    """Run all benchmarks, or those that are named; return 1 if a goal was missed, else 0."""
    known = benchmarks or {name: importlib.import_module(f"bench.{name}").measure for name in NAMES}
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the short form")
    parser.add_argument("only", nargs="*", metavar="NAME", help=f"some of: {', '.join(known)}")
    options = parser.parse_args(arguments)
    if unknown := sorted(set(options.only) - set(known)):
        parser.error(f"there is no {', '.join(unknown)}; there are {', '.join(known)}")
    form = Form(quick=options.quick)
    machine = record.machine()
    figures: list[Figure] = []
    for name in options.only or known:
        report = _reported(name, known[name], form)
        figures += report.figures
        if not form.quick:
            record.write(name, report, machine)
    if not form.quick:
        record.write_table(list(known))
    short = "\nThe short form: few rounds, to see that everything runs." if form.quick else ""
    today = time.strftime("%Y-%m-%d", time.gmtime())
    missed = [figure.name for figure in figures if figure.met is False]
    verdict = f"{len(missed)} of {len(figures)} missed: {'; '.join(missed)}" if missed else "All met."
    print(f"\n{record.described(machine, today)}{short}\n\n{table(figures)}\n\n{verdict}", file=out)
    return 1 if missed else 0


def _reported(name: str, measure: Measure, form: Form) -> Report:
    """Measure; an error counts as a missed goal, and the others still run."""
    print(f"{name} …", end=" ", flush=True, file=sys.stderr)
    began = time.monotonic()
    try:
        report = measure(form)
    except (BenchError, ChildError, TimeoutError, requests.RequestException) as error:
        why = " ".join(str(error).split())[-200:]
        report = Report((Figure(f"{name}, measured", 0, goal=Goal("at least", 1), note=why),))
    print(f"{time.monotonic() - began:.0f} s", flush=True, file=sys.stderr)
    return report


if __name__ == "__main__":
    sys.exit(main())
