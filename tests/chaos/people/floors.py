"""What has been acknowledged, and so must be seen by whoever begins to read afterwards.

Whatever changes has a version in its value, and versions only grow: the floor of a thing is the
highest one that was acknowledged. Whoever reads takes the floors first.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

VERSION = re.compile(r"^\D+(\d+)$")
CANCELLED = "cancelled"


def write_version(word: str, number: int) -> str:
    return f"{word} {number:06d}"


def read_version(text: object) -> int:
    found = VERSION.match(text) if isinstance(text, str) else None
    return int(found[1]) if found is not None else 0


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The floors at one moment: versions of exams and bookings by record id, each student's
    bookings, and those that are cancelled."""

    exams: Mapping[str, int]
    bookings: Mapping[str, int]
    owned: Mapping[str, frozenset[str]]
    cancelled: frozenset[str]


@dataclass(slots=True)
class Floors:
    """The floors now; safe between threads."""

    exams: dict[str, int] = field(default_factory=dict)
    bookings: dict[str, int] = field(default_factory=dict)
    owned: dict[str, frozenset[str]] = field(default_factory=dict)
    cancelled: frozenset[str] = frozenset()
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self) -> Acknowledged:
        with self.lock:
            return Acknowledged(
                dict(self.exams), dict(self.bookings), dict(self.owned), self.cancelled
            )

    def raise_exam(self, exam_id: str, version: int) -> None:
        with self.lock:
            self.exams[exam_id] = max(version, self.exams.get(exam_id, 0))

    def raise_booking(self, record_id: str, version: int) -> None:
        with self.lock:
            self.bookings[record_id] = max(version, self.bookings.get(record_id, 0))

    def add_booking(self, contact_id: str, record_id: str) -> None:
        with self.lock:
            self.owned[contact_id] = self.owned.get(contact_id, frozenset()) | {record_id}

    def cancel(self, record_id: str) -> None:
        with self.lock:
            self.cancelled |= {record_id}


def find_stale_rows(
    floors: Acknowledged, contact_id: str, rows: Sequence[Mapping[str, Any]]
) -> list[str]:
    """Return what of a student's list is older than what was acknowledged; a sentence each."""
    known = {row["id"]: row for row in rows}
    wrong = [
        f"booking {record_id} was acknowledged and is not listed"
        for record_id in floors.owned.get(contact_id, frozenset())
        if record_id not in known
    ]
    for record_id, row in known.items():
        seen, due = read_version(row["attending_location"]), floors.bookings.get(record_id, 0)
        if seen < due:
            wrong.append(f"booking {record_id} is listed as of change {seen}, not {due}")
        if record_id in floors.cancelled and row["status"] != CANCELLED:
            wrong.append(f"booking {record_id} is cancelled and listed as {row['status']}")
        if row["mock_exam"] is not None:
            wrong += find_stale_exams(floors, [row["mock_exam"]], "a list")
    return wrong


def find_stale_exams(
    floors: Acknowledged, rows: Sequence[Mapping[str, Any]], where: str
) -> list[str]:
    """Return which of these exams are shown as they were before an acknowledged change."""
    shown = [
        (str(row.get("mock_exam_id") or row.get("id")), read_version(row["location"]))
        for row in rows
    ]
    return [
        f"exam {exam_id} is shown in {where} as of change {seen}, not {floors.exams[exam_id]}"
        for exam_id, seen in shown
        if seen < floors.exams.get(exam_id, 0)
    ]
