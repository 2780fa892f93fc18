"""Persons whom HubSpot has forgotten and we have not heard of it.

What tells of a privacy deletion may be lost: with a file of the change journal that cannot be read,
with the place that we had read up to, with an event that nobody understands, with webhooks that
came to nobody. So all contacts of whom something is kept are asked for by their ids. One that
HubSpot has in no form any more was deleted for good. An archived one may be restored, and one that
was merged lives on in another: neither is forgotten.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

import structlog

from booking_api.desk.desk_context import DeskContext
from booking_api.desk.journal.erasure import contacts_kept, contacts_of, emails_of
from booking_api.desk.journal.merges import same_contacts
from hubspot_sync.batching.chunking import chunks
from hubspot_sync.wire.call_context import CallContext, Priority
from hubspot_sync.wire.call_log import CallMeter
from hubspot_sync.wire.deadlines import Deadline

AT_ONCE: Final = 100
"""As many as HubSpot takes in a batch: of those that it does not know, each is asked for alone."""
ASKED_WITHIN_S: Final = 120.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class VanishedPersons:
    """The contacts that HubSpot has no more, of so many of whom something is kept here."""

    contact_ids: frozenset[str]
    kept: int


class TooManyVanished(Exception):
    """Of those kept HubSpot has fewer than is believed."""


def find_vanished_persons(
    desk_context: DeskContext, believed_of: Callable[[int], float] = lambda _: math.inf
) -> VanishedPersons:
    """Ask HubSpot for everybody of whom something is kept, and change nothing. Raises HubSpotError
    where it is not known of all, and TooManyVanished, with the rest not asked for, where more are
    gone than is `believed_of` so many as are kept: each of them takes calls of its own."""
    kept = contacts_kept()
    gone: frozenset[str] = frozenset()
    for chunk in chunks(sorted(kept), AT_ONCE):
        gone |= _find_gone(desk_context, chunk)
        if len(gone) > believed_of(len(kept)):
            log.error("missed_erasures_held_back", kept=len(kept), found=len(gone))
            raise TooManyVanished
    # Whoever is forgotten is so by all ids: none of them may be another's that is there.
    same = {contact_id: _all_ids_of(contact_id) for contact_id in gone}
    others = frozenset().union(*same.values()) - kept
    gone_by_all_ids = gone | _find_gone(desk_context, others)
    vanished = frozenset(each for each, ids in same.items() if ids <= gone_by_all_ids)
    if len(vanished) < len(gone):
        log.warning("vanished_but_there_by_another_id", contacts=sorted(gone - vanished))
    return VanishedPersons(contact_ids=vanished, kept=len(kept))


def _all_ids_of(contact_id: str) -> frozenset[str]:
    """Return the contacts of which something would be forgotten with this one: the same, and those
    under its e-mails. Who was deleted may have come back under another id, and booked."""
    same = same_contacts({contact_id})
    return same | same_contacts(contacts_of(emails_of(same)))


def _find_gone(desk_context: DeskContext, contact_ids: Collection[str]) -> frozenset[str]:
    gone: set[str] = set()
    for chunk in chunks(sorted(contact_ids), AT_ONCE):
        context = CallContext(
            deadline=Deadline.after(ASKED_WITHIN_S),
            priority=Priority.BACKGROUND,
            meters=(CallMeter("job: missed erasures"),),
        )
        gone |= desk_context.evidence.vanished_contacts(chunk, context)
    return frozenset(gone)
