"""What the change journal has to tell for a profile, and what it does tell by the subscriptions
there are.

One subscription for each kind and object type, since nobody says which two HubSpot takes for the
same: of associations, all that start from one type are in one. An association is subscribed to in
one direction; its event names both ends.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from enum import StrEnum
from typing import Final

from hubspot_sync.portal.profile import PortalProfile
from hubspot_sync.portal.record_reader import (
    booking_property_names,
    contact_property_names,
    enrollment_property_names,
    exam_property_names,
)
from hubspot_sync.wire.journal.subscriptions import Subscription, SubscriptionKind

OBJECT_ACTIONS: Final = frozenset({"CREATE", "UPDATE", "DELETE", "MERGE", "RESTORE"})
LINK_ACTIONS: Final = frozenset({"ASSOCIATION_ADDED", "ASSOCIATION_REMOVED"})
PRIVACY_ACTIONS: Final = frozenset({"GDPR_DELETE"})
WITH_VALUES: Final = frozenset({"CREATE", "UPDATE"})


class JournalPart(StrEnum):
    """A part of the portal whose changes the journal can tell."""

    CONTACTS = "contacts"
    BOOKINGS = "bookings"
    EXAMS = "mock_exams"
    ENROLLMENTS = "enrollments"
    CONTACT_BOOKINGS = "contacts->bookings"
    EXAM_BOOKINGS = "mock_exams->bookings"
    CONTACT_ENROLLMENTS = "contacts->enrollments"
    PRIVACY = "privacy deletion"


def required_parts(profile: PortalProfile) -> Mapping[JournalPart, Subscription]:
    """Return what each part of the profile needs of the subscriptions."""
    types = profile.object_types
    parts = {
        JournalPart.CONTACTS: _of_object(types.contacts, contact_property_names(profile)),
        JournalPart.BOOKINGS: _of_object(types.bookings, booking_property_names(profile)),
        JournalPart.EXAMS: _of_object(types.mock_exams, exam_property_names(profile)),
        JournalPart.CONTACT_BOOKINGS: _of_links(types.contacts, types.bookings),
        JournalPart.EXAM_BOOKINGS: _of_links(types.mock_exams, types.bookings),
        JournalPart.PRIVACY: Subscription(
            kind=SubscriptionKind.PRIVACY_DELETION,
            object_type=types.contacts,
            actions=PRIVACY_ACTIONS,
        ),
    }
    if types.enrollments is not None:
        names = enrollment_property_names(profile)
        parts[JournalPart.ENROLLMENTS] = _of_object(types.enrollments, names)
        parts[JournalPart.CONTACT_ENROLLMENTS] = _of_links(types.contacts, types.enrollments)
    return parts


def required_subscriptions(profile: PortalProfile) -> tuple[Subscription, ...]:
    """Return the subscriptions to make: all parts, one for each kind and object type."""
    joined: dict[tuple[str, str], Subscription] = {}
    for part in required_parts(profile).values():
        key = part.kind, part.object_type
        known = joined.get(key, part)
        joined[key] = Subscription(
            kind=part.kind,
            object_type=part.object_type,
            actions=known.actions | part.actions,
            properties=known.properties | part.properties,
            to_types=known.to_types | part.to_types,
        )
    return tuple(joined.values())


def covered_parts(
    subscriptions: Collection[Subscription],
    profile: PortalProfile,
    *,
    hears_of_all: bool | Collection[str],
) -> frozenset[JournalPart]:
    """Return the parts of which the subscriptions tell everything.

    `hears_of_all` says whether a subscription that names no objects hears of all: of every type, or
    of the object types named. No document promises it, so where nobody has seen it, it is not so;
    a list of objects never has the one that is made next.
    """
    return frozenset(
        part
        for part, wanted in required_parts(profile).items()
        if is_covered(wanted, subscriptions, hears_of_all=hears_of_all)
    )


def is_covered(
    wanted: Subscription,
    subscriptions: Iterable[Subscription],
    *,
    hears_of_all: bool | Collection[str],
) -> bool:
    """Return whether some subscriptions together tell all that one wanted would."""
    telling = [
        each
        for each in subscriptions
        if (each.kind, each.object_type) == (wanted.kind, wanted.object_type)
        if not each.narrowed and _hears_of_all(each, hears_of_all)
    ]
    return all(_tells(action, wanted, telling) for action in wanted.actions)


def _hears_of_all(subscription: Subscription, hears_of_all: bool | Collection[str]) -> bool:
    if subscription.kind == SubscriptionKind.PRIVACY_DELETION:
        return True
    if subscription.object_ids:
        return False
    if isinstance(hears_of_all, bool):
        return hears_of_all
    return subscription.object_type in hears_of_all


def _tells(action: str, wanted: Subscription, telling: Iterable[Subscription]) -> bool:
    """Whether an action is told with all its properties and other ends."""
    heard = [each for each in telling if action in each.actions]
    properties = frozenset[str]().union(*(each.properties for each in heard))
    to_types = frozenset[str]().union(*(each.to_types for each in heard))
    if action in WITH_VALUES and not wanted.properties <= properties:
        return False
    return len(heard) > 0 and wanted.to_types <= to_types


def _of_object(object_type: str, properties: Iterable[str]) -> Subscription:
    return Subscription(
        kind=SubscriptionKind.OBJECT,
        object_type=object_type,
        actions=OBJECT_ACTIONS,
        properties=frozenset(properties),
    )


def _of_links(from_type: str, to_type: str) -> Subscription:
    return Subscription(
        kind=SubscriptionKind.ASSOCIATION,
        object_type=from_type,
        actions=LINK_ACTIONS,
        to_types=frozenset({to_type}),
    )
