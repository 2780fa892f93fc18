"""What was decided of a request, typed, and as JSON for the journal: written before HubSpot is
asked to write, and what recovery goes by.

Rows of earlier releases are read: what they lack is optional. A plan that cannot be read leaves its
row to a person, with the sentence of `UnreadablePlan`; the desk goes on with the others. What rows
are asked in passing, whether or not they have a plan at all, says so by its type.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, TypeVar, assert_never

from msgspec import Meta

from booking_api.desk.errors import UnreadablePlan
from booking_api.desk.journal.answers import BookedAnswer, CanceledAnswer, ChangedAnswer
from booking_api.desk.journal.models import JournalEntry, RequestKind
from booking_api.desk.journal.stored_json import NotUnderstood, read_stored, to_stored

P = TypeVar("P")

Instant = Annotated[datetime, Meta(tz=True)]


@dataclass(frozen=True, kw_only=True, slots=True)
class CreatePlan:
    """A booking to be made, in HubSpot's words, and the answer once it is.

    `refused_seats` are numbers that HubSpot did not take for this row; `unexplained_conflicts`
    counts refusals that nobody's seat explains. `merged_contacts` are the ids of the contacts that
    were merged into the row's; `reason` says for the operator why the booking is taken back.
    """

    properties: Mapping[str, str]
    seat_number: int
    answer: BookedAnswer
    refused_seats: tuple[int, ...] = ()
    unexplained_conflicts: int = 0
    merged_contacts: tuple[str, ...] = ()
    reason: str = ""

    def property_value(self, name: str) -> str:
        """Return one of the properties; raise UnreadablePlan where the plan has no such one."""
        if name not in self.properties:
            raise UnreadablePlan(f"it has no {name}")
        return self.properties[name]

    def to_json(self) -> dict[str, object]:
        return to_stored(self)

    @classmethod
    def from_json(cls, stored: object) -> CreatePlan:
        """Raises UnreadablePlan."""
        return _read(stored, cls)


@dataclass(frozen=True, kw_only=True, slots=True)
class CancelPlan:
    """A booking to be cancelled, and the answer once it is.

    `booking_seen_at` is when the booking had last changed before, by HubSpot's clock, None where
    that is not known. `asked_by` is the contact who asked, where the row's is another: the one who
    had paid. `is_owed` says that HubSpot has refused the credit before; `mock_exam` is what the
    note calls the exam, "" in rows of early releases. `merged_contacts` as in `CreatePlan`.
    """

    answer: CanceledAnswer
    booking_seen_at: Instant | None = None
    mock_exam: str = ""
    asked_by: str | None = None
    is_owed: bool = False
    merged_contacts: tuple[str, ...] = ()

    def to_json(self) -> dict[str, object]:
        return to_stored(self)

    @classmethod
    def from_json(cls, stored: object) -> CancelPlan:
        """Raises UnreadablePlan."""
        return _read(_without_unknown_time(stored), cls)


@dataclass(frozen=True, kw_only=True, slots=True)
class UpdatePlan:
    """A booking's new values, in HubSpot's words, and the answer once it has them. The other fields
    as in `CancelPlan`."""

    properties: Mapping[str, str]
    answer: ChangedAnswer
    booking_seen_at: Instant | None = None
    merged_contacts: tuple[str, ...] = ()

    def to_json(self) -> dict[str, object]:
        return to_stored(self)

    @classmethod
    def from_json(cls, stored: object) -> UpdatePlan:
        """Raises UnreadablePlan."""
        return _read(_without_unknown_time(stored), cls)


Plan = CreatePlan | CancelPlan | UpdatePlan


def read_plan(row: JournalEntry) -> Plan:
    """Return what was decided of a row's request; raise UnreadablePlan."""
    try:
        kind = RequestKind(row.kind)
    except ValueError:
        raise UnreadablePlan("its kind is not known") from None
    match kind:
        case RequestKind.CREATE:
            return CreatePlan.from_json(row.plan)
        case RequestKind.CANCEL:
            return CancelPlan.from_json(row.plan)
        case RequestKind.UPDATE:
            return UpdatePlan.from_json(row.plan)
        case _:
            assert_never(kind)


def change_plan(row: JournalEntry, plan: Plan) -> None:
    """Put a changed plan in its place; what a later release has written beside it stays."""
    row.plan = to_stored(plan, over=row.plan)


def planned_answer(row: JournalEntry) -> dict[str, object]:
    """Return what a row's request is answered with once it is carried out, with what a later
    release has planned beside it; raise UnreadablePlan."""
    stored = row.plan.get("answer") if isinstance(row.plan, dict) else None
    return to_stored(read_plan(row).answer, over=stored)


def name_merged_contacts(row: JournalEntry, merged_ids: tuple[str, ...]) -> None:
    """Note in a row's plan which contacts became part of its own: what is cached of them shows the
    same bookings. Raises UnreadablePlan."""
    if len(merged_ids) > 0:
        change_plan(row, replace(read_plan(row), merged_contacts=merged_ids))


def contact_ids_of(row: JournalEntry) -> tuple[str, ...]:
    """Return all ids that are known to mean the row's contact; none where it has none yet."""
    if row.contact_id == "":
        return ()
    try:
        return (row.contact_id, *read_stored(row.plan, _WithMergedContacts).merged_contacts)
    except NotUnderstood:
        return (row.contact_id,)


def record_ids_of(row: JournalEntry) -> tuple[str, ...]:
    """Return the ids by which the row's booking is known: whoever asked may have named it by the id
    of one that was merged into it. None where there is none yet."""
    if row.record_id == "":
        return ()
    try:
        return (row.record_id, read_stored(row.request, _NamingBooking).booking_id or row.record_id)
    except NotUnderstood:
        return (row.record_id,)


def find_seat_number(stored: object) -> int | None:
    """Return the seat that a stored plan names; None where it names none that we understand."""
    try:
        return read_stored(stored, _WithSeat).seat_number
    except NotUnderstood:
        return None


@dataclass(frozen=True, slots=True)
class _WithMergedContacts:
    """Any plan, or none."""

    merged_contacts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _NamingBooking:
    """Any request; who books names none."""

    booking_id: str = ""


@dataclass(frozen=True, slots=True)
class _WithSeat:
    seat_number: int


def _read(stored: object, wanted: type[P]) -> P:
    try:
        return read_stored(stored, wanted)
    except NotUnderstood as error:
        raise UnreadablePlan(str(error)) from error


def _without_unknown_time(stored: object) -> object:
    """Leave out a time that earlier releases kept as "" where it was not known."""
    if isinstance(stored, dict) and stored.get("booking_seen_at") == "":
        return {name: value for name, value in stored.items() if name != "booking_seen_at"}
    return stored
