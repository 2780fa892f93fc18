"""A booking id that is written can be read again."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubspot_sync.portal.booking_ids import format_booking_id, parse_booking_id
from hubspot_sync.portal.profile import PortalProfile, load_profile

PROFILES = (load_profile("default"), load_profile("prepdoctors"))


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
@given(data=st.data(), day=st.dates(date(1900, 1, 1), date(2999, 12, 30)), student_id=st.text())
def test_what_is_formatted_is_parsed(
    profile: PortalProfile, data: st.DataObject, day: date, student_id: str
) -> None:
    mock_type = data.draw(st.sampled_from(profile.mock_types)).value

    booking_id = format_booking_id(mock_type, student_id, day)

    assert parse_booking_id(booking_id, profile) == (mock_type, day)


def test_an_id_of_another_form_names_nothing() -> None:
    assert parse_booking_id("old one", PROFILES[0]) == ("", None)
