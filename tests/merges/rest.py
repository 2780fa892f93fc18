"""What has to hold once recounts are done and nothing is unheard: records, and answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from typing import Any

from tests.api import Api
from tests.merges.judgements import Ledger
from tests.merges.portal_view import PortalView, Stored, live

Row = tuple[str, str, str | None, str, str]


def broken_records(view: PortalView, ledger: Ledger) -> list[str]:
    """Return what is wrong with the credits and the stored counts, a sentence each."""
    wrong = []
    for contact in live(view.contacts):
        for credit, due in ledger.credits[contact.id].items():
            left = view.balance(contact.id, credit)
            if left != due:
                wrong.append(f"{contact.id} has {left} of {credit}, not {due}")
    for exam in live(view.exams):
        taken, stored = view.active_in(exam.id), int(exam.text("total_bookings"))
        if taken != stored:
            wrong.append(f"exam {exam.id} has {taken} bookings and says {stored}")
    return wrong


def broken_answers(
    api: Api, view: PortalView, mock_types: Collection[str], *, counted: bool
) -> list[str]:
    """Return what students are answered and HubSpot's records do not say; the stored counts are
    looked at where all is `counted` that links may lag by."""
    found = [*_wrong_lists(api, view), *_wrong_details(api, view)]
    for mock_type in mock_types:
        found += _wrong_offers(api, view, mock_type, realtime="true")
        if counted:
            found += _wrong_offers(api, view, mock_type, realtime="false")
    return found


def _wrong_lists(api: Api, view: PortalView) -> Iterator[str]:
    for student in view.students():
        due = Counter(_row_of(view, each) for each in view.bookings_of(student.id))
        balances = {name: view.balance(student.id, name) for name in view.profile.credit_properties}
        for email in {student.emails[0], student.emails[-1]}:
            pair = {"student_id": student.text("student_id"), "email": email}
            reply = api.get("/api/bookings/list", limit=100, **pair)
            if reply.status != 200:
                yield f"{student.id} has no list: {reply.body}"
            elif (rows := Counter(map(_listed_row, reply.data["bookings"]))) != due:
                more, less = dict(rows - due), dict(due - rows)
                yield f"{student.id}'s list has {more} too many and lacks {less}"
            elif reply.data["credits"] != balances:
                yield f"{student.id} reads {reply.data['credits']} of {balances}"


def _row_of(view: PortalView, booking: Stored) -> Row:
    exam = view.exam_of(booking)
    cancelled = booking.text("is_active") in view.profile.booking_states["cancelled"]
    status = "cancelled" if cancelled else "scheduled"
    return (booking.id, status, None if exam is None else exam.id, *view.day_of(booking))


def _listed_row(row: dict[str, Any]) -> Row:
    exam_id = None if row["mock_exam"] is None else row["mock_exam"]["id"]
    return row["id"], row["status"], exam_id, row["mock_type"], row["exam_date"]


def _wrong_details(api: Api, view: PortalView) -> Iterator[str]:
    """Each booking by its newest and its oldest id: its owner sees it, somebody else does not."""
    students = view.students()
    for booking in view.bookings.values():
        owners = [each for each in students if each.id in view.owners(booking)]
        askers = [*owners[:1], *[each for each in students if each not in owners][:1]]
        exam = view.exam_of(booking)
        for asker in askers:
            due = 403 if asker not in owners else 200
            due = 404 if booking.archived else due
            pair = {"student_id": asker.text("student_id"), "email": asker.emails[-1]}
            for record_id in {booking.ids[0], booking.ids[-1]}:
                reply = api.get(f"/api/bookings/{record_id}", **pair)
                if reply.status != due:
                    yield f"{asker.id} asks for {record_id}: {due}, not {reply.body}"
                elif due == 200:
                    shown = reply.data["mock_exam"]
                    ids = reply.data["booking"]["id"], None if shown is None else shown["id"]
                    if ids != (booking.id, None if exam is None else exam.id):
                        yield f"{asker.id} asks for {record_id} and sees {ids}"


def _wrong_offers(api: Api, view: PortalView, mock_type: str, **how: str) -> Iterator[str]:
    due = {
        exam.id: view.active_in(exam.id)
        for exam in live(view.exams)
        if exam.text("mock_type") == mock_type
    }
    reply = api.get("/api/mock-exams/available", mock_type=mock_type, **how)
    if reply.status != 200:
        yield f"nothing is offered: {reply.body}"
        return
    offered = [(each["mock_exam_id"], each["total_bookings"]) for each in reply.data]
    if sorted(offered) != sorted(due.items()):
        yield f"offered are {offered} of {mock_type} ({how}), not {due}"
