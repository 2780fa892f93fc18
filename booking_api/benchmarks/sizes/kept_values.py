"""What it costs to keep and to read a list's bookings, beside what pickles of them cost.

Pickles are only compared with: they run what somebody else put in their place, and read a slotted
dataclass by the position of its fields."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from cache_layer import ValueCodec
from hubspot_sync.portal.records import Booking

BOOKINGS = 50


@dataclass(frozen=True, kw_only=True, slots=True)
class KeptValues:
    """Microseconds for all bookings of a list. Keeping a value is to write it and to see that it
    comes back."""

    kept_us: float
    read_us: float
    pickled_us: float
    unpickled_us: float

    @property
    def ratio(self) -> float:
        """Return keeping once and reading once as a share of what they cost with pickles."""
        return (self.kept_us + self.read_us) / (self.pickled_us + self.unpickled_us)


def measure(*, rounds: int) -> KeptValues:
    """Return the quickest of so many rounds of each, taken in turns."""
    codec = ValueCodec(Booking)
    bookings = [make_booking(number) for number in range(BOOKINGS)]
    payloads = [codec.encode(booking) for booking in bookings]
    pickles = [pickle.dumps(booking, pickle.HIGHEST_PROTOCOL) for booking in bookings]
    jobs: Sequence[Callable[[], object]] = (
        lambda: [codec.encode(booking) for booking in bookings],
        lambda: [codec.decode(payload) for payload in payloads],
        lambda: [pickle.dumps(booking, pickle.HIGHEST_PROTOCOL) for booking in bookings],
        lambda: [pickle.loads(one) for one in pickles],  # noqa: S301 - made a line above
    )
    taken = [min(row) for row in zip(*(map(take_us, jobs) for _ in range(rounds)), strict=True)]
    kept_us, read_us, pickled_us, unpickled_us = taken
    return KeptValues(
        kept_us=kept_us, read_us=read_us, pickled_us=pickled_us, unpickled_us=unpickled_us
    )


def take_us(job: Callable[[], object]) -> float:
    started_s = time.perf_counter()
    job()
    return (time.perf_counter() - started_s) * 1_000_000


def make_booking(number: int) -> Booking:
    made_at = datetime(2026, 11, 1, 9, 30, tzinfo=UTC)
    return Booking(
        id=str(90_000_000_000 + number),
        booking_id=f"Clinical Skills-Student {number}-2026-12-01",
        name=f"Student {number}",
        email=f"student.{number}@example.org",
        student_id=f"S{number:05}",
        mock_type="Clinical Skills",
        exam_date=date(2026, 12, 1),
        state="active",
        is_active="Active",
        dominant_hand=True,
        attending_location="mississauga",
        token_used="Clinical Skills Token",  # noqa: S106 - the label of a credit
        idempotency_key=f"{number:032x}",
        seat_key=f"seat-{number}",
        contact_id=str(40_000_000_000 + number),
        mock_exam_id="50000000009",
        created_at=made_at,
        updated_at=made_at,
    )
