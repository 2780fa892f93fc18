"""The old system's writes as the benchmarks copy them: its calls, and what they leave behind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from booking_api.benchmarks.old_system import OldSystem
from booking_api.benchmarks.operations.application import hubspot_config
from booking_api.benchmarks.portal_data import BOOKINGS, CONTACTS, EXAMS, PortalData, Student
from booking_api.benchmarks.processes import Address, Sandbox
from hubspot_sync.client import build_client
from hubspot_sync.wire.call_context import CallContext
from hubspot_sync.wire.deadlines import Deadline
from tests.sandbox import SandboxHandle

CALLS = 8


@pytest.fixture
def old_system(kind_sandbox: SandboxHandle) -> Iterator[OldSystem]:
    client = build_client(hubspot_config(kind_sandbox.base_url))
    yield OldSystem(client.transport, CallContext(deadline=Deadline.after(30)))
    client.close()


@pytest.fixture
def data(kind_sandbox: SandboxHandle) -> PortalData:
    return PortalData(Sandbox(Address(kind_sandbox.base_url)))


def numbers(hub: SandboxHandle, student: Student, exam_id: str) -> tuple[int, int]:
    """The student's credit and the exam's count as HubSpot has them."""
    contact, exam = hub.record(CONTACTS, student.id), hub.record(EXAMS, exam_id)
    return (
        int(contact["properties"]["credits_clinical"]),
        int(exam["properties"]["total_bookings"]),
    )


def test_booking_and_cancelling_take_8_calls_each(
    kind_sandbox: SandboxHandle, old_system: OldSystem, data: PortalData
) -> None:
    student, exam_id = data.add_student(), data.add_exam(in_days=30)
    data.write()
    kind_sandbox.clear_calls()

    booking_id = old_system.naive_create(student, exam_id)

    assert booking_id is not None
    assert len(kind_sandbox.calls()) == CALLS
    assert numbers(kind_sandbox, student, exam_id) == (4, 1)
    assert old_system.booking_list(student) == 1
    kind_sandbox.clear_calls()

    assert old_system.naive_cancel(student, booking_id)

    assert len(kind_sandbox.calls()) == CALLS
    assert numbers(kind_sandbox, student, exam_id) == (5, 0)
    assert kind_sandbox.record(BOOKINGS, booking_id)["properties"]["is_active"] == "false"
    assert not old_system.naive_cancel(student, booking_id)


def test_what_looks_full_or_doubled_or_unpaid_is_not_booked(
    old_system: OldSystem, data: PortalData
) -> None:
    student, poor = data.add_student(), data.add_student(credits_left=0)
    exam_id, full = data.add_exam(in_days=30), data.add_exam(in_days=31, taken=20)
    data.write()

    assert old_system.naive_create(student, exam_id) is not None

    assert old_system.naive_create(student, exam_id) is None
    assert old_system.naive_create(student, full) is None
    assert old_system.naive_create(poor, exam_id) is None
