"""What a single read tells of links, in shapes that no document rules out: only a whole list under
a name that can only be theirs is one, and all else is unsaid."""

from __future__ import annotations

import time
from typing import Any

import pytest
import responses

from hubspot_sync.portal.profile import load_profile
from hubspot_sync.writing.linked_bookings import MAX_TOLD, LinkedBookingReads
from tests.hubspot_sync.clients import asking, client_of

PROFILE = load_profile("default")
EXAMS = "p1_mock_exams"


def linked(*ids: object, **more: Any) -> dict[str, Any]:
    return {"results": [{"id": each, "type": "booking_to_exam"} for each in ids], **more}


def read(links: object) -> tuple[object, object]:
    """What a booking's read tells of its contacts and its exams."""
    types = PROFILE.object_types
    with responses.RequestsMock() as hubspot, client_of("https://api.hubapi.com") as client:
        hubspot.get(
            f"https://api.hubapi.com/crm/objects/2026-09/{types.bookings}/7",
            json={"id": "7", "properties": {}, "associations": links},
        )
        reads = LinkedBookingReads(PROFILE, client.transport, lambda _: None, time.monotonic)
        found = reads.read("7", asking())
    assert found is not None
    return found.contacts, found.exams


@pytest.mark.parametrize(
    ("links", "told"),
    [
        ({"contacts": linked("1"), EXAMS: linked("2")}, (("1",), ("2",))),
        ({"0-1": linked("1"), EXAMS: linked("2", "3")}, (("1",), ("2", "3"))),
        ({"contacts": linked("1", "1"), EXAMS: linked(2)}, (("1",), ("2",))),
        ({"contacts": linked("1")}, (("1",), None)),
        ({EXAMS: linked("2")}, (None, ("2",))),
        ({"contacts": linked(), EXAMS: linked()}, (None, None)),
        ({"contacts": linked("1"), "0-1": linked("4")}, (None, None)),
        ({EXAMS: linked("2"), "2-9": linked("5")}, (None, None)),
        ({EXAMS: linked("2", paging={"next": {"after": "2"}})}, (None, None)),
        ({EXAMS: linked(*map(str, range(1, MAX_TOLD + 1)))}, (None, None)),
        ({EXAMS: linked("2", "exam"), "contacts": linked(None)}, (None, None)),
        ({EXAMS: {"results": "2"}, "contacts": ["1"]}, (None, None)),
        ({EXAMS: {"results": ["2"]}, "contacts": {}}, (None, None)),
        ({}, (None, None)),
        (None, (None, None)),
        ([], (None, None)),
        ("contacts", (None, None)),
    ],
)
def test_what_is_not_a_whole_list_is_unsaid(links: object, told: tuple[object, object]) -> None:
    assert read(links) == told
