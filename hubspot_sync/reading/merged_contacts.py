"""The bookings of a contact that may have been merged since it was read.

Whoever asks holds the contact from a cache: an old id that has no links any more may be another's
by now, and "no bookings" would be kept and shown. So none is looked at twice.
"""

from __future__ import annotations

from collections.abc import Collection

from hubspot_sync.batching.outcomes import Many, merge
from hubspot_sync.reading.portal_reads import PortalReads
from hubspot_sync.wire.call_context import CallContext

Ids = tuple[str, ...]


def read_contact_bookings(
    hubspot: PortalReads, contact_ids: Collection[str], context: CallContext
) -> Many[Ids]:
    """Return all booking ids of each contact, or of the one it was merged into; one call more where
    a contact has none."""
    links = hubspot.contact_bookings(contact_ids, context)
    without = {contact_id for contact_id, linked in links.found.items() if len(linked) == 0}
    contacts = hubspot.contacts(without, context)
    survivors = {key: contact.id for key, contact in contacts.found.items() if contact.id != key}
    if len(survivors) == 0:
        return links
    theirs = hubspot.contact_bookings(set(survivors.values()), context)
    return merge((links.without(survivors), theirs.renamed(survivors)))
