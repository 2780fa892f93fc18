"""Answers from the cache: free, right at the next read after an invalidation, nobody else's.

Invalidations are those a webhook will send: the tags of what was edited, nothing more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from pytest_django import Settings

from booking_api import composition
from cache_layer import CacheConfig, Cause
from hubspot_sync.reading.tags import (
    booking_tag,
    contact_bookings_tag,
    contact_tag,
    exam_bookings_tag,
    exam_tag,
    exams_of_type_tag,
    tags_of_exam,
    tags_of_student,
    tags_with_links,
)
from tests.api import Api, Reply, connected
from tests.builders import Booking, Exam, Portal, Student

pytestmark = pytest.mark.django_db

LIST = "/api/bookings/list"
AVAILABLE = "/api/mock-exams/available"
CREDITS = "/api/mock-exams/validate-credits"
CONTACTS, BOOKINGS, EXAMS = "0-1", "2-50158943", "2-50158913"


@dataclass(frozen=True, slots=True)
class Scene:
    """Alice with a booking, charlie without, and every answer that shows them."""

    api: Api
    portal: Portal
    alice: Student
    charlie: Student
    exam: Exam
    booking: Booking

    def answers(self) -> dict[str, Any]:
        """Ask everything there is to ask about Alice and her exam."""
        pair = self.alice.pair
        asked = {
            "list": self.api.get(LIST, **pair),
            "page": self.api.get(LIST, filter="upcoming", limit=3, **pair),
            "detail": self.api.get(f"/api/bookings/{self.booking.id}", **pair),
            "available": self.api.get(AVAILABLE, mock_type="clinical"),
            "realtime": self.api.get(AVAILABLE, mock_type="clinical", realtime="true"),
            "credits": self.api.post(CREDITS, mock_type="clinical", **pair),
            "of charlie": self.api.get(LIST, **self.charlie.pair),
        }
        return {name: (reply.status, reply.body.get("data")) for name, reply in asked.items()}

    def drop(self, *tags: str) -> None:
        composition.services().cached.cache.invalidator.invalidate_tags(tags, cause=Cause.WEBHOOK)


@pytest.fixture
def scene(api: Api, portal: Portal) -> Scene:
    alice, charlie = portal.student("alice"), portal.student("charlie")
    exam = portal.exam(in_days=3, total_bookings=1)
    portal.exam(in_days=5)
    return Scene(api, portal, alice, charlie, exam, portal.booking(alice, exam))


def test_warm_answers_ask_hubspot_nothing(scene: Scene) -> None:
    cold = scene.answers()
    scene.portal.sandbox.clear_calls()

    warm = scene.answers()

    assert scene.portal.sandbox.calls_count() == 0
    assert warm == cold


def test_server_timing_says_hit(scene: Scene) -> None:
    scene.answers()

    reply = scene.api.get(LIST, **scene.alice.pair)

    assert 'cache;desc="hit"' in reply.headers["Server-Timing"]
    assert 'hubspot;desc="0 calls"' in reply.headers["Server-Timing"]


Change = Callable[[Scene], set[str]]


def contact_changed(**properties: str) -> Change:
    def change(scene: Scene) -> set[str]:
        scene.portal.sandbox.edit(CONTACTS, scene.alice.id, **properties)
        return {contact_tag(scene.alice.id)}

    return change


def booking_changed(**properties: str) -> Change:
    def change(scene: Scene) -> set[str]:
        scene.portal.sandbox.edit(BOOKINGS, scene.booking.id, **properties)
        return {booking_tag(scene.booking.id)}

    return change


def exam_changed(**properties: str) -> Change:
    def change(scene: Scene) -> set[str]:
        scene.portal.sandbox.edit(EXAMS, scene.exam.id, **properties)
        return {exam_tag(scene.exam.id)}

    return change


def booking_archived(scene: Scene) -> set[str]:
    scene.portal.archive(scene.booking)
    return {*tags_with_links(booking_tag(scene.booking.id))}


def exam_archived(scene: Scene) -> set[str]:
    scene.portal.archive(scene.exam)
    return {*tags_with_links(exam_tag(scene.exam.id))}


def exam_made(scene: Scene) -> set[str]:
    made = scene.portal.exam(in_days=4)
    return {exam_tag(made.id), exams_of_type_tag("clinical")}


def booked_again(scene: Scene) -> set[str]:
    made = scene.portal.booking(scene.alice, scene.exam)
    return {
        *tags_with_links(booking_tag(made.id)),
        contact_bookings_tag(scene.alice.id),
        exam_bookings_tag(scene.exam.id),
    }


def given_to_charlie(scene: Scene) -> set[str]:
    """The booking changes hands: both collections change, and whom the booking names."""
    sandbox, booking_id = scene.portal.sandbox, scene.booking.id
    names = {"contact_id": scene.charlie.id, "student_id": scene.charlie.student_id}
    sandbox.edit(BOOKINGS, booking_id, **names)
    sandbox.dissociate(BOOKINGS, booking_id, CONTACTS, scene.alice.id)
    sandbox.associate(BOOKINGS, booking_id, CONTACTS, scene.charlie.id)
    owners = (scene.alice.id, scene.charlie.id)
    return {*tags_with_links(booking_tag(booking_id)), *map(contact_bookings_tag, owners)}


def exam_unlinked(scene: Scene) -> set[str]:
    scene.portal.sandbox.dissociate(BOOKINGS, scene.booking.id, EXAMS, scene.exam.id)
    tags = tags_with_links(booking_tag(scene.booking.id))
    return {*tags, exam_bookings_tag(scene.exam.id)}


CHANGES: dict[str, tuple[Change, set[str]]] = {
    "name": (contact_changed(firstname="Alicia"), {"detail", "credits"}),
    "credits": (contact_changed(credits_clinical="1"), {"list", "page", "credits"}),
    "student id": (contact_changed(student_id="S7"), {"list", "page", "detail", "credits"}),
    "e-mail": (contact_changed(email="new@example.org"), {"list", "page", "detail", "credits"}),
    "cancelled": (booking_changed(is_active="false"), {"list", "page", "detail", "realtime"}),
    "name on it": (booking_changed(name="A. Moreau"), {"list", "page", "detail"}),
    "archived": (booking_archived, {"list", "page", "detail", "realtime"}),
    "capacity": (exam_changed(capacity="7"), {"list", "page", "detail", "available", "realtime"}),
    "date": (
        exam_changed(exam_date="2031-01-02"),
        {"list", "page", "detail", "available", "realtime"},
    ),
    "inactive": (
        exam_changed(is_active="false"),
        {"list", "page", "detail", "available", "realtime"},
    ),
    "exam gone": (exam_archived, {"list", "page", "detail", "available", "realtime"}),
    "exam made": (exam_made, {"available", "realtime"}),
    "booked again": (booked_again, {"list", "page", "realtime"}),
    "given away": (given_to_charlie, {"list", "page", "detail", "of charlie"}),
    "unlinked": (exam_unlinked, {"list", "page", "detail", "realtime"}),
}


@pytest.mark.sampled(2)
@pytest.mark.parametrize("name", CHANGES)
def test_an_edit_shows_at_the_next_read_once_its_tags_are_dropped(name: str, scene: Scene) -> None:
    change, shows_in = CHANGES[name]
    before = scene.answers()

    tags = change(scene)
    held = scene.answers()
    scene.drop(*tags)
    after = scene.answers()

    assert held == before, "nothing was dropped yet"
    assert {answer for answer in before if before[answer] != after[answer]} == shows_in
    composition.services().cached.cache.invalidator.invalidate_everything(cause=Cause.FORCED)
    assert scene.answers() == after


@pytest.mark.parametrize("name", ["credits", "name on it", "capacity"])
def test_an_edit_of_properties_costs_one_call_for_they_are_no_part_of_links(
    name: str, scene: Scene
) -> None:
    change, _ = CHANGES[name]
    scene.answers()
    scene.drop(*change(scene))
    scene.portal.sandbox.clear_calls()

    scene.answers()

    assert scene.portal.sandbox.calls_count() == 1


def test_one_search_brings_the_lists_of_all_types(scene: Scene) -> None:
    osce = scene.portal.exam(in_days=4, mock_type="osce")
    scene.portal.sandbox.clear_calls()

    scene.api.get(AVAILABLE, mock_type="clinical")
    listed = scene.api.get(AVAILABLE, mock_type="osce").data

    assert [exam["mock_exam_id"] for exam in listed] == [osce.id]
    assert scene.portal.sandbox.calls_count("objects.search") == 1


def test_the_tags_of_a_student_and_of_an_exam_drop_all_that_shows_them(scene: Scene) -> None:
    scene.answers()
    booked_again(scene)
    contact_changed(firstname="Alicia", credits_clinical="2")(scene)
    scene.drop(*tags_of_student(scene.alice.id))
    exam_changed(capacity="9")(scene)
    exam_made(scene)
    scene.drop(*tags_of_exam(scene.exam.id, scene.portal.profile))

    at_once = scene.answers()

    composition.services().cached.cache.invalidator.invalidate_everything(cause=Cause.FORCED)
    assert scene.answers() == at_once


@pytest.mark.parametrize("subject", ["student", "exam"])
def test_removing_a_student_or_an_exam_by_hand_renews_its_bookings_too(
    subject: str, scene: Scene
) -> None:
    scene.answers()
    booking_changed(name="A. Moreau", is_active="false")(scene)
    record_id = scene.alice.id if subject == "student" else scene.exam.id
    tags_of = composition.cache_host().subjects[subject]

    scene.drop(*tags_of(record_id))
    at_once = scene.answers()

    composition.services().cached.cache.invalidator.invalidate_everything(cause=Cause.FORCED)
    assert scene.answers() == at_once


def ask_as(scene: Scene, student_id: str, email: str) -> list[Reply]:
    pair = {"student_id": student_id, "email": email}
    return [
        scene.api.get(LIST, **pair),
        scene.api.get(f"/api/bookings/{scene.booking.id}", **pair),
        scene.api.post(CREDITS, mock_type="clinical", **pair),
    ]


def codes(replies: list[Reply]) -> list[str]:
    return [reply.code if reply.status >= 400 else "let in" for reply in replies]


def test_a_cached_contact_lets_in_no_student_id_that_does_not_match_it(scene: Scene) -> None:
    email, student_id = scene.alice.email, scene.alice.student_id
    assert codes(ask_as(scene, student_id, email)) == ["let in"] * 3

    for wrong in ("S9999", student_id + "0", student_id[:-1]):
        refused = codes(ask_as(scene, wrong, email))
        assert refused == ["AUTH_FAILED", "AUTH_FAILED", "STUDENT_NOT_FOUND"]
    theirs = codes(ask_as(scene, scene.charlie.student_id, email))
    assert theirs == ["AUTH_FAILED", "AUTH_FAILED", "EMAIL_MISMATCH"]


def test_a_student_id_that_changed_lets_in_the_new_one_alone(scene: Scene) -> None:
    ask_as(scene, scene.alice.student_id, scene.alice.email)
    scene.portal.sandbox.edit(CONTACTS, scene.alice.id, student_id="S7777")
    scene.drop(contact_tag(scene.alice.id))

    assert codes(ask_as(scene, "S7777", scene.alice.email)) == ["let in"] * 3
    assert "let in" not in codes(ask_as(scene, scene.alice.student_id, scene.alice.email))


def test_no_two_pages_share_an_entry(api: Api, portal: Portal) -> None:
    alice = portal.student("alice")
    with portal.at_once():
        exams = [portal.exam(in_days=day) for day in (-9, -4, 2, 6, 9, 12, 20)]
    portal.bookings(alice, exams)
    portal.booking(alice, exams[3], state="cancelled")
    cursor = api.get(LIST, limit=2, **alice.pair).data["pagination"]["next"]
    pages: list[dict[str, object]] = [
        {"filter": wanted, **where, **limit}
        for wanted in ("all", "upcoming", "past", "cancelled")
        for where in ({}, {"page": 2}, {"page": 20})
        for limit in ({}, {"limit": 1}, {"limit": 2}, {"limit": 20}, {"limit": 100})
    ]
    pages += [{"after": cursor, **limit} for limit in ({}, {"limit": 1}, {"limit": 2})]
    shown = {str(page): api.get(LIST, **alice.pair, **page).data for page in pages}

    portal.sandbox.clear_calls()
    warm = {str(page): api.get(LIST, **alice.pair, **page).data for page in pages}
    assert portal.sandbox.calls_count() == 0
    for page in pages:
        limit = page.get("limit", 20)
        assert warm[str(page)] == shown[str(page)]
        assert warm[str(page)]["pagination"]["limit"] == limit
        assert len(warm[str(page)]["bookings"]) <= int(str(limit))


def test_the_rollout_never_flips_for_one_student(settings: Settings, portal: Portal) -> None:
    students = [portal.student(f"user{number}") for number in range(24)]
    with connected(settings, portal.sandbox, cache=CacheConfig(rollout_percentage=50)) as api:
        api.get(LIST, **students[0].pair)
        outcomes = [
            {
                said_of(api.get(LIST, **student.pair)),
                said_of(api.get(LIST, filter="past", **student.pair)),
                said_of(api.get(LIST, **{**student.pair, "email": student.email.upper()})),
            }
            for student in students
        ]

    assert set(map(frozenset, outcomes)) == {frozenset({"bypass"}), frozenset({"miss", "hit"})}


def said_of(reply: Reply) -> str:
    return reply.headers["Server-Timing"].rpartition('desc="')[2].rstrip('"')
