"""What a fresh sandbox holds: the empty portals, the demo's cast and rules, a file."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hubspot_sync.sandbox.clock import Clock
from hubspot_sync.sandbox.data.portals import BOOKINGS, ENROLLMENTS, MOCK_EXAMS, PORTALS
from hubspot_sync.sandbox.data.records import Record
from hubspot_sync.sandbox.data.schemas import CONTACTS, NOTES
from hubspot_sync.sandbox.data.seeds import BadSeed, seed
from hubspot_sync.sandbox.data.store import Store

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
BOTH = pytest.mark.parametrize("portal", sorted(PORTALS))


def demo(portal: str = "default", bookings: int | None = 400) -> Store:
    store = Store(Clock())
    seed(store, portal=portal, name="demo", bookings=bookings, now=NOW)
    return store


def linked(store: Store, from_type: str, from_id: str, to_type: str) -> list[Record]:
    ids = store.links_of(from_type, from_id, to_type)
    found = (store.get(to_type, each) for each in ids)
    return [record for record in found if record is not None]


def is_active(booking: Record) -> bool:
    return booking.properties["is_active"] in {"true", "Active", "Completed"}


def exams_of(store: Store, booking: Record) -> list[Record]:
    return linked(store, BOOKINGS, booking.id, MOCK_EXAMS)


@BOTH
def test_an_empty_portal_has_its_types_properties_and_labels_but_no_records(portal: str) -> None:
    store = Store(Clock())
    seed(store, portal=portal, name="empty", bookings=None, now=NOW)

    assert {each.type_id for each in store.types()} >= {CONTACTS, NOTES, BOOKINGS, MOCK_EXAMS}
    assert all(store.records(each.type_id) == [] for each in store.types())
    bookings = store.type_named(BOOKINGS)
    assert bookings is not None
    unique = {name for name, each in bookings.properties.items() if each.unique}
    assert unique == {"idempotency_key", "seat_key"}
    assert [label.type_id for label in store.labels(NOTES, CONTACTS)] == [202]


def test_association_type_ids_differ_by_portal_and_direction() -> None:
    ids = [
        label.type_id
        for portal in sorted(PORTALS)
        for pair in ((BOOKINGS, CONTACTS), (CONTACTS, BOOKINGS))
        for label in demo(portal, 0).labels(*pair)
    ]

    assert len(ids) == len(set(ids)) > 3


@BOTH
def test_the_same_seed_gives_the_same_records(portal: str) -> None:
    one, other = demo(portal), demo(portal)

    for object_type in (CONTACTS, BOOKINGS, MOCK_EXAMS):
        mine = {each.id: each.properties.get("email") for each in one.records(object_type)}
        theirs = {each.id: each.properties.get("email") for each in other.records(object_type)}
        assert mine == theirs


@BOTH
def test_the_first_student_has_every_kind_of_booking_and_one_without_its_exam(portal: str) -> None:
    store = demo(portal)
    ada = store.find(CONTACTS, "email", "ada.lovelace@example.org")
    assert ada is not None
    assert ada.properties["student_id"] == "S1001"
    mine = linked(store, CONTACTS, ada.id, BOOKINGS)

    today = NOW.date().isoformat()
    kinds = Counter(
        "cancelled" if not is_active(booking) else "past" if exam_day < today else "upcoming"
        for booking in mine
        for exam in exams_of(store, booking)
        if (exam_day := exam.properties["exam_date"]) is not None
    )
    assert kinds["upcoming"] >= 2
    assert kinds["past"] >= 3
    assert kinds["cancelled"] >= 2
    assert [booking.id for booking in mine if not exams_of(store, booking)] == ["900005"]


@BOTH
def test_the_named_exams_are_what_the_cast_says(portal: str) -> None:
    store = demo(portal)

    def seats(exam_id: str) -> tuple[int, int, int]:
        exam = store.get(MOCK_EXAMS, exam_id)
        assert exam is not None
        taken = sum(map(is_active, linked(store, MOCK_EXAMS, exam_id, BOOKINGS)))
        return (
            taken,
            int(exam.properties["capacity"] or 0),
            int(exam.properties["total_bookings"] or 0),
        )

    assert seats("500001") == (1, 20, 1)
    assert seats("500002") == (4, 4, 4)
    assert seats("500003") == (4, 6, 4)
    assert seats("500004") == (0, 20, 0)
    assert store.get(MOCK_EXAMS, "500005") is None
    assert seats("500007") == (1, 20, 4)


@BOTH
def test_the_students_without_bookings_and_without_credits_are_there(portal: str) -> None:
    store = demo(portal)
    ben = store.find(CONTACTS, "email", "ben.okafor@example.org")
    chiara = store.find(CONTACTS, "email", "chiara.rossi@example.org")
    assert ben is not None
    assert chiara is not None

    credit = PORTALS[portal].mock_types[0].credit
    assert (ben.properties[credit], chiara.properties[credit]) == ("0", "4")
    assert linked(store, CONTACTS, chiara.id, BOOKINGS) == []


@BOTH
def test_no_exam_is_oversold_and_nobody_sits_twice_on_a_day(portal: str) -> None:
    store = demo(portal, 3_000)
    live = [each for each in store.records(BOOKINGS) if is_active(each)]

    sittings = Counter(each.properties["booking_id"] for each in live)
    assert sittings.most_common(1)[0][1] == 1
    for exam in store.records(MOCK_EXAMS):
        taken = sum(map(is_active, linked(store, MOCK_EXAMS, exam.id, BOOKINGS)))
        assert taken <= int(exam.properties["capacity"] or 0)


@BOTH
def test_most_stored_counts_are_right_and_some_are_not(portal: str) -> None:
    store = demo(portal, 3_000)
    exams = [each for each in store.records(MOCK_EXAMS) if not each.archived]

    right = sum(
        int(exam.properties["total_bookings"] or 0)
        == sum(map(is_active, linked(store, MOCK_EXAMS, exam.id, BOOKINGS)))
        for exam in exams
    )
    assert len(exams) * 0.9 < right < len(exams)


def test_only_invented_people_are_in_it() -> None:
    people = demo("prepdoctors").records(CONTACTS)

    assert all((each.properties["email"] or "").endswith("@example.org") for each in people)
    assert len({each.properties["email"] for each in people}) == len(people)


def test_a_portal_with_enrollments_enrolls_every_student_and_the_other_none() -> None:
    store = demo("prepdoctors")

    named = [one.properties["contact_record_id"] for one in store.records(ENROLLMENTS)]
    assert sorted(named) == sorted(one.id for one in store.records(CONTACTS))
    assert demo("default").type_named(ENROLLMENTS) is None


def test_exam_times_are_stored_as_each_portal_stores_them() -> None:
    default = demo("default").get(MOCK_EXAMS, "500001")
    prepdoctors = demo("prepdoctors").get(MOCK_EXAMS, "500001")
    assert default is not None
    assert prepdoctors is not None

    assert default.properties["start_time"] == "09:00"
    # Nine in Toronto on 30 November is 14:00 UTC.
    assert prepdoctors.properties["start_time"] == "2026-11-30T14:00:00.000Z"


@pytest.mark.chaos
@pytest.mark.timeout(30)
def test_fifty_thousand_bookings_are_there_in_seconds() -> None:
    store = demo("default", 50_000)

    assert len(store.records(BOOKINGS)) == 50_000


def test_a_file_gives_its_own_portal_records_associations_and_archived_ones(tmp_path: Path) -> None:
    path = tmp_path / "seed.json"
    content = {
        "portal": "prepdoctors",
        "records": [
            {"type": CONTACTS, "id": "7", "properties": {"email": "amy@example.org"}},
            {"type": BOOKINGS, "id": "8", "properties": {"is_active": "Active"}},
            {"type": BOOKINGS, "id": "9", "properties": {}},
        ],
        "associations": [[CONTACTS, "7", BOOKINGS, "8"]],
        "archived": [[BOOKINGS, "9"]],
    }
    path.write_text(json.dumps(content), encoding="utf-8")
    store = Store(Clock())

    told = seed(store, portal="default", name=str(path), bookings=None, now=NOW)

    assert told == {"portal": "prepdoctors", "records": 3, "associations": 1}
    assert [each.id for each in linked(store, BOOKINGS, "8", CONTACTS)] == ["7"]
    assert store.get(BOOKINGS, "9") is None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "cannot be read"),
        ("[]", 'a list "records"'),
        ('{"records": [{"type": "2-1", "properties": {}}]}', "does not fit"),
        ('{"records": [{"id": "1"}]}', "does not fit"),
        ('{"records": [], "portal": "nowhere"}', "no portal 'nowhere'"),
        (
            json.dumps({"records": [{"type": CONTACTS, "properties": {"email": "a@b"}}] * 2}),
            "does not fit",
        ),
    ],
    ids=["not JSON", "a list", "unknown type", "no type", "unknown portal", "one e-mail twice"],
)
def test_a_bad_file_is_refused_with_a_reason_and_changes_nothing(
    tmp_path: Path, content: str, said: str
) -> None:
    path = tmp_path / "seed.json"
    path.write_text(content, encoding="utf-8")
    store = demo()

    with pytest.raises(BadSeed, match=said):
        seed(store, portal="default", name=str(path), bookings=None, now=NOW)

    assert store.get(CONTACTS, "101001") is not None
