"""The two portals the sandbox can be: their object types, properties and association types.

The sandbox imports nothing of the application, so it has its own small tables; where they and a
portal profile disagree, the application's own check of a live portal has to say so. Type ids of
associations differ from portal to portal and per direction on purpose, as HubSpot's do.
"""

from __future__ import annotations

from dataclasses import dataclass

from hubspot_sync.sandbox.data.schemas import CONTACTS, NOTES, Label, ObjectType, Property

BOOKINGS = "2-50158943"
MOCK_EXAMS = "2-50158913"
ENROLLMENTS = "2-41701559"

LOCATIONS = ("Mississauga", "Calgary", "Vancouver", "Montreal", "Richmond Hill")


@dataclass(frozen=True, kw_only=True, slots=True)
class MockType:
    """A kind of exam as the demo data needs it: its value, its credit, what pays for it."""

    value: str
    credit: str
    paid_by: str
    asks_for_hand: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Portal:
    """Everything about a portal but its records.

    `labels` gives each kind of association once: the two types, the kind seen from the first and
    seen from the second. `copies_on_bookings`: bookings name their contact and exam beside being
    associated with them; `clock_times`: exams store "09:00" and not instants.
    """

    name: str
    time_zone: str
    object_types: tuple[ObjectType, ...]
    labels: tuple[tuple[str, str, Label, Label], ...]
    mock_types: tuple[MockType, ...]
    active: str
    cancelled: str
    completed: str
    copies_on_bookings: bool
    clock_times: bool
    shared_credit: str | None = None


def _property(
    name: str, kind: str, *, unique: bool = False, options: tuple[str, ...] = ()
) -> Property:
    return Property(
        name=name,
        label=name.replace("_", " ").capitalize(),
        type=kind,
        unique=unique,
        options=("true", "false") if kind == "bool" else options,
    )


def _properties(kind: str, *names: str) -> tuple[Property, ...]:
    return tuple(_property(name, kind) for name in names)


def _object_type(
    type_id: str, name: str, singular: str, plural: str, *properties: Property
) -> ObjectType:
    return ObjectType(
        type_id=type_id,
        name=name,
        singular=singular,
        plural=plural,
        custom=type_id.startswith("2-"),
        properties={each.name: each for each in properties},
    )


def _contacts(*balances: str) -> ObjectType:
    return _object_type(
        *(CONTACTS, "contacts", "Contact", "Contacts"),
        _property("email", "string", unique=True),
        *_properties("string", "firstname", "lastname", "student_id", "credit_write_marker"),
        *_properties("number", *balances),
    )


def _bookings(*properties: Property) -> ObjectType:
    return _object_type(
        *(BOOKINGS, "bookings", "Booking", "Bookings"),
        *_properties("string", "booking_id", "name", "email", "student_id", "token_used"),
        *_properties("datetime", "created_at"),
        *_properties("bool", "dominant_hand"),
        _property("idempotency_key", "string", unique=True),
        _property("seat_key", "string", unique=True),
        *properties,
    )


def _mock_exams(mock_types: tuple[MockType, ...], times: str) -> ObjectType:
    values = tuple(mock_type.value for mock_type in mock_types)
    return _object_type(
        *(MOCK_EXAMS, "mock_exams", "Mock exam", "Mock exams"),
        _property("mock_type", "enumeration", options=values),
        *_properties("date", "exam_date"),
        *_properties(times, "start_time", "end_time"),
        *_properties("number", "capacity", "total_bookings"),
        *_properties("string", "location"),
        *_properties("bool", "is_active"),
    )


def _plain(one: str, other: str, there: int, back: int) -> tuple[str, str, Label, Label]:
    return one, other, Label(type_id=there), Label(type_id=back)


NOTES_TYPE = _object_type(
    *(NOTES, "notes", "Note", "Notes"),
    *_properties("string", "hs_note_body", "hubspot_owner_id"),
    *_properties("datetime", "hs_timestamp"),
)
ENROLLMENTS_TYPE = _object_type(
    *(ENROLLMENTS, "enrollments", "Enrollment", "Enrollments"),
    *_properties("string", "enrollment_id", "course_id", "enrollment_status"),
    *_properties("string", "contact_record_id"),
)
NOTE_TO_CONTACT = (
    *(NOTES, CONTACTS),
    Label(type_id=202, category="HUBSPOT_DEFINED"),
    Label(type_id=201, category="HUBSPOT_DEFINED"),
)

DEFAULT_MOCK_TYPES = (
    MockType(value="clinical", credit="credits_clinical", paid_by="Clinical Token"),
    MockType(value="osce", credit="credits_osce", paid_by="OSCE Token"),
    MockType(value="written", credit="credits_written", paid_by="Written Token"),
)
DEFAULT = Portal(
    name="default",
    time_zone="Europe/London",
    object_types=(
        _contacts("credits_clinical", "credits_osce", "credits_written"),
        NOTES_TYPE,
        _bookings(
            *_properties("bool", "is_active"),
            *_properties("date", "booking_date"),
            *_properties("string", "contact_id", "mock_exam_id", "booking_status"),
            *_properties("string", "attending_location"),
        ),
        _mock_exams(DEFAULT_MOCK_TYPES, "string"),
    ),
    labels=(
        NOTE_TO_CONTACT,
        _plain(BOOKINGS, CONTACTS, 15, 16),
        _plain(BOOKINGS, MOCK_EXAMS, 17, 18),
    ),
    mock_types=DEFAULT_MOCK_TYPES,
    active="true",
    cancelled="false",
    completed="true",
    copies_on_bookings=True,
    clock_times=True,
)

PREPDOCTORS_MOCK_TYPES = (
    MockType(
        value="Situational Judgment", credit="sj_credits", paid_by="Situational Judgment Token"
    ),
    MockType(
        value="Clinical Skills",
        credit="cs_credits",
        paid_by="Clinical Skills Token",
        asks_for_hand=True,
    ),
    MockType(value="Mini-mock", credit="sjmini_credits", paid_by="Mini-mock Token"),
)
PREPDOCTORS = Portal(
    name="prepdoctors",
    time_zone="America/Toronto",
    object_types=(
        _contacts("sj_credits", "cs_credits", "sjmini_credits", "shared_mock_credits"),
        NOTES_TYPE,
        _bookings(
            _property("is_active", "enumeration", options=("Active", "Cancelled", "Completed")),
            _property("attending_location", "enumeration", options=LOCATIONS),
            *_properties("string", "mock_type"),
            *_properties("date", "exam_date"),
        ),
        _mock_exams(PREPDOCTORS_MOCK_TYPES, "datetime"),
        ENROLLMENTS_TYPE,
    ),
    labels=(
        NOTE_TO_CONTACT,
        _plain(BOOKINGS, CONTACTS, 1289, 1290),
        # Beside the plain kind: whoever takes just any row of the labels is found out.
        (
            *(BOOKINGS, CONTACTS),
            Label(type_id=1301, label="Sponsor"),
            Label(type_id=1302, label="Sponsor"),
        ),
        _plain(BOOKINGS, MOCK_EXAMS, 1291, 1292),
    ),
    mock_types=PREPDOCTORS_MOCK_TYPES,
    active="Active",
    cancelled="Cancelled",
    completed="Completed",
    copies_on_bookings=False,
    clock_times=False,
    shared_credit="shared_mock_credits",
)

PORTALS = {portal.name: portal for portal in (DEFAULT, PREPDOCTORS)}
