"""What the journal says of a change: the event's form, by hubspot-facts ("The change journal").

Unlike webhooks: instants are ISO texts, a change of several properties is one event with their new
values, and only what a subscription asked for is told.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hubspot_sync.sandbox.clock import iso
from hubspot_sync.sandbox.config import PORTAL_ID, JournalConfig
from hubspot_sync.sandbox.data.records import Change, changes_of_link
from hubspot_sync.sandbox.data.store import Store
from hubspot_sync.sandbox.journal.subscriptions import (
    ASSOCIATION,
    OBJECT,
    PRIVACY,
    Subscription,
    Subscriptions,
)

Event = dict[str, Any]

ACTION_OF = {
    "creation": "CREATE",
    "propertyChange": "UPDATE",
    "deletion": "DELETE",
    "merge": "MERGE",
    "restore": "RESTORE",
    "privacyDeletion": "GDPR_DELETE",
}


def events_of(
    change: Change, store: Store, subscriptions: Subscriptions, config: JournalConfig
) -> Iterator[Event]:
    """Yield what subscribers hear of a change; under the store's lock."""
    if change.kind == "associationChange":
        yield from _association_events(change, store, subscriptions, config)
        return
    event = _object_event(change, store, subscriptions, config)
    if event is not None:
        yield event
    if change.kind == "deletion" and config.deletion_links:
        yield from _link_events(change, change.object_id, store, subscriptions, config, True)
    if change.kind == "merge" and config.merge_links:
        merged = change.merged_id or ""
        yield from _link_events(change, merged, store, subscriptions, config, True)
        yield from _link_events(change, change.object_id, store, subscriptions, config, False)


def _object_event(
    change: Change, store: Store, subscriptions: Subscriptions, config: JournalConfig
) -> Event | None:
    action = ACTION_OF[change.kind]
    kind = PRIVACY if action == "GDPR_DELETE" else OBJECT
    record = store.get(change.object_type, change.object_id, archived=True)
    values: Mapping[str, str | None] = {} if record is None else record.properties
    hearing = [
        each
        for each in subscriptions.that_hear(kind, change.object_type, action, values)
        if each.hears_of_object(change.object_id, config)
    ]
    if not hearing:
        return None
    told = _told_properties(change, values, hearing, config)
    if action == "UPDATE" and not told:
        return None
    event: Event = {
        "type": config.privacy_type if kind == PRIVACY else "crmObject",
        "portalId": PORTAL_ID,
        "occurredAt": iso(change.at_ms),
        "action": action,
        "objectTypeId": change.object_type,
        "objectId": _id(change.object_id, config),
    }
    if kind == OBJECT:
        event["propertyChanges"] = told
    if change.kind == "merge" and config.merged_ids:
        event["mergedObjectIds"] = [_id(change.merged_id or "0", config)]
    return event


def _told_properties(
    change: Change,
    values: Mapping[str, str | None],
    hearing: list[Subscription],
    config: JournalConfig,
) -> dict[str, str | None]:
    """The new values: of a creation all that were asked for, of a change the one that changed."""
    changed: Mapping[str, str | None] = {}
    if change.kind == "creation":
        changed = values
    elif change.kind == "propertyChange" and change.property_name is not None:
        changed = {change.property_name: change.property_value or None}
    return {
        name: value
        for name, value in changed.items()
        if any(each.hears_of_property(name, config) for each in hearing)
    }


def _association_events(
    change: Change, store: Store, subscriptions: Subscriptions, config: JournalConfig
) -> Iterator[Event]:
    action = "ASSOCIATION_REMOVED" if change.removed else "ASSOCIATION_ADDED"
    to_type = change.to_type or ""
    hearing = [
        each
        for each in subscriptions.that_hear(ASSOCIATION, change.object_type, action, {})
        if each.hears_of_object(change.object_id, config) and to_type in (each.to_types or ())
    ]
    if not hearing:
        return
    label = store.labels(change.object_type, to_type)[0]
    yield {
        "type": "association",
        "portalId": PORTAL_ID,
        "occurredAt": iso(change.at_ms),
        "action": action,
        "fromObjectTypeId": change.object_type,
        "fromObjectId": _id(change.object_id, config),
        "toObjectTypeId": to_type,
        "toObjectId": _id(change.to_id or "0", config),
        "associationTypeId": label.type_id,
        "associationCategory": label.category,
        "isPrimary": False,
    }


def _link_events(
    change: Change,
    record_id: str,
    store: Store,
    subscriptions: Subscriptions,
    config: JournalConfig,
    removed: bool,
) -> Iterator[Event]:
    """Yield the links of one record as associations that came or went with the change."""
    for other in store.types():
        links = store.links_of(change.object_type, record_id, other.type_id)
        for target, link in links.items():
            stands = link.removed_ms is None
            if not stands and link.removed_ms != change.at_ms:
                continue
            ends = (change.object_type, record_id), (other.type_id, target)
            for told in changes_of_link(*ends, change.at_ms, change.source, removed=removed):
                yield from _association_events(told, store, subscriptions, config)


def _id(record_id: str, config: JournalConfig) -> int | str:
    return int(record_id) if config.ids == "number" else record_id


def join_event(last: Event | None, event: Event) -> bool:
    """Put a change of one more property into the last event, where one write made both; returns
    whether it was."""
    if last is None or event.get("action") != "UPDATE" or last.get("action") != "UPDATE":
        return False
    about = ("occurredAt", "objectTypeId", "objectId")
    if any(last[name] != event[name] for name in about):
        return False
    if not event["propertyChanges"].keys().isdisjoint(last["propertyChanges"]):
        return False
    last["propertyChanges"].update(event["propertyChanges"])
    return True
