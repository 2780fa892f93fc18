"""What HubSpot's texts mean: numbers, yes or no, days and instants.

HubSpot gives every property as a text or null, and people type into it. Each parser returns a typed
value, what was never set included, or raises Unreadable for a text that means nothing to it; what a
record is without that value is `record_reader.py`'s business.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
YEARS = range(1900, 3000)  # outside, a typing mistake; and the calendar's ends overflow

MAX_DIGITS: Final = 15
"""Significant digits of a readable number. SQLite keeps decimals as doubles, which hold so many
exactly and no more; what is readable can thus be kept by every database, and is far within the 64
bits that JSON's integers have."""
MAX_DECIMAL_PLACES: Final = 6
MAX_NUMBER_CHARS: Final = 60
"""Longer ones are no numbers, whatever zeros they may consist of."""
MAX_WORDS_KEPT: Final = 64
MAX_READINGS_KEPT: Final = 1024
MAX_KEPT_CHARS: Final = 40
"""Longer texts are no words and no days, and are not kept."""

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,4})?", re.ASCII)
_EPOCH_MS = re.compile(r"-?\d{9,15}", re.ASCII)
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::\d{2})?\s*([ap]m)?", re.ASCII | re.IGNORECASE)


class Unreadable(ValueError):
    """A text that is no value of the kind asked for. It does not say which: it may be personal."""


def parse_number(text: str | None) -> Decimal:
    """Return "20", " 7 ", "2.5" or "2e1" exactly, and 0 for nothing. Raise Unreadable for what is
    no number, and for one beyond MAX_DIGITS or MAX_DECIMAL_PLACES."""
    stripped = (text or "").strip()
    if stripped == "":
        return Decimal(0)
    if len(stripped) > MAX_NUMBER_CHARS or _NUMBER.fullmatch(stripped) is None:
        raise Unreadable("no number")
    number = Decimal(stripped)
    if not is_bounded(number):
        raise Unreadable("beyond every number that is meant")
    return number


def is_bounded(number: Decimal) -> bool:
    """Whether a finite number is within what is read, kept and answered exactly."""
    if number == 0:
        return True
    _, digits, exponent = number.as_tuple()
    whole_digits = number.adjusted() + 1
    zeros = len(digits) - len("".join(map(str, digits)).rstrip("0"))
    places = max(0, -int(exponent) - zeros)
    return places <= MAX_DECIMAL_PLACES and max(0, whole_digits) + places <= MAX_DIGITS


def format_number(number: Decimal) -> str:
    """Return a number as HubSpot keeps it: plain, without exponent or idle zeros ("1.5", "2")."""
    text = f"{number:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def parse_count(text: str | None) -> int:
    """Return a whole number, below zero too; raise Unreadable for a fraction of one as well."""
    number = parse_number(text)
    if number != int(number):
        raise Unreadable("a fraction")
    return int(number)


def parse_capacity(text: str | None) -> int:
    """Return the whole part of a number that is not below zero; raise Unreadable."""
    number = parse_number(text)
    if number < 0:
        raise Unreadable("below zero")
    return int(number)


def parse_yes_no(text: str | None) -> bool | None:
    """Return True for "true", "yes" and "1", False for "false", "no" and "0", however they are
    capitalised, and None for nothing; raise Unreadable."""
    word = (text or "").strip().casefold()
    if word in {"true", "yes", "1"}:
        return True
    if word in {"false", "no", "0"}:
        return False
    if word != "":
        raise Unreadable("neither yes nor no")
    return None


def means_any_of(text: str, words: tuple[str, ...]) -> bool:
    """Whether `text` is one of a portal's words, in any case; where one of those is a truth value,
    another spelling of the same truth will do."""
    # The same few words stand in thousands of records.
    return (_compare_again if len(text) <= MAX_KEPT_CHARS else _compare)(text, words)


def _compare(text: str, words: tuple[str, ...]) -> bool:
    spellings, truths = _read_words(words)
    if text.casefold() in spellings:
        return True
    truth = _truth_of(text)
    return truth is not None and truth in truths


_compare_again = lru_cache(maxsize=MAX_READINGS_KEPT)(_compare)


@lru_cache(maxsize=MAX_WORDS_KEPT)
def _read_words(words: tuple[str, ...]) -> tuple[frozenset[str], frozenset[bool | None]]:
    """Return a profile's words for one thing as they are compared, and the truth of each."""
    return (
        frozenset(word.casefold() for word in words),
        frozenset(_truth_of(word) for word in words),
    )


def is_false(text: str) -> bool:
    """Whether a text says no: a spelling of false that `parse_yes_no` reads."""
    return _truth_of(text) is False


def _truth_of(word: str) -> bool | None:
    try:
        return parse_yes_no(word)
    except Unreadable:
        return None


def parse_instant(text: str | None) -> datetime | None:
    """Return an ISO 8601 instant or epoch milliseconds in UTC; without an offset it is UTC. None
    for nothing; raise Unreadable."""
    stripped = (text or "").strip()
    if stripped == "":
        return None
    try:
        if _EPOCH_MS.fullmatch(stripped) is not None:
            found = EPOCH + timedelta(milliseconds=int(stripped))
        else:
            found = datetime.fromisoformat(stripped)
    except (ValueError, OverflowError) as error:
        raise Unreadable("no instant") from error
    if found.year not in YEARS:
        raise Unreadable("an instant nobody means")
    if found.tzinfo is UTC:
        return found
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def parse_day(text: str | None, zone: ZoneInfo) -> date | None:
    """Return the day a date property names, None for nothing; raise Unreadable.

    HubSpot keeps a date as midnight UTC, whatever the portal's time zone, so an instant at that
    midnight is that day; any other instant is the day it falls on in the portal.
    """
    # Of a hundred bookings most are of a dozen days.
    kept = text is not None and len(text) <= MAX_KEPT_CHARS
    return (_parse_day_again if kept else _parse_day)(text, zone)


def _parse_day(text: str | None, zone: ZoneInfo) -> date | None:
    found = parse_instant(text)
    if found is None:
        return None
    if found.timetz() == time(tzinfo=UTC):
        return found.date()
    return found.astimezone(zone).date()


_parse_day_again = lru_cache(maxsize=MAX_READINGS_KEPT)(_parse_day)


def parse_time(text: str | None) -> time | datetime | None:
    """Return a clock time ("9:30", "2:15 pm") without a zone, or a whole instant in UTC; None for
    nothing. Raise Unreadable."""
    clock = _CLOCK.fullmatch((text or "").strip())
    if clock is None:
        return parse_instant(text)
    hour, minute, half = int(clock[1]), int(clock[2]), (clock[3] or "").lower()
    if half:
        hour = hour % 12 + (12 if half == "pm" else 0)
    if hour > 23 or minute > 59:
        raise Unreadable("no clock shows this")
    return time(hour, minute)


def instant_of(moment: time | datetime | None, day: date | None, zone: ZoneInfo) -> datetime | None:
    """Return in UTC the instant of a clock time on `day`, or the instant that it is already; None
    where either is missing. Of clocks that go back and show it twice, the later."""
    if moment is None or isinstance(moment, datetime):
        return moment
    if day is None:
        return None
    # In UTC, because Python compares two times of one zone by the clock and forgets the change.
    shown = datetime.combine(day, moment, tzinfo=zone)
    return max(shown.astimezone(UTC), shown.replace(fold=1).astimezone(UTC))


def day_after(day: date | None) -> date | None:
    return None if day is None else day + timedelta(days=1)
