"""Whether a credit that HubSpot did not confirm was written: what the contact's history proves.

A write with a mark is proved by it, exactly, whoever writes beside it and whatever the value. One
without is known again by its value, its time and its source. What is not to be seen was not
written, but only where the history reaches back to before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Final

from hubspot_sync.portal.credit_history import Balance, Mark, Source

MIN_KEPT_VERSIONS: Final = 20
"""HubSpot shows at least so many values of a property: fewer are all there were."""


class Landing(Enum):
    """What a history says of a write. UNKNOWN: it does not reach back far enough."""

    SEEN = "seen"
    NOT_SEEN = "not seen"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True, slots=True)
class CreditWrite:
    """A balance that was sent. `seen_at` is when the contact had last changed before, by HubSpot's
    clock; `mark` is "" where it was sent without one."""

    before: Decimal
    after: Decimal
    seen_at: datetime | None
    mark: str = ""


def first_mark(row_id: int, nonce: str) -> str:
    """Return the mark of a row's first write; `nonce` tells it from other databases' rows."""
    return f"{row_id}.{nonce}.1"


def next_mark(mark: str) -> str:
    """Return the mark of the row's next write."""
    stem, _, number = mark.rpartition(".")
    return f"{stem}.{int(number) + 1}"


def first_of_row(mark: str) -> str:
    """Return the mark of the first write of the row that this mark is of."""
    return f"{mark.rpartition('.')[0]}.1"


def is_of_same_row(mark: str, other: str) -> bool:
    """Whether both marks are of writes of one row: each changes the same credit by the same."""
    return mark.rpartition(".")[0] == other.rpartition(".")[0]


def find_landing(
    write: CreditWrite,
    balances: Sequence[Balance],
    marks: Sequence[Mark] | None,
    *,
    last_mark: str = "",
    own_source: Source | None = None,
) -> Landing:
    """Return what the history says of a write; `marks` is None where the portal keeps none,
    `last_mark` is the one that stands there now, `own_source` whom histories name for us, where
    that is known."""
    if write.mark and is_of_same_row(write.mark, last_mark):
        return Landing.SEEN
    if write.mark and marks is not None:
        if any(is_of_same_row(mark.text, write.mark) for mark in marks):
            return Landing.SEEN
        is_whole = reaches_back([mark.at for mark in marks], write.seen_at)
    else:
        if any(_looks_like(write, balance, own_source) for balance in balances):
            return Landing.SEEN
        is_whole = True
    times = [balance.at for balance in balances]
    is_whole = is_whole and reaches_back(times, write.seen_at, was_set=write.before != 0)
    return Landing.NOT_SEEN if is_whole else Landing.UNKNOWN


def reaches_back(
    times: Sequence[datetime], since: datetime | None, *, was_set: bool = False
) -> bool:
    """Whether a property's history, given by the times of its values, has all since then. One that
    `was_set` before has a value of that time."""
    if since is None or (len(times) > 0 and times[0] <= since):
        return True
    return not was_set and len(times) < MIN_KEPT_VERSIONS


def _looks_like(write: CreditWrite, balance: Balance, own_source: Source | None) -> bool:
    by_us = balance.may_be_ours if own_source is None else balance.source.is_same(own_source)
    is_later = write.seen_at is None or balance.at > write.seen_at
    return by_us and is_later and balance.value == write.after
