"""A line chart as SVG: several curves over one pair of axes; it knows nothing of what they mean."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

Points = Sequence[tuple[float, float]]
"""(x, y), x ascending."""

WIDTH, HEIGHT = 380, 230
LEFT, RIGHT, TOP, BOTTOM = 54, 10, 26, 24
LINE = 16
"""Height of a line of the legend."""
MOST = 200
"""Points of a curve; more are averaged."""
DOTTED = 16
"""Points of a curve up to which each is marked."""
LOGARITHMIC = 50.0
"""Ratio of largest to smallest, all positive, from which the y axis is logarithmic."""
INK, FAINT = "#26282c", "#6a6e76"
INKS = ("#1f6f8b", "#b0413e", "#4c9f70", "#8a6fae", "#c08a3e", "#5b6270", "#d07aa0", "#2b8cbe")


def chart(title: str, series: Mapping[str, Points]) -> str:
    """An SVG element with a curve for each name; points that are not finite are left out.

    A name keeps its colour where it has no points.
    """
    thinned = {name: _thinned([p for p in points if all(map(math.isfinite, p))]) for name, points in series.items()}
    everything = [point for points in thinned.values() for point in points]
    if not everything:
        return ""
    across = _Axis([x for x, _ in everything], LEFT, WIDTH - RIGHT, False)
    down = _Axis([y for _, y in everything], HEIGHT - BOTTOM, TOP, True)
    inks = {name: INKS[turn % len(INKS)] for turn, name in enumerate(series)}
    curves = {name: points for name, points in thinned.items() if points}
    elements = [_text(LEFT, 14, title, "start", INK, 13), *_grid(across, down)]
    elements += [_curve(name, points, inks[name], across, down) for name, points in curves.items()]
    legend = [_entry(turn, name, inks[name]) for turn, name in enumerate(curves)] if len(series) > 1 else []
    high = HEIGHT + LINE * len(legend) + 6
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{high}" viewBox="0 0 {WIDTH} {high}" '
        f'font-family="system-ui, sans-serif" role="img" aria-label="{escape(title)}">'
        f"{''.join(elements + legend)}</svg>"
    )


class _Axis:
    """Values → pixels between `start` and `end`."""

    def __init__(self, values: Sequence[float], start: float, end: float, may_bend: bool) -> None:
        low, high = min(values), max(values)
        self.bent = may_bend and low > 0 and high / low > LOGARITHMIC
        self.start, self.end = start, end
        self.low, self.high = (math.log10(low), math.log10(high)) if self.bent else (low, high)
        size = max(abs(self.low), abs(self.high))
        if self.high - self.low <= 1e-9 * size:  # flat, or as good as flat: room for ticks all the same
            room = size / 10 or 0.5
            self.low, self.high = self.low - room, self.high + room

    def __call__(self, value: float) -> float:
        position = math.log10(value) if self.bent else value
        return self.start + (position - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Round values, about five; on a bent axis powers of ten."""
        if self.bent:
            powers = range(math.ceil(self.low), math.floor(self.high) + 1)
            return [10.0**power for power in powers[:: -(-len(powers) // 6)]]
        rough = (self.high - self.low) / 5
        unit = 10.0 ** math.floor(math.log10(rough))
        step = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= rough)
        first, last = math.ceil(self.low / step), math.floor(self.high / step)
        return [multiple * step for multiple in range(first, last + 1)]


def _entry(turn: int, name: str, ink: str) -> str:
    """A line of the legend, below the axes."""
    top = HEIGHT + 14 + LINE * turn
    return f'<rect x="{LEFT}" y="{top - 8}" width="9" height="9" fill="{ink}"/>' + _text(
        LEFT + 14, top, name, "start", INK
    )


def _grid(across: _Axis, down: _Axis) -> list[str]:
    elements = []
    for value in down.ticks():
        y = down(value)
        elements.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#e6e8ec"/>')
        elements.append(_text(LEFT - 6, y + 4, f"{value:.4g}", "end"))
    elements += [_text(across(value), HEIGHT - 8, f"{value:g}", "middle") for value in across.ticks()]
    return elements


def _curve(name: str, points: Points, ink: str, across: _Axis, down: _Axis) -> str:
    pixels = [(across(x), down(y)) for x, y in points]
    shown = f"<title>{escape(name)}</title>"
    few = pixels if len(pixels) <= DOTTED else []
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.2" fill="{ink}"/>' for x, y in few)
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in pixels)
    return f'<g>{shown}<polyline points="{line}" fill="none" stroke="{ink}" stroke-width="1.5"/>{dots}</g>'


def _thinned(points: Points) -> Points:
    """Neighbours averaged until `MOST` are left."""
    size = -(-len(points) // MOST)
    if size <= 1:
        return points
    groups = [points[start : start + size] for start in range(0, len(points), size)]
    return [(sum(x for x, _ in group) / len(group), sum(y for _, y in group) / len(group)) for group in groups]


def _text(x: float, y: float, text: str, anchor: str, ink: str = FAINT, size: int = 10) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{ink}" font-size="{size}">{escape(text)}</text>'
