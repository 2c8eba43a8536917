"""Plots as inline SVG: axes, lines, points and bars. No plotting library, nothing to download."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

Point = tuple[float, float]

# Okabe and Ito, "Color universal design", 2008; yellow is left out, it is pale on white.
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000")
# Told apart without colours, too.
DASHES = ("", "7 3", "2 3", "9 3 2 3", "12 4", "4 2", "1 2")

_MARGIN = (14, 12, 46, 54)  # top, right, bottom, left


@dataclass
class Axis:
    """Range and ticks of one axis; `logarithmic` ranges are positive."""

    low: float
    high: float
    ticks: Sequence[float]
    label: str
    logarithmic: bool = False
    names: Sequence[str] = ()  # of the ticks; empty: their values

    def share(self, value: float) -> float:
        """Where a value lies between low (0) and high (1); values outside are put to the end."""
        value = min(max(value, self.low), self.high)
        if self.logarithmic:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def name(self, index: int) -> str:
        return self.names[index] if self.names else f"{self.ticks[index]:g}"


@dataclass
class Plot:
    """A plot that is drawn into; `svg()` is the picture."""

    x: Axis
    y: Axis
    title: str  # for those who cannot see it
    width: int = 520
    height: int = 320
    _parts: list[str] = field(default_factory=list)

    def line(self, points: Sequence[Point], index: int, width: float = 2.2) -> None:
        """A line in the colour and the dashes of series `index`."""
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in map(self._place, points))
        self._parts.append(
            f'<polyline points="{path}" fill="none" stroke="{colour(index)}" '
            f'stroke-width="{width}" stroke-dasharray="{dash(index)}" stroke-linejoin="round"/>'
        )

    def band(self, lower: Sequence[Point], upper: Sequence[Point], index: int) -> None:
        """The area between two lines, light."""
        places = [self._place(point) for point in (*lower, *reversed(upper))]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        self._parts.append(f'<polygon points="{path}" fill="{colour(index)}" fill-opacity="0.12"/>')

    def points(self, points: Sequence[Point], index: int, radius: float, opacity: float) -> None:
        """Discs."""
        discs = "".join(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}"/>' for x, y in map(self._place, points)
        )
        self._parts.append(
            f'<g fill="{colour(index)}" fill-opacity="{opacity}" stroke="none">{discs}</g>'
        )

    def bar(self, left: float, right: float, value: float, index: int) -> None:
        """A bar from the bottom; `left` and `right` on the x axis."""
        (x0, y0), (x1, y1) = self._place((left, value)), self._place((right, self.y.low))
        self._parts.append(
            f'<rect x="{x0:.1f}" y="{y0:.1f}" width="{max(x1 - x0 - 1.5, 1):.1f}" '
            f'height="{max(y1 - y0, 0):.1f}" fill="{colour(index)}"/>'
        )

    def whisker(self, x: float, low: float, high: float) -> None:
        """An interval on top of a bar."""
        (place, top), (_, bottom) = self._place((x, high)), self._place((x, low))
        self._parts.append(
            f'<path d="M{place:.1f} {top:.1f}V{bottom:.1f}m-3 0h6M{place - 3:.1f} {top:.1f}h6" '
            'stroke="#333" stroke-width="1" fill="none"/>'
        )

    def text(self, point: Point, words: str) -> None:
        """A note beside a point; left of it near the right end."""
        x, y = self._place(point)
        near_end = self.x.share(point[0]) > 0.6
        anchor, shift = ("end", -7) if near_end else ("start", 7)
        self._parts.append(
            f'<text x="{x + shift:.1f}" y="{y + 4:.1f}" text-anchor="{anchor}">'
            f"{escape(words)}</text>"
        )

    def svg(self) -> str:
        """The whole picture."""
        return (
            f'<svg viewBox="0 0 {self.width} {self.height}" role="img" class="plot" '
            f'xmlns="http://www.w3.org/2000/svg" aria-label="{escape(self.title)}">'
            f"<title>{escape(self.title)}</title>{self._grid()}{''.join(self._parts)}</svg>"
        )

    def _place(self, point: Point) -> Point:
        top, right, bottom, left = _MARGIN
        x = left + self.x.share(point[0]) * (self.width - left - right)
        y = self.height - bottom - self.y.share(point[1]) * (self.height - top - bottom)
        return x, y

    def _grid(self) -> str:
        x0, y0 = self._place((self.x.low, self.y.low))
        x1, y1 = self._place((self.x.high, self.y.high))
        parts = []
        for index, tick in enumerate(self.y.ticks):
            y = self._place((self.x.low, tick))[1]
            parts.append(f'<path d="M{x0:.1f} {y:.1f}H{x1:.1f}" class="grid"/>')
            parts.append(
                f'<text x="{x0 - 7:.1f}" y="{y + 4:.1f}" text-anchor="end">'
                f"{self.y.name(index)}</text>"
            )
        for index, tick in enumerate(self.x.ticks):
            x = self._place((tick, self.y.low))[0]
            if not self.x.names:
                parts.append(f'<path d="M{x:.1f} {y0:.1f}V{y1:.1f}" class="grid"/>')
            parts.append(
                f'<text x="{x:.1f}" y="{y0 + 17:.1f}" text-anchor="middle">'
                f"{escape(self.x.name(index))}</text>"
            )
        middle = (y0 + y1) / 2
        parts.append(f'<path d="M{x0:.1f} {y1:.1f}V{y0:.1f}H{x1:.1f}" class="axis"/>')
        parts.append(
            f'<text x="{(x0 + x1) / 2:.1f}" y="{self.height - 8}" text-anchor="middle" '
            f'class="label">{escape(self.x.label)}</text>'
            f'<text transform="rotate(-90 14 {middle:.1f})" x="14" y="{middle:.1f}" '
            f'text-anchor="middle" class="label">{escape(self.y.label)}</text>'
        )
        return "".join(parts)


def colour(index: int) -> str:
    """Of series `index`."""
    return PALETTE[index % len(PALETTE)]


def dash(index: int) -> str:
    """Dashes of series `index`; empty: a full line."""
    return DASHES[index % len(DASHES)]


def legend(names: Sequence[str]) -> str:
    """HTML: what each colour and each kind of line stands for."""
    items = (
        f'<span class="key"><svg viewBox="0 0 30 10" width="30" height="10">'
        f'<path d="M1 5H29" stroke="{colour(index)}" stroke-width="3" '
        f'stroke-dasharray="{dash(index)}"/></svg>{escape(name)}</span>'
        for index, name in enumerate(names)
    )
    return f'<p class="legend">{"".join(items)}</p>'
