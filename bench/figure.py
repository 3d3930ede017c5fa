"""A figure: what was measured, the floor of the same run, the goal, and whether it is met."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

TIMES = "\N{MULTIPLICATION SIGN}"
Compare = Literal["at most", "at least"]


@dataclass(frozen=True, slots=True)
class Goal:
    """The goal of a figure. `of_floor`: `bound` is a multiple of the floor, else an absolute value."""

    compare: Compare
    bound: float
    of_floor: bool = False

    def met(self, ours: float, floor: float | None) -> bool:
        """Tell whether the goal is met; without the floor that it needs, it is not."""
        if self.of_floor and not floor:
            return False
        value = ours / floor if self.of_floor and floor else ours
        return value <= self.bound if self.compare == "at most" else value >= self.bound

    def __str__(self) -> str:
        sign = "≤" if self.compare == "at most" else "≥"
        return f"{sign} {self.bound:.2f} {TIMES}" if self.of_floor else f"{sign} {self.bound:g}"


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table. Without a goal it is only shown."""

    name: str
    ours: float
    unit: str = ""
    floor: float | None = None
    goal: Goal | None = None
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """Ours in floors, or None where there is no floor."""
        return self.ours / self.floor if self.floor else None

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None where there is none to judge."""
        return self.goal.met(self.ours, self.floor) if self.goal else None


@dataclass(frozen=True, slots=True)
class Report:
    """The result of one benchmark: figures for the table, data for the record, and a chart in Markdown."""

    figures: tuple[Figure, ...]
    data: Mapping[str, Any] = field(default_factory=dict)
    chart: str = ""


def quantile(values: Iterable[float], part: float) -> float:
    """Return the smallest value that at least `part` (0 to 1) of the values do not exceed."""
    ordered = sorted(values)
    if not ordered:
        raise ValueError("no value, no quantile")
    rank = -int(-len(ordered) * part // 1)  # rounded up
    return ordered[min(len(ordered), max(1, rank)) - 1]


def of_runs(runs: Sequence[Sequence[float]], part: float) -> float:
    """Return the median of the runs' own quantiles: one disturbed run of five does not count."""
    return statistics.median(quantile(run, part) for run in runs)


def table(figures: Sequence[Figure]) -> str:
    """Return the figures in Markdown, aligned but for the notes at the end."""
    head = ("figure", "floor", "ours", "ratio", "goal", "met", "note")
    rows = [tuple(cell.replace("|", "/") for cell in _cells(figure)) for figure in figures]
    widths = [max(map(len, column)) for column in zip(head[:-1], *(row[:-1] for row in rows), strict=True)]
    lines = [head, [*("-" * width for width in widths), "----"], *rows]
    return "\n".join(f"| {' | '.join([*map(str.ljust, line, widths), line[-1]])} |" for line in lines)


def _cells(figure: Figure) -> tuple[str, ...]:
    met = {None: "", True: "met", False: "MISSED"}[figure.met]
    return (
        figure.name,
        "" if figure.floor is None else _number(figure.floor, figure.unit),
        _number(figure.ours, figure.unit),
        "" if figure.ratio is None else f"{figure.ratio:.3f}",
        "" if figure.goal is None else str(figure.goal),
        met,
        figure.note,
    )


def _number(value: float, unit: str) -> str:
    four_digits = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"  # noqa: PLR2004 - 1e+03
    return f"{four_digits} {unit}".rstrip()
