"""Plots as SVG, written by hand: lines or dots over two axes. No library, and a diff that can be read."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_WIDTH, _HEIGHT = 720, 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 20, 64, 84
# Told apart by everybody, also in grey: Okabe and Ito's colours, dark ones first.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_TICKS = 6
_CHARACTER = 7  # about as wide, in pixels


@dataclass(frozen=True, slots=True)
class Line:
    """Points by a name; `dots` marks each of them, `dashed` is for bounds."""

    name: str
    points: Sequence[tuple[float, float]]
    dots: bool = False
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Plot:
    """A title, the names of both axes, the lines; `log_x` spaces the x-axis by factors of ten."""

    title: str
    x: str
    y: str
    lines: Sequence[Line]
    log_x: bool = False
    low: float | None = 0.0


def draw(plot: Plot, footer: str = "") -> str:
    """Return the plot as SVG. `footer` says on which machine it was measured."""
    xs = [_x(plot, x) for line in plot.lines for x, _ in line.points]
    ys = [y for line in plot.lines for _, y in line.points]
    left, right = _widened(min(xs), max(xs))
    low, high = _widened(min(ys) if plot.low is None else plot.low, max(ys))
    y_ticks = ticks(low, high)
    low, high = min(low, y_ticks[0]), max(high, y_ticks[-1])

    def at(x: float, y: float) -> tuple[float, float]:
        across = (_x(plot, x) - left) / (right - left)
        up = (y - low) / (high - low)
        return (
            _LEFT + across * (_WIDTH - _LEFT - _RIGHT),
            _HEIGHT - _BOTTOM - up * (_HEIGHT - _TOP - _BOTTOM),
        )

    size = f'width="{_WIDTH}" height="{_HEIGHT}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">',
        f'<rect {size} fill="white"/>',
        _text(_WIDTH / 2, 24, plot.title, "middle", 'font-size="15"'),
    ]
    for tick in y_ticks:
        _, y = at(plot.lines[0].points[0][0], tick)
        parts.append(f'<path d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}" stroke="#ddd"/>')
        parts.append(_text(_LEFT - 6, y + 4, f"{tick:g}", "end"))
    for tick in _x_ticks(plot, left, right):
        x, _ = at(tick, low)
        parts.append(_text(x, _HEIGHT - _BOTTOM + 18, f"{tick:g}", "middle"))
    parts.append(_text(_WIDTH / 2, _HEIGHT - _BOTTOM + 38, plot.x, "middle"))
    parts.append(
        _text(0, 0, plot.y, "middle", f'transform="translate(18 {(_HEIGHT - 40) / 2:g}) rotate(-90)"')
    )
    legend = _LEFT
    for number, line in enumerate(plot.lines):
        colour = _COLOURS[number % len(_COLOURS)]
        points = [at(x, y) for x, y in line.points]
        path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        dash = ' stroke-dasharray="5 4"' if line.dashed else ""
        parts.append(f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>')
        if line.dots:
            parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>' for x, y in points]
        parts.append(f'<path d="M{legend} {_TOP - 20}h18" stroke="{colour}" stroke-width="2"{dash}/>')
        parts.append(_text(legend + 24, _TOP - 16, line.name, "start"))
        legend += 44 + _CHARACTER * len(line.name)
    parts += [_text(_LEFT, _HEIGHT - 10, footer, "start", 'fill="#666" font-size="10"'), "</svg>", ""]
    return "\n".join(parts)


def ticks(low: float, high: float) -> list[float]:
    """Return up to eight round numbers from at most `low` to at least `high`: steps of 1, 2 or 5 times ten."""
    rough = (high - low) / _TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
    first = math.floor(low / step + 1e-9)
    last = math.ceil(high / step - 1e-9)
    return [round(number * step, 10) for number in range(first, last + 1)]


def _x_ticks(plot: Plot, left: float, right: float) -> list[float]:
    if plot.log_x:
        return sorted({x for line in plot.lines for x, _ in line.points})
    return [tick for tick in ticks(left, right) if left <= tick <= right]


def _x(plot: Plot, x: float) -> float:
    return math.log10(x) if plot.log_x else x


def _widened(low: float, high: float) -> tuple[float, float]:
    return (low, high) if high > low else (low - 1, low + 1)


def _text(x: float, y: float, text: str, anchor: str, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {more}>{escape(text)}</text>'
