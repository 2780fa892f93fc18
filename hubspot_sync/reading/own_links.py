"""Links that were made by us so lately that HubSpot may not show them yet.

Links are believed to be current right after a write, but no document promises it (hubspot-facts,
Search). Whoever made some knows them; whoever reads links asks here for what may be lacking.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from types import MappingProxyType
from typing import Final, Protocol

from typing_extensions import override

Ids = tuple[str, ...]

MAX_LINK_LAG: Final = timedelta(minutes=10)
"""How long HubSpot may not show a link yet that was made by us."""


@dataclass(frozen=True, kw_only=True, slots=True)
class KnownLinks:
    """Ids of linked records by id; a record without any need not be in it. `keep_s` bounds, in
    seconds, how long what is made with them may be kept, where there may be more than these."""

    by_id: Mapping[str, Ids] = field(default_factory=lambda: MappingProxyType({}))
    keep_s: float | None = None


class OwnLinks(Protocol):
    """What was made by us within `MAX_LINK_LAG`. Nothing is raised: who cannot say bounds how long
    the answer may be relied upon."""

    def bookings_of_contacts(self, contact_ids: Collection[str]) -> KnownLinks: ...

    def bookings_of_exams(self, exam_ids: Collection[str]) -> KnownLinks: ...

    def contacts_of_bookings(self, booking_ids: Collection[str]) -> KnownLinks: ...

    def exams_of_bookings(self, booking_ids: Collection[str]) -> KnownLinks: ...


class NoOwnLinks(OwnLinks):
    """For those who make none."""

    @override
    def bookings_of_contacts(self, contact_ids: Collection[str]) -> KnownLinks:
        return KnownLinks()

    @override
    def bookings_of_exams(self, exam_ids: Collection[str]) -> KnownLinks:
        return KnownLinks()

    @override
    def contacts_of_bookings(self, booking_ids: Collection[str]) -> KnownLinks:
        return KnownLinks()

    @override
    def exams_of_bookings(self, booking_ids: Collection[str]) -> KnownLinks:
        return KnownLinks()


NO_OWN_LINKS: Final = NoOwnLinks()
