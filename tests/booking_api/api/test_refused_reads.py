"""A record that HubSpot refuses to read costs itself, never the list it would stand in."""

from __future__ import annotations

import pytest

from tests.api import Api
from tests.builders import Booking, Exam, Portal

pytestmark = pytest.mark.django_db

AVAILABLE = "/api/mock-exams/available"
LIST = "/api/bookings/list"
READS = r"objects\.(batch_)?read"
LINKS = r"associations\.(batch_read|list)"


def refuse(portal: Portal, *things: Exam | Booking, operations: str = READS) -> None:
    types = portal.profile.object_types
    portal.sandbox.configure(
        refused_records=[
            {
                "object_type": types.mock_exams if isinstance(thing, Exam) else types.bookings,
                "id": thing.id,
                "operations": operations,
            }
            for thing in things
        ]
    )


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("realtime", ["false", "true"])
def test_a_refused_exam_is_left_out(realtime: str, api: Api, portal: Portal) -> None:
    refused, well, other = (portal.exam(in_days=days) for days in (3, 4, 5))
    refuse(portal, refused)

    data = api.get(AVAILABLE, mock_type="clinical", realtime=realtime).data

    assert [row["mock_exam_id"] for row in data] == [well.id, other.id]


def test_a_refused_exam_hides_no_outage(api: Api, portal: Portal) -> None:
    refused, _, _ = (portal.exam(in_days=days) for days in (3, 4, 5))
    refuse(portal, refused)
    path = f"objects/2026-09/{portal.profile.object_types.mock_exams}/batch/read"
    portal.sandbox.fault("partial", path=path, last=1)

    assert api.get(AVAILABLE, mock_type="clinical").status == 503


def test_where_nothing_is_read_the_list_is_not_empty_but_unknown(api: Api, portal: Portal) -> None:
    refuse(portal, portal.exam(in_days=3), portal.exam(in_days=4))

    assert api.get(AVAILABLE, mock_type="clinical").status == 503


@pytest.mark.parametrize("refused_part", ["links", "booking"])
@pytest.mark.django_db(transaction=True)
def test_an_exam_that_cannot_be_counted_is_listed_full(
    refused_part: str, api: Api, portal: Portal
) -> None:
    alice = portal.student("alice")
    ill, well = (portal.exam(in_days=days, capacity=20, total_bookings=7) for days in (3, 4))
    booking = portal.booking(alice, ill)
    portal.booking(alice, well)
    if refused_part == "links":
        refuse(portal, ill, operations=LINKS)
    else:
        refuse(portal, booking)

    data = api.get(AVAILABLE, mock_type="clinical", realtime="true").data

    shown = [(row["mock_exam_id"], row["total_bookings"], row["available_slots"]) for row in data]
    assert shown == [(ill.id, 7, 0), (well.id, 1, 19)]


def test_a_students_list_does_without_what_is_refused(api: Api, portal: Portal) -> None:
    alice = portal.student("alice")
    refused, well = portal.exam(in_days=3), portal.exam(in_days=4)
    in_refused, in_well, ill = (portal.booking(alice, exam) for exam in (refused, well, well))
    refuse(portal, refused, ill)

    def shown() -> dict[str, bool]:
        rows = api.get(LIST, **alice.pair).data["bookings"]
        return {row["id"]: row["mock_exam"] is not None for row in rows}

    assert shown() == {in_refused.id: False, in_well.id: True}
    portal.sandbox.configure(refused_records=[])
    assert shown() == {in_refused.id: True, in_well.id: True, ill.id: True}
