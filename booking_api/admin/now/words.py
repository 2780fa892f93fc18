"""Numbers and ages as a person reads them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from booking_api.ops.history.measured import SEPARATOR

UNKNOWN: Final = "not known"
NONE: Final = "—"
THIN_SPACE: Final = "\N{NARROW NO-BREAK SPACE}"
DAY_S: Final = 86_400
HOUR_S: Final = 3_600
MINUTE_S: Final = 60
SHORT_S: Final = 10.0
LEAST_SHARE: Final = 0.1

TYPE_ID: Final = re.compile(r"[0-9]+-[0-9]+", re.ASCII)
BETWEEN: Final = {">": " to ", "+": " and ", "/": ": "}
"""What stands between the kinds of a call that is about several."""

JOBS: Final[Mapping[str, str]] = {
    "recount": "Recount of all exams",
    "review credits": "Review of credits",
    "validate cache": "Comparison of the cache with HubSpot",
    "prune": "Removal of what was kept long enough",
    "warm cache": "Loading into the cache of what is asked for first",
}
OPERATIONS: Final[Mapping[str, str]] = {
    "objects.read": "read one",
    "objects.batch_read": "read many",
    "objects.batch_create": "create",
    "objects.batch_update": "change",
    "objects.batch_archive": "remove",
    "objects.search": "search",
    "associations.batch_read": "read links of",
    "associations.batch_default": "link",
    "associations.labels": "read kinds of links of",
    "properties.list": "list properties of",
    "properties.read": "read a property of",
    "properties.create": "create a property of",
    "schemas.list": "list kinds of records",
    "token.info": "ask about the token",
}


def write_number(number: int | None) -> str:
    """Return 12 345 for 12345."""
    return UNKNOWN if number is None else f"{number:,}".replace(",", THIN_SPACE)


def count(number: int, one: str, many: str) -> str:
    """Return "1 request" or "2 requests"."""
    return f"{write_number(number)} {one if number == 1 else many}"


def write_duration(duration: timedelta) -> str:
    """Return a duration in at most two units, "2 h 5 min"; what is below nought is nought."""
    seconds = max(0.0, duration.total_seconds())
    if seconds < SHORT_S:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 2 * MINUTE_S:
        return f"{whole} s"
    if whole < 2 * HOUR_S:
        return f"{whole // MINUTE_S} min"
    if whole < DAY_S:
        return f"{whole // HOUR_S} h {whole % HOUR_S // MINUTE_S} min"
    return f"{whole // DAY_S} d {whole % DAY_S // HOUR_S} h"


def write_age(since: datetime, now: datetime) -> str:
    return write_duration(now - since)


def write_share(part: float, whole: float) -> str:
    """Return a percentage; a dash where there is no whole."""
    if whole <= 0:
        return NONE
    share = 100 * part / whole
    if 0 < share < LEAST_SHARE:
        return f"< {LEAST_SHARE} %"
    return f"{share:.1f} %" if 0 < share < 1 else f"{share:.0f} %"


def describe_endpoint(key: str, types: Mapping[str, str]) -> str:
    """Return "search bookings" for `objects.search|2-41`; `types` has words for HubSpot's ids."""
    operation, _, about = key.partition(SEPARATOR)
    named = TYPE_ID.sub(lambda found: types.get(found[0], found[0]), about)
    for sign, word in BETWEEN.items():
        named = named.replace(sign, word)
    return f"{OPERATIONS.get(operation, operation)} {named}".strip()
