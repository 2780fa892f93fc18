"""Charts as SVG within a page: bars and lines on logarithmic scales, drawn without a script.

Made as a tree of elements, so that every text is escaped and what comes out is well-formed. Colours
are the page's, by the class of each system.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element, SubElement, tostring

WIDTH = 760
LABEL_WIDTH = 210
BAR, GAP = 9, 8
AXIS = 26
LINE_HEIGHT, LINE_LEFT, LINE_TOP = 300, 60, 14
RIGHT = 110
WHOLE_FROM = 100


@dataclass(frozen=True, slots=True)
class Bar:
    """One system's figure; None where there is none, with the reason in `note`."""

    series: str
    value: float | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Scale:
    """A logarithmic scale from one power of ten to another, on so many pixels."""

    low: int
    high: int
    start: float
    length: float

    @classmethod
    def over(cls, values: Iterable[float], start: float, length: float) -> Scale:
        """Return the scale that holds these values, one of them at least, all above zero."""
        logs = [math.log10(value) for value in values]
        low, high = math.floor(min(logs)), math.ceil(max(logs))
        return cls(low, max(high, low + 1), start, length)

    def at(self, value: float) -> float:
        share = (math.log10(value) - self.low) / (self.high - self.low)
        return self.start + share * self.length

    def ticks(self) -> list[float]:
        return [10.0**power for power in range(self.low, self.high + 1)]


def draw_bars(title: str, unit: str, rows: Mapping[str, Sequence[Bar]]) -> str:
    """Return a chart of bars, a row for each label; `title` is what a screen reader says."""
    values = [bar.value for bars in rows.values() for bar in bars if bar.value is not None]
    above = [value for value in values if value > 0]
    heights = [len(bars) * BAR + GAP for bars in rows.values()]
    svg = _open(title, AXIS + sum(heights))
    if len(above) == 0:
        return _close(svg)
    scale = Scale.over(above, LABEL_WIDTH, WIDTH - LABEL_WIDTH - RIGHT)
    for tick in scale.ticks():
        _line(svg, scale.at(tick), AXIS - 6, scale.at(tick), AXIS + sum(heights))
        _text(svg, scale.at(tick), 12, f"{show_number(tick)} {unit}", "axis", "middle")
    top = float(AXIS)
    for (label, bars), height in zip(rows.items(), heights, strict=True):
        _text(svg, LABEL_WIDTH - 8, top + (height - GAP) / 2 + 4, label, "label", "end")
        for number, bar in enumerate(bars):
            _bar(svg, scale, bar, top + number * BAR, unit)
        top += height
    return _close(svg)


def _bar(svg: Element, scale: Scale, bar: Bar, top: float, unit: str) -> None:
    """Draw one; nothing and no answer are said in words, since a logarithm has no zero."""
    if bar.value is None or bar.value <= 0:
        said = bar.note if bar.value is None else f"0 {unit}"
        _text(svg, scale.start + 3, top + BAR - 1.5, said, f"value {bar.series}", "start")
        return
    end = max(scale.at(bar.value), scale.start + 1)
    _rectangle(svg, scale.start, top, end - scale.start, BAR - 1.5, bar.series)
    said = f"{show_number(bar.value)} {unit}{bar.note}"
    _text(svg, end + 4, top + BAR - 1.5, said, "value", "start")


Points = Sequence[tuple[float, float]]


def draw_lines(title: str, x_unit: str, y_unit: str, curves: Mapping[str, Points]) -> str:
    """Return a chart of a line for each series; points must be above zero, and others are left
    out."""
    drawn = {
        name: sorted((x, y) for x, y in points if x > 0 and y > 0)
        for name, points in curves.items()
    }
    drawn = {name: points for name, points in drawn.items() if len(points) > 0}
    svg = _open(title, LINE_TOP + LINE_HEIGHT + 40)
    if len(drawn) == 0:
        return _close(svg)
    places = [point for points in drawn.values() for point in points]
    across = Scale.over((x for x, _ in places), LINE_LEFT, WIDTH - LINE_LEFT - RIGHT)
    up = Scale.over((y for _, y in places), LINE_TOP + LINE_HEIGHT, -LINE_HEIGHT)
    for tick in across.ticks():
        _line(svg, across.at(tick), LINE_TOP, across.at(tick), LINE_TOP + LINE_HEIGHT)
        _text(
            svg, across.at(tick), LINE_TOP + LINE_HEIGHT + 16, show_number(tick), "axis", "middle"
        )
    for tick in up.ticks():
        _line(svg, LINE_LEFT, up.at(tick), WIDTH - RIGHT, up.at(tick))
        _text(svg, LINE_LEFT - 6, up.at(tick) + 4, f"{show_number(tick)} {y_unit}", "axis", "end")
    _text(
        svg, (LINE_LEFT + WIDTH - RIGHT) / 2, LINE_TOP + LINE_HEIGHT + 34, x_unit, "axis", "middle"
    )
    for name, points in drawn.items():
        placed = [(across.at(x), up.at(y)) for x, y in points]
        joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
        SubElement(svg, "polyline", {"points": joined, "class": f"curve {name}"})
        for x, y in placed:
            dot = {"cx": f"{x:.1f}", "cy": f"{y:.1f}", "r": "3", "class": f"dot {name}"}
            SubElement(svg, "circle", dot)
        last_x, last_y = placed[-1]
        _text(svg, last_x + 7, last_y + 4, name, f"value {name}", "start")
    return _close(svg)


def show_number(value: float) -> str:
    """Return it with three digits, and no more of a fraction than that leaves."""
    return f"{value:,.0f}" if value >= WHOLE_FROM else f"{value:.3g}"


def _open(title: str, height: float) -> Element:
    svg = Element(
        "svg",
        {"viewBox": f"0 0 {WIDTH} {height:.0f}", "role": "img", "aria-label": title},
    )
    SubElement(svg, "title").text = title
    return svg


def _close(svg: Element) -> str:
    return tostring(svg, encoding="unicode")


def _text(svg: Element, x: float, y: float, said: str, style: str, anchor: str) -> None:
    where = {"x": f"{x:.1f}", "y": f"{y:.1f}", "class": style, "text-anchor": anchor}
    SubElement(svg, "text", where).text = said


def _line(svg: Element, x1: float, y1: float, x2: float, y2: float) -> None:
    ends = {"x1": x1, "y1": y1, "x2": x2, "y2": y2}
    SubElement(svg, "line", {name: f"{at:.1f}" for name, at in ends.items()} | {"class": "grid"})


def _rectangle(svg: Element, x: float, y: float, width: float, height: float, series: str) -> None:
    sides = {"x": x, "y": y, "width": width, "height": height}
    SubElement(svg, "rect", {name: f"{at:.1f}" for name, at in sides.items()} | {"class": series})
