"""Runs the benchmarks, prints one table, keeps the record; exits 1 if a goal is missed.

make bench                            all of them, about half an hour
make bench BENCH=quick                the short form: to see that everything runs; keeps no record
make bench ONLY="straight waiting"    some of them
"""

import argparse
import importlib.util
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TextIO

from bench import record
from bench.figure import Figure, Report, table
from bench.ground import Form

# What waits nearly all the time runs side by side; what is timed by the millisecond has the machine for itself.
SIDE_BY_SIDE = ("quota", "rival")
ALONE = (
    "straight",
    "waiting",
    "burst",
    "import_time",
    "mapping_cost",
    "mapping_bounds",
    "table_operations",
    "memory",
    "scale",
)


def main(arguments: Sequence[str] | None = None, out: TextIO = sys.stdout) -> int:
    """Run what was asked for; return 1 if a goal was missed, else 0."""
    known = present()
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the short form")
    parser.add_argument("only", nargs="*", metavar="NAME", help=f"some of: {', '.join(known)}")
    options = parser.parse_args(arguments)
    if unknown := sorted(set(options.only) - set(known)):
        parser.error(f"there is no {', '.join(unknown)}; there are {', '.join(known)}")
    form = Form(quick=options.quick)
    found = record.machine()
    figures: list[Figure] = []
    for group in _groups(options.only or known):
        for name, report in _run(group, form):
            figures += report.figures
            if not form.quick:
                record.write(name, report, found)
    if not form.quick:
        record.write_table(known)
    at = time.strftime("%Y-%m-%d", time.gmtime())
    print(f"\n{record.described(found, at)}{_short(form)}\n\n{table(figures)}", file=out)
    missed = [figure.name for figure in figures if figure.met is False]
    print(
        f"\n{len(missed)} of {len(figures)} missed: {'; '.join(missed)}" if missed else "\nAll met.", file=out
    )
    return 1 if missed else 0


def present() -> list[str]:
    """Return the names of the benchmarks, in the order in which they run."""
    return [name for name in (*SIDE_BY_SIDE, *ALONE) if importlib.util.find_spec(f"bench.{name}")]


def _groups(names: Sequence[str]) -> list[list[str]]:
    together = [name for name in SIDE_BY_SIDE if name in names]
    return [group for group in (together, *([name] for name in ALONE if name in names)) if group]


def _run(names: Sequence[str], form: Form) -> list[tuple[str, Report]]:
    print(f"{', '.join(names)} …", end=" ", flush=True, file=sys.stderr)
    began = time.monotonic()
    modules = [importlib.import_module(f"bench.{name}") for name in names]
    if len(modules) == 1:
        reports = [modules[0].measure(form)]
    else:
        with ThreadPoolExecutor(len(modules)) as pool:
            reports = list(pool.map(lambda module: module.measure(form), modules))
    print(f"{time.monotonic() - began:.0f} s", flush=True, file=sys.stderr)
    return list(zip(names, reports, strict=True))


def _short(form: Form) -> str:
    return (
        "\nThe short form: few rounds and short windows, to see that everything runs." if form.quick else ""
    )


if __name__ == "__main__":
    sys.exit(main())
