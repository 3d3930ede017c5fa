"""A plot as SVG: values over numbers of hosts, one panel above the other, the x-axis by factors of ten."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

_WIDTH, _PANEL, _LEFT, _TOP, _HIGH = 640, 190, 60, 40, 110


@dataclass(frozen=True, slots=True)
class Plot:
    """The name of the x-axis, and for each panel its title and its points, in the order of x."""

    x: str
    panels: Mapping[str, Sequence[tuple[float, float]]]

    def draw(self, footer: str) -> str:
        """Return the SVG. `footer` says on which machine it was measured."""
        height = _PANEL * len(self.panels) + 30
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" font-size="12">'
        ]
        parts.append(f'<rect width="{_WIDTH}" height="{height}" fill="white"/>')
        for number, (title, points) in enumerate(self.panels.items()):
            parts += _panel(f"{title}, over {self.x}", points, number * _PANEL)
        return "\n".join([*parts, _text(8, height - 10, footer, "start"), "</svg>", ""])


def _panel(title: str, points: Sequence[tuple[float, float]], top: float) -> list[str]:
    """Return the parts of one panel: title, frame with the highest value, and each point with its x."""
    most = max(y for _, y in points) or 1.0
    span = math.log10(points[-1][0] / points[0][0]) or 1.0
    low = top + _TOP + _HIGH
    at = [
        (_LEFT + math.log10(x / points[0][0]) / span * (_WIDTH - 2 * _LEFT), low - y / most * _HIGH)
        for x, y in points
    ]
    path = "L".join(f"{x:.1f} {y:.1f}" for x, y in at)
    frame = f"M{_LEFT} {top + _TOP}V{low}H{_WIDTH - _LEFT}"
    return [
        _text(_LEFT, top + 24, title, "start"),
        _text(_LEFT - 6, top + _TOP + 4, f"{most:,.4g}", "end"),
        _text(_LEFT - 6, low + 4, "0", "end"),
        f'<path d="{frame}" fill="none" stroke="#999"/>',
        f'<path d="M{path}" fill="none" stroke="#0072b2" stroke-width="2"/>',
        *(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="#0072b2"/>' for x, y in at),
        *(_text(x, low + 18, f"{hosts:g}", "middle") for (hosts, _), (x, _) in zip(points, at, strict=True)),
    ]


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-family="sans-serif">{escape(text)}</text>'
    )
