"""Every way a record can be poisoned: hubspot-facts.md, "What values really look like", and kin.

A way is one value in one property of an exam, a student or a booking, or the record's being refused
by HubSpot in calls of some kind. Ways of a kind are tried together, each in a record of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Place = Literal["exam", "student", "booking"]

CREDIT = "credit"
NUMBERS = (
    *("1e30", "4165550123", "2147483648", "2.5", "-5", "20.0", "", None, " 7 ", "1,000", "9" * 20),
    *("1e999999999", "9" * 5_000, "nan", "Infinity", "-0", "0x10", "\uff11\uff12"),
)
TEXTS = ("Cut\ud83d", "\ude00No\x00thing", "\u202eolleh\u200f", "x" * 65_536)
TRUTHS = (
    *("true", "True", " TRUE ", "yes", "1", "false", "False", "0", "no", "maybe", "", None),
    "\ud83d",
)
DAYS = (
    *("2027-02-30", "1795564800000", "2027-01-05T00:00:00Z", "01/02/2027", "9" * 20, "-1", "1e30"),
    *("0000-00-00", "99999-01-01", "253402300800000", "", None, "\ud83d", "\x00"),
)
TIMES = ("24:00", "25:61", "01:30", "00:00", "9", "9:00 AM", "", None, "\ud83d", "9" * 20, "1e30")
READS = r"objects\.(batch_)?read"
LINKS = r"associations\.(batch_read|list)"
WRITES = r"objects\.(batch_)?(create|update)"


@dataclass(frozen=True, kw_only=True, slots=True)
class Way:
    """One poison: a value in a field (the profile's word for it), or calls that are refused."""

    place: Place
    field: str = ""
    value: str | None = None
    refused: str = ""
    status: int = 400

    @property
    def group(self) -> str:
        """What it is told apart by: the place and the field, or that it is refused."""
        kind = self.field or f"refused in {self.refused} with {self.status}"
        return f"{self.place} {kind}"

    def __str__(self) -> str:
        if self.refused:
            return self.group
        shown = ascii(self.value)
        return f"{self.group} = {shown if len(shown) < 30 else f'{shown[:20]}… ({len(shown)})'}"


def _values(place: Place, fields: Iterable[str], values: Iterable[str | None]) -> list[Way]:
    known = tuple(values)
    return [Way(place=place, field=field, value=value) for field in fields for value in known]


_VALUES: Mapping[str, list[Way]] = {
    "numbers": [
        *_values("exam", ("capacity", "total_bookings"), NUMBERS),
        *_values("student", (CREDIT,), NUMBERS),
    ],
    "texts": [
        *_values("exam", ("location", "start_time", "mock_type"), TEXTS),
        *_values("student", ("firstname", "lastname", "student_id", CREDIT), TEXTS),
        *_values("booking", ("booking_id", "name", "email", "attending_location"), TEXTS),
        *_values("booking", ("student_id", "contact_id", "mock_exam_id", "token_used"), TEXTS),
        *_values("booking", ("idempotency_key", "seat_key", "status"), TEXTS),
    ],
    "truths": [
        *_values("exam", ("is_active",), TRUTHS),
        *_values("booking", ("is_active", "dominant_hand"), TRUTHS),
    ],
    "dates": [
        *_values("exam", ("exam_date",), DAYS),
        *_values("exam", ("start_time", "end_time"), TIMES),
        *_values("booking", ("exam_date", "created_at"), DAYS),
    ],
}
PLACES: tuple[Place, ...] = ("exam", "student", "booking")
_REFUSED = [
    *(Way(place=place, refused=READS) for place in PLACES),
    *(Way(place=place, refused=WRITES, status=status) for place in PLACES for status in (400, 409)),
    *(Way(place=place, refused=LINKS) for place in PLACES[:2]),
]
REFUSED: Mapping[str, tuple[Way, ...]] = {
    "refused reads": tuple(way for way in _REFUSED if way.refused == READS),
    "refused links": tuple(way for way in _REFUSED if way.refused == LINKS),
    **{
        f"writes refused with {status}": tuple(
            way for way in _REFUSED if way.refused == WRITES and way.status == status
        )
        for status in (400, 409)
    },
}
KINDS: Mapping[str, tuple[Way, ...]] = {
    "nothing": (),  # what is compared must be the same where nothing is poisoned
    **{name: tuple(ways) for name, ways in _VALUES.items()},
    **REFUSED,
}


def take_some(ways: Sequence[Way], one_of: int) -> tuple[Way, ...]:
    """One in so many: of each field others, so that every value and every field is among them."""
    groups = list(dict.fromkeys(way.group for way in ways))
    seen = Counter[str]()
    taken = []
    for way in ways:
        if (groups.index(way.group) + seen[way.group]) % one_of == 0:
            taken.append(way)
        seen[way.group] += 1
    return tuple(taken)


def by_group() -> Mapping[str, tuple[Way, ...]]:
    """All ways by place and field."""
    ways = [way for kind in KINDS.values() for way in kind]
    return {
        name: tuple(w for w in ways if w.group == name)
        for name in dict.fromkeys(w.group for w in ways)
    }
