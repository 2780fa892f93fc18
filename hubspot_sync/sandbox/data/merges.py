"""Two records made one: what the survivor takes over, and which ids mean it from then on.

The survivor keeps its id and its values; what it has none of comes from the other, and so do the
links. Of a contact that is merged the e-mails become additional ones of the survivor.
"""

from __future__ import annotations

from dataclasses import replace

from hubspot_sync.sandbox.clock import iso
from hubspot_sync.sandbox.data.records import Properties, Record, Snapshot, Source, Write
from hubspot_sync.sandbox.data.schemas import ADDITIONAL_EMAILS, CONTACTS, MERGED_IDS

BY_MERGE = Source("MERGE_OBJECTS", "merge")
"""The history's source of what the survivor took over."""


def join_records(survivor: Record, other: Record, stamp: str, at_ms: int) -> Record:
    """Return the survivor with what it takes over; `stamp` names its time of modification."""
    taken: dict[str, str | None] = {
        name: value
        for name, value in other.properties.items()
        if value is not None and survivor.properties.get(name) is None
    }
    merged = [survivor.properties.get(MERGED_IDS), other.id, other.properties.get(MERGED_IDS)]
    taken |= {MERGED_IDS: join_words(merged), stamp: iso(at_ms)}
    if survivor.object_type == CONTACTS:
        emails = [each.properties.get(ADDITIONAL_EMAILS) for each in (survivor, other)]
        own = survivor.properties.get("email")
        given = other.properties.get("email")
        taken[ADDITIONAL_EMAILS] = join_words([*emails, None if own is None else given])
    return replace(
        survivor,
        properties={**survivor.properties, **taken},
        writes=(*survivor.writes, Write(at_ms, BY_MERGE, taken)),
        updated_ms=at_ms,
    )


def move_links(state: Snapshot, object_type: str, from_id: str, to_id: str, at_ms: int) -> None:
    """Link everything that one record is linked to with another instead."""
    for pair in state.links.pairs_of(object_type):
        back = pair[1], pair[0]
        for target, link in list(state.links.links_of(pair, from_id).items()):
            if link.removed_ms is not None:
                continue
            inverse = state.links.links_of(back, target)[from_id].type_ids
            state.links.remove(pair, from_id, target, at_ms)
            state.links.remove(back, target, from_id, at_ms)
            state.links.add(pair, to_id, target, link.type_ids, at_ms)
            state.links.add(back, target, to_id, inverse, at_ms)


def additional_emails(properties: Properties) -> list[str]:
    """Return the further addresses of a contact."""
    return split_words(properties.get(ADDITIONAL_EMAILS))


def split_words(text: str | None) -> list[str]:
    return [word.strip().lower() for word in (text or "").split(";") if word.strip()]


def join_words(texts: list[str | None]) -> str | None:
    """Return all words with semicolons between them, each once; None where there are none."""
    words = dict.fromkeys(word for text in texts for word in split_words(text))
    return ";".join(words) if words else None
