"""The kinds of value an environment variable may hold, each from its text.

A text that is none raises ValueError with what is wanted; `settings.py` puts the variable's name in
front of it.
"""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

LOOPBACK = ("127.0.0.0/8", "::1/128")
MAX_COUNT = 1_000_000_000
UNITS = {
    # More than anybody means; the calendar begins some lifetimes before.
    "_DAYS": 36_500,
    # The longest wait of poll(2): 2^31 milliseconds, three weeks and a half.
    "_S": 2_147_483,
    "_SECONDS": 2_147_483,
    "_BYTES": 2**40,
}
"""The largest number there may be of each unit that a variable's name ends with."""
PERIODS_S = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400}


def boolean(text: str) -> bool:
    """Return the truth of "true" or "false"; django-environ takes a misspelt one for false."""
    spellings = {"true": True, "1": True, "yes": True, "on": True}
    spellings |= {"false": False, "0": False, "no": False, "off": False}
    if text.strip().lower() not in spellings:
        raise ValueError("true or false")
    return spellings[text.strip().lower()]


def integer(text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise ValueError("a whole number") from error


def number(text: str) -> float:
    """Return a finite number: nothing can be compared with "nan", and no wait lasts "inf"."""
    try:
        value = float(text)
    except ValueError as error:
        raise ValueError("a number") from error
    if not math.isfinite(value):
        raise ValueError("a number")
    return value


def csv(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def networks(text: str) -> list[str]:
    try:
        return [str(ipaddress.ip_network(word)) for word in csv(text)]
    except ValueError as error:
        raise ValueError("addresses or networks, as 10.0.0.0/8, separated by commas") from error


def web_address(text: str) -> str:
    """Return an address without a slash at its end, or nothing."""
    parts = urlsplit(text)
    if text != "" and (parts.scheme not in {"http", "https"} or parts.netloc == ""):
        raise ValueError("an address as https://booking.example.org, or empty")
    if parts.query or parts.fragment:
        raise ValueError("an address without ? and #")
    return text.rstrip("/")


def directory(text: str) -> str:
    if text != "" and not Path(text).is_dir():
        raise ValueError("a folder that exists, or empty")
    return text


def rate(text: str) -> tuple[int, int] | None:
    """Return how many requests in how many seconds; None, written as nothing, is no limit."""
    if text == "":
        return None
    count, _, period = text.partition("/")
    # Python reads no number of thousands of digits.
    is_count = count.isdecimal() and len(count) <= len(str(MAX_COUNT))
    if not (is_count and 0 < int(count) <= MAX_COUNT and period in PERIODS_S):
        raise ValueError(
            "a rate as 100/minute (second, minute, hour, day) of at most "
            f"{MAX_COUNT}, or empty for no limit"
        )
    return int(count), PERIODS_S[period]


def largest(name: str) -> int:
    """Return the largest number that a variable of this name may hold, by the unit at its end."""
    return next((most for unit, most in UNITS.items() if name.endswith(unit)), MAX_COUNT)


def one_of(*choices: str) -> Callable[[str], str]:
    def choice(text: str) -> str:
        if text not in choices:
            raise ValueError(f"one of {', '.join(choices)}")
        return text

    return choice


def some_of(*choices: str) -> Callable[[str], list[str]]:
    def chosen(text: str) -> list[str]:
        words = list(dict.fromkeys(csv(text)))
        if len(words) == 0 or not set(words).issubset(choices):
            raise ValueError(f"one or more of {', '.join(choices)}, separated by commas")
        return words

    return chosen
