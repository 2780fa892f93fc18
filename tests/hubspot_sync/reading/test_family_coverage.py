"""Which families the subscriptions cover: all that they are built of, or not at all."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hubspot_sync.portal.journal_coverage import required_subscriptions
from hubspot_sync.portal.profile import PortalProfile, load_profile, shipped_profiles
from hubspot_sync.reading.family_coverage import PARTS_OF_FAMILIES, covered_families
from hubspot_sync.wire.journal.subscriptions import Subscription, parse_subscription

PROVABLE = frozenset(name for name, parts in PARTS_OF_FAMILIES.items() if parts is not None)


@pytest.fixture(params=shipped_profiles())
def profile(request: pytest.FixtureRequest) -> PortalProfile:
    return load_profile(request.param)


def listed(profile: PortalProfile) -> list[Subscription]:
    """The subscriptions as they are listed after they were made."""
    return [
        replace(each, id=str(number)) for number, each in enumerate(required_subscriptions(profile))
    ]


def test_all_that_can_be_is_covered_by_what_is_made(profile: PortalProfile) -> None:
    assert covered_families(listed(profile), profile, hears_of_all=True) == PROVABLE


def test_nothing_is_covered_while_nobody_knows_whom_they_hear_of(profile: PortalProfile) -> None:
    assert covered_families(listed(profile), profile, hears_of_all=False) == frozenset()


def test_what_is_known_of_one_type_covers_that_alone(profile: PortalProfile) -> None:
    covered = covered_families(
        listed(profile), profile, hears_of_all={profile.object_types.mock_exams}
    )

    assert covered == {"exams", "exams-of-type"}


LESS = {
    "a filter": lambda each: replace(each, narrowed=True),
    "some objects": lambda each: replace(each, object_ids=frozenset({"1"})),
    "no restorations": lambda each: replace(each, actions=each.actions - {"RESTORE"}),
    "a property less": lambda each: replace(
        each, properties=frozenset(sorted(each.properties)[1:])
    ),
    "no properties": lambda each: replace(each, properties=frozenset()),
    "another type": lambda each: replace(each, object_type="0-3"),
}


@pytest.mark.parametrize("less", LESS)
def test_bookings_that_are_told_of_in_part_are_not_covered(
    profile: PortalProfile, less: str
) -> None:
    bookings = profile.object_types.bookings
    there = [
        LESS[less](each) if (each.kind, each.object_type) == ("OBJECT", bookings) else each
        for each in listed(profile)
    ]

    covered = covered_families(there, profile, hears_of_all=True)

    assert covered == {
        *("contacts", "credits", "type-credits", "exams", "exams-of-type", "contact-enrollments")
    }


@pytest.mark.parametrize(
    ("kind", "lost"),
    [
        (
            "GDPR_PRIVACY_DELETION",
            {
                *("contacts", "credits", "type-credits", "contact-bookings", "booking-contact"),
                *("contact-enrollments", "booking-pages"),
            },
        ),
    ],
)
def test_without_privacy_deletions_nothing_of_a_contact_is_covered(
    profile: PortalProfile, kind: str, lost: set[str]
) -> None:
    there = [each for each in listed(profile) if each.kind != kind]

    assert covered_families(there, profile, hears_of_all=True) == PROVABLE - lost


def test_two_subscriptions_together_cover_what_neither_does(profile: PortalProfile) -> None:
    there = []
    for each in listed(profile):
        actions = sorted(each.actions)
        there.append(replace(each, actions=frozenset(actions[:1])))
        there.append(replace(each, actions=frozenset(actions[1:])))

    assert covered_families(there, profile, hears_of_all=True) == PROVABLE


@pytest.mark.parametrize(
    "raw",
    [
        None,
        5,
        [],
        {},
        {"subscriptionType": "OBJECT"},
        {"subscriptionType": "OBJECT", "objectTypeId": 5},
        {"subscriptionType": "OBJECT", "objectTypeId": "0-1", "portalId": 1},
        {"subscriptionType": "OBJECT", "objectTypeId": "0-1", "deletedAt": "2026-01-01T00:00Z"},
    ],
)
def test_what_is_no_subscription_of_this_portal_is_passed_over(raw: object) -> None:
    assert parse_subscription(raw, "62515") is None


def test_what_a_listed_one_does_not_say_is_taken_for_nothing() -> None:
    raw = {
        "subscriptionType": "OBJECT",
        "objectTypeId": "0-1",
        "portalId": 62515,
        "id": 7,
        "actions": None,
        "properties": "email",
        "objectIds": [1, "2"],
        "actionOverrides": {"UPDATE": {}},
    }

    assert parse_subscription(raw, "62515") == Subscription(
        kind="OBJECT",
        object_type="0-1",
        actions=frozenset(),
        object_ids=frozenset({"1", "2"}),
        id="7",
        narrowed=True,
    )


@pytest.mark.parametrize(
    ("objects", "narrowed"),
    [
        (None, False),
        ([], False),
        ([1, "2"], False),
        ("5", True),
        ({"ids": [5]}, True),
        ([None], True),
        ([{"id": 5}], True),
        ([5, True], True),
        (7, True),
    ],
)
def test_a_list_of_objects_that_says_nothing_clear_may_be_of_some(
    objects: object, *, narrowed: bool
) -> None:
    raw = {"subscriptionType": "OBJECT", "objectTypeId": "0-1", "objectIds": objects}

    found = parse_subscription(raw, "62515")

    assert found is not None
    assert found.narrowed is narrowed
