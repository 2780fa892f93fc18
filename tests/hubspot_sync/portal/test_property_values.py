"""HubSpot's texts become numbers, days and instants, or nothing."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubspot_sync.portal.property_values import (
    parse_day,
    parse_instant,
    parse_whole_number,
    parse_yes_no,
)

TORONTO = ZoneInfo("America/Toronto")
# Hypothesis wants naive bounds and adds the time zones itself.
EARLIEST = datetime.fromisoformat("1900-01-02")
LATEST = datetime.fromisoformat("2999-12-30")


@given(st.datetimes(EARLIEST, LATEST, timezones=st.timezones()))
def test_an_instant_is_the_same_however_it_is_written(instant: datetime) -> None:
    written = instant.replace(microsecond=0)
    expected = written.astimezone(UTC)
    in_ms = str(int(written.timestamp()) * 1000)

    assert parse_instant(written.isoformat()) == expected
    assert parse_instant(in_ms) == expected or len(in_ms.lstrip("-")) < 9


@pytest.mark.parametrize(
    ("text", "number"),
    [
        *(("20", 20), ("20.0", 20), (" 7 ", 7), ("-1", -1), ("2.9", 2)),
        *(("", 0), (None, 0), ("many", 0), ("NaN", 0), ("1e400", 0)),
    ],
)
def test_a_number_is_read_or_is_nought(text: str | None, number: int) -> None:
    assert parse_whole_number(text) == number


@pytest.mark.parametrize(
    ("text", "answer"),
    [("true", True), ("True", True), ("false", False), ("", None), (None, None), ("left", None)],
)
def test_yes_and_no_are_told_from_never_said(text: str | None, answer: bool | None) -> None:
    assert parse_yes_no(text) is answer


@pytest.mark.parametrize(
    "text",
    [
        *("2026-12-01", "1796083200000", "2026-12-01T00:00:00Z", "2026-12-01T00:00:00.000Z"),
        *("2026-12-01T05:00:00Z", "2026-12-01T23:30:00-05:00", "2026-12-02T04:30:00Z"),
    ],
)
def test_a_date_is_the_same_day_in_every_form_hubspot_has_for_it(text: str) -> None:
    assert parse_day(text, TORONTO) == date(2026, 12, 1)


@pytest.mark.parametrize("text", ["", None, "soon", "2026-13-01", "0001-01-01", "999999999999999"])
def test_what_is_no_date_is_none(text: str | None) -> None:
    assert parse_day(text, TORONTO) is None
