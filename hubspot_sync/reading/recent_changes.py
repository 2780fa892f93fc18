"""What HubSpot told us of so lately that its own search and its links may not know it yet.

Search lags by seconds, and links may (hubspot-facts). Whoever builds a list from either asks here
what is to be looked at by id besides, and for how long what was built is not to be relied upon.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from typing_extensions import override


class Topic(StrEnum):
    """What was told of a record: that its place in the lists of exams may be another, or that it
    may be linked to other bookings, or as a booking to other records; or that it is a booking that
    was taken from a contact, or from an exam, or that was merged."""

    EXAM_LISTING = "exam listing"
    CONTACT_LINKS = "contact links"
    EXAM_LINKS = "exam links"
    BOOKING_LINKS = "booking links"
    LEFT_CONTACT = "left contact"
    LEFT_EXAM = "left exam"
    MERGED_BOOKING = "merged booking"


@dataclass(frozen=True, kw_only=True, slots=True)
class RecentExams:
    """Exams told of lately, by id. `keep_s` bounds, in seconds, how long a list made with them may
    be kept, where there may be more than these."""

    ids: tuple[str, ...] = ()
    keep_s: float | None = None


class RecentChanges(Protocol):
    """What was told of within the lag. Nothing is raised: who cannot say, says so in seconds."""

    def exams(self) -> RecentExams:
        """Return the exams that may have come into a list, moved between lists or left them."""
        ...

    def unsettled_s(self, topic: Topic, record_ids: Collection[str]) -> Mapping[str, float]:
        """Return for how many seconds each of these records is unsettled; those that are not, are
        not in it."""
        ...

    def taken_away(self, topic: Topic, booking_ids: Collection[str]) -> frozenset[str]:
        """Return those of these bookings that were taken from a contact, or from an exam, within
        `MAX_LINK_LAG`: nothing that we know of their links from before holds."""
        ...

    def merged(self, booking_ids: Collection[str]) -> frozenset[str]:
        """Return those of these bookings that were merged with others within `MAX_LINK_LAG`, by
        their old ids or the survivor's: of their links is told by the survivor's id alone."""
        ...


class NoRecentChanges(RecentChanges):
    """For those whom nobody tells anything."""

    @override
    def exams(self) -> RecentExams:
        return RecentExams()

    @override
    def unsettled_s(self, topic: Topic, record_ids: Collection[str]) -> Mapping[str, float]:
        return {}

    @override
    def taken_away(self, topic: Topic, booking_ids: Collection[str]) -> frozenset[str]:
        return frozenset()

    @override
    def merged(self, booking_ids: Collection[str]) -> frozenset[str]:
        return frozenset()


NO_RECENT_CHANGES: Final = NoRecentChanges()
