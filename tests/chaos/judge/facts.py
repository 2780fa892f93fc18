"""What a run is judged by: HubSpot's records, its call log, and what people were told.

Nothing here asks the application or its database.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.builders import Exam, Portal, Student
from tests.chaos.people.front import Diary
from tests.chaos.people.students import Attempt

Record = Mapping[str, Any]
USUAL_MAX_CALLS = 190
TOO_MANY, ASK_AGAIN_S = 429, 0.5


@dataclass(frozen=True, kw_only=True, slots=True)
class Booked:
    """A booking that stands in HubSpot, by its own words."""

    id: str
    contact_id: str
    exam_id: str
    key: str
    linked_contacts: frozenset[str]
    linked_exams: frozenset[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Cast:
    """Whose deeds are judged: these students and exams; what each student owned at the beginning,
    credits and active bookings together."""

    students: Sequence[Student]
    exams: Sequence[Exam]
    owned: dict[str, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """One look at everything. `calls` is the log, `webhooks` HubSpot's count of its deliveries;
    HubSpot takes `max_calls` in any ten seconds."""

    portal: Portal
    cast: Cast
    booked: Sequence[Booked]
    credits: Mapping[str, int]
    totals: Mapping[str, int]
    notes: Mapping[str, Counter[str]]
    calls: Sequence[Mapping[str, Any]]
    webhooks: Mapping[str, int]
    attempts: Sequence[Attempt]
    diary: Diary
    max_calls: int = USUAL_MAX_CALLS


def gather(
    portal: Portal,
    cast: Cast,
    attempts: Sequence[Attempt],
    diary: Diary,
    calls: Sequence[Mapping[str, Any]],
    max_calls: int = USUAL_MAX_CALLS,
) -> Facts:
    """Look at HubSpot as it is now. The call log is given: to read links are calls, too."""
    types, sandbox = portal.profile.object_types, portal.sandbox
    known = {student.id for student in cast.students}
    return Facts(
        portal=portal,
        cast=cast,
        booked=[one for one in read_booked(portal) if one.contact_id in known],
        credits={
            record["id"]: sum_credits(portal, record)
            for record in sandbox.records(types.contacts)
            if record["id"] in known
        },
        totals={
            record["id"]: int(
                record["properties"][portal.profile.exam_properties["total_bookings"]] or 0
            )
            for record in sandbox.records(types.mock_exams)
        },
        notes=read_notes(sandbox.records(types.notes)),
        calls=calls,
        webhooks=sandbox.webhooks(),
        attempts=attempts,
        diary=diary,
        max_calls=max_calls,
    )


def read_booked(portal: Portal) -> list[Booked]:
    """Return every booking that stands; its links by calls as an application's."""
    names, states = portal.profile.booking_properties, portal.profile.booking_states
    types = portal.profile.object_types
    active = [
        record
        for record in portal.sandbox.records(types.bookings)
        if not record["archived"]
        and record["properties"].get(names["is_active"]) in states["active"]
    ]
    ids = [record["id"] for record in active]
    contacts = read_links(portal, types.contacts, ids)
    exams = read_links(portal, types.mock_exams, ids)
    found = []
    for record in active:
        properties = record["properties"]
        linked = contacts.get(record["id"], frozenset()), exams.get(record["id"], frozenset())
        found.append(
            Booked(
                id=record["id"],
                # Where the portal has no such property, the link alone says it.
                contact_id=_own_word(properties, names.get("contact_id"), linked[0]),
                exam_id=_own_word(properties, names.get("mock_exam_id"), linked[1]),
                key=properties.get(names["idempotency_key"]) or "",
                linked_contacts=linked[0],
                linked_exams=linked[1],
            )
        )
    return found


def _own_word(properties: Mapping[str, Any], name: str | None, linked: Collection[str]) -> str:
    if name is not None and properties.get(name):
        return str(properties[name])
    return next(iter(linked), "")


def read_links(
    portal: Portal, to_type: str, record_ids: Sequence[str]
) -> Mapping[str, frozenset[str]]:
    """Return what each of these bookings is linked to, of one type."""
    path = f"/crm/associations/2026-09/{portal.profile.object_types.bookings}/{to_type}/batch/read"
    found: dict[str, frozenset[str]] = {}
    for start in range(0, len(record_ids), 1000):
        body = {"inputs": [{"id": record_id} for record_id in record_ids[start : start + 1000]]}
        for result in ask_patiently(portal, path, body)["results"]:
            targets = {str(one["toObjectId"]) for one in result["to"]}
            found[result["from"]["id"]] = frozenset(targets)
    return found


def ask_patiently(portal: Portal, path: str, body: object) -> Mapping[str, Any]:
    """Return HubSpot's answer, once it has room for the question: others may be using its limit."""
    pause = threading.Event()
    while (answer := portal.sandbox.call("POST", path, body)).status == TOO_MANY:
        pause.wait(ASK_AGAIN_S)
    found: Mapping[str, Any] = answer.body
    return found


def sum_credits(portal: Portal, record: Record) -> int:
    return sum(int(record["properties"][name] or 0) for name in portal.profile.credit_properties)


def read_notes(records: Sequence[Record]) -> Mapping[str, Counter[str]]:
    """Return how many notes there are of each title, by the booking id that they name."""
    notes: dict[str, Counter[str]] = {}
    for record in records:
        lines = (record["properties"].get("hs_note_body") or "").split("<br>")
        named = [line for line in lines if line.startswith("<b>Booking:</b> ")]
        if named and not record["archived"]:
            booking_id = named[0].removeprefix("<b>Booking:</b> ")
            title = lines[0].removeprefix("<b>").removesuffix("</b>")
            notes.setdefault(booking_id, Counter())[title] += 1
    return notes


def count_active(portal: Portal) -> Counter[str]:
    """Return how many bookings stand in each exam, as their own words say, or the names of their
    seats; without a call."""
    names, states = portal.profile.booking_properties, portal.profile.booking_states
    return Counter(
        _own_word(record["properties"], names.get("mock_exam_id"), ())
        or (record["properties"].get(names["seat_key"]) or "").partition(":")[0]
        for record in portal.sandbox.records(portal.profile.object_types.bookings)
        if not record["archived"]
        and record["properties"].get(names["is_active"]) in states["active"]
    )
