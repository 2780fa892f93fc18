"""Of which cache families the change journal tells everything that they are built of.

A family is covered where every record and link that its entries come from is; an entry built from
others, where all of theirs are. A merge moves links and a deletion ends them, told or not, so links
need their ends covered too.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Final

from hubspot_sync.portal.journal_coverage import JournalPart, covered_parts
from hubspot_sync.portal.profile import PortalProfile
from hubspot_sync.wire.journal.subscriptions import Subscription

_CONTACTS: Final = frozenset({JournalPart.CONTACTS, JournalPart.PRIVACY})
_BOOKINGS: Final = frozenset({JournalPart.BOOKINGS})
_EXAMS: Final = frozenset({JournalPart.EXAMS})
_OF_CONTACTS: Final = _CONTACTS | _BOOKINGS | {JournalPart.CONTACT_BOOKINGS}
_OF_EXAMS: Final = _EXAMS | _BOOKINGS | {JournalPart.EXAM_BOOKINGS}
_ENROLLED: Final = _CONTACTS | {JournalPart.ENROLLMENTS, JournalPart.CONTACT_ENROLLMENTS}

PARTS_OF_FAMILIES: Final[Mapping[str, frozenset[JournalPart] | None]] = MappingProxyType(
    {
        "contacts": _CONTACTS,
        "bookings": _BOOKINGS,
        "exams": _EXAMS,
        "exams-of-type": _EXAMS,
        "contact-bookings": _OF_CONTACTS,
        "booking-contact": _OF_CONTACTS,
        "exam-bookings": _OF_EXAMS,
        "booking-mockexam": _OF_EXAMS,
        "contact-enrollments": _ENROLLED,
        "seats": _OF_EXAMS,
        "credits": _CONTACTS,
        "type-credits": _ENROLLED,
        "booking-pages": _OF_CONTACTS | _OF_EXAMS,
        # Not read from HubSpot: what we made, and what somebody guessed. Their time is their sense.
        "kept-links": None,
        "wrong-pairs": None,
    }
)
"""What each family of `cache_families.py` is built of; None for those that nothing can prove."""


def covered_families(
    subscriptions: Collection[Subscription],
    profile: PortalProfile,
    *,
    hears_of_all: bool | Collection[str],
) -> frozenset[str]:
    """Return the names of the families whose every part the subscriptions cover; `hears_of_all` as
    in `covered_parts`. In a portal without enrollments there are none to tell of."""
    covered = covered_parts(subscriptions, profile, hears_of_all=hears_of_all)
    if profile.object_types.enrollments is None:
        covered |= {JournalPart.ENROLLMENTS, JournalPart.CONTACT_ENROLLMENTS}
    return frozenset(
        name for name, parts in PARTS_OF_FAMILIES.items() if parts is not None and parts <= covered
    )
