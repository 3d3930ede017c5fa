"""The record of a run, in `docs/benchmarks/`: one JSON file a benchmark, and the table of all with the charts."""

import itertools
import json
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.figure import Figure, Goal, Report, table
from dev import setup

FOLDER = setup.ROOT / "docs" / "benchmarks"


def machine() -> dict[str, Any]:
    """Describe this machine, as far as it matters for the figures."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "python": platform.python_version(),
    }


def described(machine: Mapping[str, Any], at: str) -> str:
    """Return the machine in one line."""
    return (
        f"{machine['processor']}, {machine['cores']} cores, {machine['system']}, Python {machine['python']}, "
        f"Azurite and simulator on the same machine, {at[:10]}"
    )


def write(name: str, report: Report, machine: Mapping[str, Any], folder: Path = FOLDER) -> None:
    """Store what a benchmark measured."""
    folder.mkdir(parents=True, exist_ok=True)
    at = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    document = {
        "measured": at,
        "machine": machine,
        "figures": [asdict(figure) for figure in report.figures],
        "data": report.data,
        "chart": report.chart,
    }
    (folder / f"{name}.json").write_text(json.dumps(document, default=asdict) + "\n", "utf-8")


def write_table(names: list[str], folder: Path = FOLDER) -> None:
    """Write the table of all stored figures, in the order of `names`."""
    parts = ["# Results\n\nWritten by `make bench`; [what each figure means](../benchmarks.md).\n"]
    paths = [path for name in names if (path := folder / f"{name}.json").exists()]
    documents = [json.loads(path.read_text("utf-8")) for path in paths]
    for line, group in itertools.groupby(
        documents, lambda record: described(record["machine"], record["measured"])
    ):
        figures = [read(figure) for document in group for figure in document["figures"]]
        parts.append(f"{line}\n\n{table(figures)}\n")
    parts += [f"{document['chart']}\n" for document in documents if document.get("chart")]
    (folder / "results.md").write_text("\n".join(parts), "utf-8")


def read(document: Mapping[str, Any]) -> Figure:
    """Read a figure from its JSON."""
    goal = document["goal"]
    return Figure(**{**document, "goal": Goal(**goal) if goal else None})


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
