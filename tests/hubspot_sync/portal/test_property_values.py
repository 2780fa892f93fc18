"""HubSpot's texts become numbers, days and instants, or are unreadable."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubspot_sync.portal.property_values import (
    MAX_DECIMAL_PLACES,
    MAX_DIGITS,
    Unreadable,
    format_number,
    parse_count,
    parse_day,
    parse_instant,
    parse_number,
    parse_yes_no,
)

TORONTO = ZoneInfo("America/Toronto")
# Hypothesis wants naive bounds and adds the time zones itself.
EARLIEST = datetime.fromisoformat("1900-01-02")
LATEST = datetime.fromisoformat("2999-12-30")
MIN_DIGITS = 9
"""Fewer, as in the first days of 1970, are not taken for milliseconds."""


@given(st.datetimes(EARLIEST, LATEST, timezones=st.timezones()))
def test_an_instant_is_the_same_however_it_is_written(instant: datetime) -> None:
    written = instant.replace(microsecond=0)
    expected = written.astimezone(UTC)
    in_ms = str(int(written.timestamp()) * 1000)

    assert parse_instant(written.isoformat()) == expected
    if len(in_ms.lstrip("-")) >= MIN_DIGITS:
        assert parse_instant(in_ms) == expected


@pytest.mark.parametrize(
    ("text", "number"),
    [
        *(("20", "20"), ("20.0", "20"), (" 7 ", "7"), ("-5", "-5"), ("2.50", "2.5"), (".5", "0.5")),
        *(("", "0"), (None, "0"), ("  ", "0"), ("-0.0", "0"), ("2e1", "20"), ("2.0E3", "2000")),
        *(("4165550123", "4165550123"), ("999999999999999", "999999999999999")),
        *(("20.000000000000000000", "20"), ("123456789.123456", "123456789.123456")),
    ],
)
def test_a_number_is_read_exactly_and_written_plainly(text: str | None, number: str) -> None:
    assert format_number(parse_number(text)) == number


@pytest.mark.parametrize(
    "text",
    [
        *("many", "1,000", "1 000", "1_000", "NaN", "Infinity", "-inf", "0x10", "٣", "--5", "."),
        *("1e30", "1e400", "1e99999", "1e-7", "99999999999999999999", "1000000000000000"),
        *("0.1234567", "1234567890.123456", "\ud83d", "\u200f7", "7\x00", "9" * 65_536),
    ],
)
def test_what_is_no_number_we_can_keep_is_unreadable(text: str) -> None:
    with pytest.raises(Unreadable):
        parse_number(text)


likely_numbers = st.one_of(
    st.text(), st.text("0123456789.,eE+-_ \ud83d"), st.decimals().map(str), st.floats().map(str)
)


@given(text=likely_numbers)
def test_any_text_is_a_number_we_can_keep_or_unreadable(text: str) -> None:
    try:
        number = parse_number(text)
    except Unreadable:
        return
    kept = Decimal(format(float(number), f".{MAX_DIGITS}g"))
    assert kept == number, "a database that keeps doubles keeps it exactly"
    assert abs(number) < Decimal(10) ** MAX_DIGITS
    assert number == round(number, MAX_DECIMAL_PLACES)
    assert parse_number(format_number(number)) == number


def test_a_count_is_whole() -> None:
    assert [parse_count("3.0"), parse_count("-5"), parse_count("")] == [3, -5, 0]
    with pytest.raises(Unreadable):
        parse_count("2.5")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        *(("true", True), ("True", True), (" YES ", True), ("1", True), ("", None), (None, None)),
        *(("false", False), ("False", False), ("no", False), ("0", False)),
    ],
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


@pytest.mark.parametrize("text", ["", None, " "])
def test_what_was_never_set_is_no_date(text: str | None) -> None:
    assert parse_day(text, TORONTO) is None


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        *((parse_instant, text) for text in ("soon", "2026-13-01", "0001-01-01", "\ud83d")),
        *((parse_instant, "999999999999999"), (parse_yes_no, "left"), (parse_yes_no, "2")),
    ],
)
def test_what_means_nothing_is_unreadable(parse: Callable[[str], object], text: str) -> None:
    with pytest.raises(Unreadable):
        parse(text)
