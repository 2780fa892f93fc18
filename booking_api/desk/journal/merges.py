"""Which contacts are known to have become one: HubSpot told of it, or a student's record said so.

The journal keeps the ids that were true when it was written. Whoever looks for all of a person
needs those of merged contacts too, and after the person's deletion nobody can be asked for them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Final

import structlog
from django.db.models import Q, QuerySet

from booking_api.desk.journal.models import MergedContact
from hubspot_sync.background.isolation import write_apart
from hubspot_sync.background.kept_queries import KeptQuery

log = structlog.get_logger(__name__)

Pair = tuple[str, str]


def note_merges(groups: Iterable[Collection[str]]) -> None:
    """Keep that the contacts of each of these groups are one; durable with the transaction around
    it. A pair that our database does not take is left out."""
    pairs = {
        (first, other)
        for first, *others in (sorted(set(ids)) for ids in groups if len(ids) > 0)
        for other in others
    }
    write_apart(sorted(pairs), _store_pairs, _report_unstored)


def same_contacts(contact_ids: Collection[str]) -> frozenset[str]:
    """Return these contacts and all that are known to be the same as one of them."""
    known, further = frozenset[str](), frozenset(contact_ids)
    while len(further) > 0:
        known |= further
        found = _rows_of(further).values_list("contact_id", "same_as")
        further = frozenset(each for pair in found for each in pair) - known
    return known


def may_be_merged(contact_id: str) -> bool:
    """Whether `same_contacts` knows more of this contact than itself."""
    return _OF_CONTACT.has_rows(contact_id)


def _rows_of(contact_ids: Collection[str]) -> QuerySet[MergedContact]:
    return MergedContact.objects.filter(Q(contact_id__in=contact_ids) | Q(same_as__in=contact_ids))


_OF_CONTACT: Final = KeptQuery(lambda contact_id, _: _rows_of([contact_id]))


def _store_pairs(pairs: Sequence[Pair]) -> None:
    rows = [MergedContact(contact_id=one, same_as=other) for one, other in pairs]
    MergedContact.objects.bulk_create(rows, ignore_conflicts=True)


def _report_unstored(pair: Pair, error: Exception) -> None:
    log.error("merge_not_stored", contacts=pair, exc_info=error)
