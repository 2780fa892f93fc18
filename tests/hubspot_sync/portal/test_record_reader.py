"""HubSpot's strings become typed fields, whatever people have typed into them."""

from __future__ import annotations

import dataclasses
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubspot_sync.portal import record_reader
from hubspot_sync.portal.profile import BookingState, PortalProfile, load_profile
from hubspot_sync.portal.property_values import Unreadable
from hubspot_sync.portal.records import (
    BOOKING_FIELDS,
    CONTACT_FIELDS,
    ENROLLMENT_FIELDS,
    EXAM_FIELDS,
)

DEFAULT = load_profile("default")
PREPDOCTORS = load_profile("prepdoctors")
LONDON = ZoneInfo("Europe/London")
TORONTO = ZoneInfo("America/Toronto")

anything = st.one_of(
    st.none(),
    st.text(max_size=30),
    st.from_regex(r"-?\d{1,20}(\.\d+)?", fullmatch=True),
    st.datetimes().map(lambda at: at.isoformat()),
    st.datetimes(timezones=st.sampled_from([LONDON, TORONTO])).map(lambda at: at.isoformat()),
    st.dates().map(str),
    st.times().map(str),
    st.sampled_from(
        ["NaN", "Infinity", "1e400", "999999999999999", "9:60 pm", "true", "Active", "٣", " "]
    ),
)


def properties(names: tuple[str, ...]) -> st.SearchStrategy[dict[str, str | None]]:
    return st.fixed_dictionaries({}, optional=dict.fromkeys(names, anything))


@pytest.mark.sampled
@pytest.mark.parametrize("profile", [DEFAULT, PREPDOCTORS], ids=lambda profile: profile.name)
@given(data=st.data())
def test_no_value_in_hubspot_breaks_reading(profile: PortalProfile, data: st.DataObject) -> None:
    names = record_reader.booking_property_names(profile)
    booking = record_reader.read_booking("1", data.draw(properties(names)), profile)
    names = record_reader.exam_property_names(profile)
    exam = record_reader.read_exam("1", data.draw(properties(names)), profile)
    names = record_reader.contact_property_names(profile)
    contact = record_reader.read_contact("1", data.draw(properties(names)), profile)

    for instant in (booking.created_at, exam.starts_at, exam.ends_at):
        assert instant is None or instant.utcoffset() == timedelta(0)
    assert set(contact.credits) == set(profile.credit_properties)
    assert booking.state in ("active", "cancelled", "completed")


KINDS = {
    "contact": CONTACT_FIELDS,
    "exam": EXAM_FIELDS,
    "booking": BOOKING_FIELDS,
    "enrollment": ENROLLMENT_FIELDS,
}
MADE_OF_SEVERAL = {"is_active", "status", "attending_location", "mock_type", "exam_date"}


@pytest.mark.sampled
@pytest.mark.parametrize("profile", [DEFAULT, PREPDOCTORS], ids=lambda profile: profile.name)
@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_each_field_is_what_its_own_type_reads_in_its_property(
    kind: str, profile: PortalProfile, data: st.DataObject
) -> None:
    names: dict[str, str] = getattr(profile, f"{kind}_properties")
    stored = data.draw(properties(tuple(names.values())))
    record = getattr(record_reader, f"read_{kind}")("1", stored, profile)

    unreadable = set()
    for own_name, stored_as in KINDS[kind].items():
        name = names.get(own_name, "")
        try:
            value = stored_as.parse((stored.get(name) or "").strip(), profile.time_zone)
        except Unreadable:
            value = stored_as.where_unreadable
            unreadable.add(name)
        if own_name not in MADE_OF_SEVERAL:
            in_record = "stored_total" if own_name == "total_bookings" else own_name
            assert getattr(record, in_record) == value, own_name
    assert kind == "enrollment" or unreadable <= set(record.unreadable)


@given(day=st.dates(date(1900, 1, 1), date(2999, 12, 30)), zone=st.sampled_from([LONDON, TORONTO]))
def test_an_exam_without_times_lasts_its_whole_day_in_the_portals_time_zone(
    day: date, zone: ZoneInfo
) -> None:
    profile = DEFAULT if zone is LONDON else PREPDOCTORS
    exam = record_reader.read_exam("1", {"exam_date": day.isoformat()}, profile)

    assert exam.starts_at is not None
    assert exam.ends_at is not None
    starts, ends = exam.starts_at.astimezone(zone), exam.ends_at.astimezone(zone)
    assert (starts.date(), starts.time()) == (day, datetime.min.time())
    assert (ends.date(), ends.time()) == (day + timedelta(days=1), datetime.min.time())


@pytest.mark.parametrize(
    ("end_time", "ends_at"),
    [
        ("13:00", datetime(2026, 7, 1, 12, tzinfo=UTC)),
        ("1:00 PM", datetime(2026, 7, 1, 12, tzinfo=UTC)),
        ("12:15 am", datetime(2026, 6, 30, 23, 15, tzinfo=UTC)),
        ("2026-07-01T12:30:00Z", datetime(2026, 7, 1, 12, 30, tzinfo=UTC)),
        ("2026-07-01T08:30:00-04:00", datetime(2026, 7, 1, 12, 30, tzinfo=UTC)),
        ("25:00", datetime(2026, 7, 1, 23, tzinfo=UTC)),
        ("after lunch", datetime(2026, 7, 1, 23, tzinfo=UTC)),
    ],
)
def test_an_exam_ends_when_its_portal_says(end_time: str, ends_at: datetime) -> None:
    stored = {"exam_date": "2026-07-01", "end_time": end_time}

    assert record_reader.read_exam("1", stored, DEFAULT).ends_at == ends_at


def test_an_hour_shown_twice_ends_the_second_time() -> None:
    stored = {"exam_date": "2026-10-25", "end_time": "01:30"}

    assert record_reader.read_exam("1", stored, DEFAULT).ends_at == datetime(
        2026, 10, 25, 1, 30, tzinfo=UTC
    )


def test_an_exam_keeps_its_times_as_hubspot_wrote_them() -> None:
    stored = {
        "exam_date": "2026-12-01",
        "start_time": "2026-12-01T14:00:00Z",
        "end_time": "2026-12-01T18:00:00Z",
        "capacity": "20",
        "total_bookings": "",
        "mock_type": "Mini-mock",
        "location": "Calgary",
        "is_active": "true",
    }

    exam = record_reader.read_exam("7", stored, PREPDOCTORS)

    assert (exam.id, exam.start_time, exam.capacity) == ("7", "2026-12-01T14:00:00Z", 20)
    assert (exam.total_bookings, exam.is_active) == (0, True)
    assert exam.starts_at == datetime(2026, 12, 1, 14, tzinfo=UTC)


def test_an_exam_nobody_has_opened_is_not_active() -> None:
    assert record_reader.read_exam("1", {"is_active": None}, DEFAULT).is_active is False


@pytest.mark.parametrize(
    ("profile", "is_active", "status", "state"),
    [
        (DEFAULT, "true", "confirmed", "active"),
        (DEFAULT, "TRUE", "", "active"),
        (DEFAULT, "false", "confirmed", "cancelled"),
        (DEFAULT, "true", "cancelled", "cancelled"),
        (DEFAULT, "No", "", "cancelled"),
        (DEFAULT, "0", None, "cancelled"),
        (DEFAULT, "yes", "confirmed", "active"),
        (DEFAULT, "perhaps", None, "active"),
        (PREPDOCTORS, "false", None, "cancelled"),
        (DEFAULT, None, None, "active"),
        (PREPDOCTORS, "Active", None, "active"),
        (PREPDOCTORS, "Cancelled", None, "cancelled"),
        (PREPDOCTORS, "completed", None, "completed"),
        (PREPDOCTORS, "Active", "cancelled", "active"),
        (PREPDOCTORS, "Postponed", None, "active"),
    ],
)
def test_a_bookings_state_is_what_its_portal_means(
    profile: PortalProfile, is_active: str | None, status: str | None, state: str
) -> None:
    stored = {"is_active": is_active, "booking_status": status}

    assert record_reader.read_booking("1", stored, profile).state == state


def test_a_booking_cancelled_in_either_property_is_cancelled() -> None:
    states = {**DEFAULT.booking_states, "completed": ("done",)}
    profile = dataclasses.replace(DEFAULT, booking_states=states)
    stored = {"is_active": "done", "booking_status": "cancelled"}

    assert record_reader.read_booking("1", stored, profile).state == "cancelled"


def test_a_location_is_spelt_as_callers_send_it() -> None:
    stored = {"attending_location": "Richmond Hill"}

    assert (
        record_reader.read_booking("1", stored, PREPDOCTORS).attending_location == "richmond_hill"
    )


def test_a_location_nobody_can_choose_is_shown_as_it_is() -> None:
    assert (
        record_reader.read_booking(
            "1", {"attending_location": "Hull"}, PREPDOCTORS
        ).attending_location
        == "Hull"
    )
    assert (
        record_reader.read_booking("1", {"attending_location": "Leeds"}, DEFAULT).attending_location
        == "Leeds"
    )


def test_a_booking_that_stores_no_type_or_day_has_them_from_its_name() -> None:
    stored = {"booking_id": "Mini-mock-S1001-2026-12-01"}

    booking = record_reader.read_booking("1", stored, PREPDOCTORS)

    assert (booking.mock_type, booking.exam_date) == ("Mini-mock", date(2026, 12, 1))


def test_a_booking_says_nothing_it_does_not_know() -> None:
    made = datetime(2026, 11, 1, 9, tzinfo=UTC)

    booking = record_reader.read_booking("1", {"booking_id": "old one"}, DEFAULT, created_at=made)

    assert (booking.mock_type, booking.exam_date, booking.dominant_hand) == ("", None, None)
    assert (booking.contact_id, booking.mock_exam_id) == (None, None)
    assert booking.created_at == made


def test_a_bookings_own_date_of_making_wins() -> None:
    stored = {"created_at": "2026-10-01T08:00:00Z", "contact_id": "101", "mock_exam_id": "501"}

    booking = record_reader.read_booking(
        "1", stored, DEFAULT, created_at=datetime(2026, 11, 1, tzinfo=UTC)
    )

    assert booking.created_at == datetime(2026, 10, 1, 8, tzinfo=UTC)
    assert (booking.contact_id, booking.mock_exam_id) == ("101", "501")


def test_a_contact_has_every_credit_of_the_portal() -> None:
    stored = {"email": "Ada@Example.org", "student_id": " S1001 ", "sj_credits": "3"}

    contact = record_reader.read_contact("7", stored, PREPDOCTORS)

    assert (contact.email, contact.student_id, contact.firstname) == (
        "ada@example.org",
        "S1001",
        "",
    )
    assert contact.credits == {
        "sj_credits": 3,
        "cs_credits": 0,
        "sjmini_credits": 0,
        "shared_mock_credits": 0,
    }


def test_an_enrollment_is_in_our_names() -> None:
    stored = {"enrollment_id": "ENR-9", "enrollment_status": "registered", "course_id": None}

    enrollment = record_reader.read_enrollment("9", stored, PREPDOCTORS)

    assert (enrollment.enrollment_id, enrollment.course_id) == ("ENR-9", "")
    assert enrollment.is_registered
    assert enrollment.contact_record_id is None


@pytest.mark.parametrize("profile", [DEFAULT, PREPDOCTORS], ids=lambda profile: profile.name)
@pytest.mark.parametrize("word", ["false", "False", " FALSE ", "0", "no"])
def test_a_booking_that_says_no_is_cancelled_in_every_portal(
    profile: PortalProfile, word: str
) -> None:
    stored = {profile.booking_properties["is_active"]: word}

    assert record_reader.read_booking("9", stored, profile).state == "cancelled"


@pytest.mark.parametrize("word", ["true", "1", "", None, "2", "Falsch"])
def test_a_booking_that_says_nothing_known_takes_its_seat(word: str | None) -> None:
    stored = {PREPDOCTORS.booking_properties["is_active"]: word}

    assert record_reader.read_booking("9", stored, PREPDOCTORS).state == "active"


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ({"active": ("0",), "cancelled": ("1",)}, "active"),
        ({"active": ("Active",), "cancelled": ("Cancelled",), "completed": ("0",)}, "completed"),
    ],
)
def test_the_portals_own_words_come_first(
    states: dict[BookingState, tuple[str, ...]], expected: str
) -> None:
    profile = dataclasses.replace(PREPDOCTORS, booking_states=states)
    stored = {profile.booking_properties["is_active"]: "0"}

    assert record_reader.read_booking("9", stored, profile).state == expected


@pytest.mark.parametrize(
    ("start", "end", "ends_at"),
    [
        ("23:30", "01:30", datetime(2026, 12, 2, 1, 30, tzinfo=UTC)),
        ("23:30", "00:00", datetime(2026, 12, 2, tzinfo=UTC)),
        ("11:30 pm", "11:30 PM", datetime(2026, 12, 2, 23, 30, tzinfo=UTC)),
        ("", "00:00", datetime(2026, 12, 2, tzinfo=UTC)),
        ("2026-12-01T23:30:00Z", "01:30", datetime(2026, 12, 2, 1, 30, tzinfo=UTC)),
        ("09:00", "13:00", datetime(2026, 12, 1, 13, tzinfo=UTC)),
        ("13:00", "2026-12-01T09:00:00Z", datetime(2026, 12, 1, 9, tzinfo=UTC)),
        (*("2026-12-01T13:00:00Z", "2026-12-01T09:00:00Z"), datetime(2026, 12, 1, 9, tzinfo=UTC)),
    ],
)
def test_a_clock_time_that_is_not_after_the_start_is_the_next_days(
    start: str, end: str, ends_at: datetime
) -> None:
    stored = {"exam_date": "2026-12-01", "start_time": start, "end_time": end}

    assert record_reader.read_exam("1", stored, DEFAULT).ends_at == ends_at


def test_what_is_unreadable_is_named_and_stands_in_no_field() -> None:
    exam = record_reader.read_exam(
        "1",
        {"capacity": "1e30", "total_bookings": "1,000", "exam_date": "soon", "end_time": "25:00"},
        DEFAULT,
    )
    contact = record_reader.read_contact("1", {"credits_osce": "call me"}, DEFAULT)
    booking = record_reader.read_booking(
        "1", {"dominant_hand": "both", "contact_id": "Ada", "created_at": "today"}, DEFAULT
    )

    assert set(exam.unreadable) == {"capacity", "total_bookings", "exam_date", "end_time"}
    assert (exam.capacity, exam.stored_total, exam.total_bookings) == (0, None, 0)
    assert (exam.exam_date, exam.starts_at, exam.ends_at) == (None, None, None)
    assert contact.unreadable == ("credits_osce",)
    assert (contact.credits["credits_osce"], contact.credits["credits_written"]) == (None, 0)
    assert set(booking.unreadable) == {"dominant_hand", "contact_id", "created_at"}
    assert (booking.dominant_hand, booking.contact_id, booking.created_at) == (None, None, None)


def test_what_was_never_set_is_not_unreadable() -> None:
    for read in (record_reader.read_exam, record_reader.read_contact):
        assert read("1", {}, PREPDOCTORS).unreadable == ()
    assert record_reader.read_booking("1", {}, PREPDOCTORS).unreadable == ()


def test_a_count_below_zero_is_shown_as_none_and_known_as_it_is() -> None:
    exam = record_reader.read_exam("1", {"total_bookings": "-5"}, DEFAULT)

    assert (exam.total_bookings, exam.stored_total, exam.unreadable) == (0, -5, ())
