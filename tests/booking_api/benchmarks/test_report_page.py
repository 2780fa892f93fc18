"""The report in HTML: whole, of one file, and no text of it is taken for markup."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from booking_api.benchmarks.record.charts import Bar, draw_bars, draw_lines
from booking_api.benchmarks.record.html import render_report
from booking_api.benchmarks.report import Row
from tests.booking_api.benchmarks.records import WHOLE, cost, record

VOID = {"meta", "br", "hr", "link", "img", "input"}
EVIL = """</svg><script>alert("x")</script> & 'quoted' <b>"""


class Reader(HTMLParser):
    """Reads a page, and fails where an end is not that of what was begun last."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    @override
    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    @override
    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    @override
    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader


def test_the_page_is_whole_and_shows_every_operation_and_figure() -> None:
    said = " ".join(read(render_report(WHOLE)).texts)

    for each in WHOLE.operations:
        assert each.operation in said
    for row in WHOLE.rows:
        assert row.name in said
    assert "no answer" in said
    assert WHOLE.run.commit in said


def test_the_page_needs_nothing_from_elsewhere() -> None:
    page = render_report(WHOLE)
    reader = read(page)

    assert {tag for tag, _ in reader.seen} & {"script", "link", "img", "iframe", "object"} == set()
    names = {name for _, attributes in reader.seen for name in attributes}
    assert {name for name in names if name in {"src", "href"} or name.startswith("on")} == set()
    assert re.search(r"url\(|@import|https?:", page) is None


def test_a_figure_that_is_missed_is_marked() -> None:
    marked = [
        attributes
        for tag, attributes in read(render_report(WHOLE)).seen
        if tag == "tr" and attributes.get("class") == "missed"
    ]

    assert len(marked) == 1


def test_no_text_is_taken_for_markup() -> None:
    named = record(
        cost(EVIL, "naive", failure=EVIL),
        cost(EVIL, "batched"),
        rows=(Row(part=EVIL, name=EVIL, value=1, maximum=0),),
    )

    reader = read(render_report(named))

    assert {tag for tag, _ in reader.seen} & {"script", "b"} == set()
    assert EVIL in reader.texts


def test_a_record_of_nothing_is_a_page() -> None:
    assert "Measured on" in " ".join(read(render_report(record())).texts)


FIGURES = st.one_of(st.none(), st.just(0.0), st.floats(1e-6, 1e9))


@given(st.dictionaries(st.text(st.characters(exclude_categories=["C"])), FIGURES, max_size=4))
def test_bars_are_drawn_of_any_figures_and_stay_within_the_picture(
    figures: dict[str, float | None],
) -> None:
    drawn = draw_bars("Any", "ms", {name: [Bar("naive", at)] for name, at in figures.items()})

    svg = ElementTree.fromstring(drawn)  # noqa: S314 - ours
    width, height = (float(each) for each in svg.attrib["viewBox"].split()[2:])
    for box in svg.findall("rect"):
        place = {name: float(box.attrib[name]) for name in ("x", "y", "width", "height")}
        assert place["x"] >= 0
        assert place["x"] + place["width"] <= width
        assert place["y"] + place["height"] <= height


@pytest.mark.parametrize(
    "points", [[], [(0, 5.0)], [(10, 0.0)], [(1, 1.0)], [(1, 1.0), (5e3, 9e4)]]
)
def test_lines_are_drawn_of_what_is_above_zero(points: list[tuple[float, float]]) -> None:
    drawn = draw_lines("Any", "bookings", "ms", {"naive": points})
    svg = ElementTree.fromstring(drawn)  # noqa: S314 - ours

    above = [point for point in points if min(point) > 0]
    assert len(svg.findall("circle")) == len(above)
