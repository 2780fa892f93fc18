"""Whatever a record in HubSpot holds, everybody's reads are answered."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from tests.api import Api
from tests.builders import Portal

pytestmark = pytest.mark.django_db(transaction=True)

STORABLE = st.characters(exclude_categories=("Cs",), exclude_characters="\x00")
anything = st.one_of(
    st.none(),
    st.text(STORABLE, max_size=20),
    st.text("0123456789.,eE+- ", max_size=25),
    st.sampled_from(
        [
            *(
                "1e30",
                "4165550123",
                "2.5",
                "-5",
                "20.0",
                " 7 ",
                "1,000",
                "9" * 20,
                "NaN",
                "1e99999",
            ),
            *("true", "True", "yes", "1", "false", "0", "٣", "\u200f12", "x" * 65_536, "7" * 5_000),
            *("2026-12-01", "1796083200000", "2026-12-01T00:00:00Z", "0001-01-01", "9999-12-31"),
            *("23:30", "01:30", "00:00", "24:00", "12:00 am"),
        ]
    ),
)
EXAM_FIELDS = (
    *("exam_date", "start_time", "end_time", "location", "capacity", "total_bookings"),
    "is_active",
)
BOOKING_FIELDS = (
    *("booking_id", "name", "exam_date", "is_active", "status", "contact_id", "mock_exam_id"),
    *("dominant_hand", "attending_location", "token_used", "created_at"),
)


def poisoned(*fields: str) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=dict.fromkeys(fields, anything))


@examples(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(exam=poisoned(*EXAM_FIELDS), booking=poisoned(*BOOKING_FIELDS), balance=anything)
def test_whatever_a_record_holds_every_read_is_answered(
    api: Api, portal: Portal, exam: dict[str, Any], booking: dict[str, Any], balance: str | None
) -> None:
    with portal.at_once():
        alice = portal.student("zoe")
        strange, usual = portal.exam(**exam), portal.exam()
        made = portal.booking(alice, strange, **booking)
        portal.booking(alice, usual)
    credits_ = dict.fromkeys(portal.profile.credit_properties, balance)
    portal.sandbox.edit(portal.profile.object_types.contacts, alice.id, **credits_)
    asked = {**alice.pair, "mock_type": "clinical"}

    listed = api.get("/api/bookings/list", **alice.pair)
    detail = api.get(f"/api/bookings/{made.id}", **alice.pair)
    checked = api.post("/api/mock-exams/validate-credits", **asked)
    offered = [
        api.get("/api/mock-exams/available", mock_type="clinical", realtime=realtime)
        for realtime in ("false", "true")
    ]

    assert [reply.status for reply in (listed, detail, checked, *offered)] == [200] * 5
    assert len(listed.data["bookings"]) == 2
