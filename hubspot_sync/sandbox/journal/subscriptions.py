"""What the portal's app wants to hear of: subscriptions and their filters.

Three things no document decides are switches: which subscription a POST replaces, what an empty
list of objects or properties hears of, and what one without a list of objects does.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from hubspot_sync.sandbox.clock import Clock, iso
from hubspot_sync.sandbox.config import APP_ID, PORTAL_ID, JournalConfig, LiveConfig
from hubspot_sync.sandbox.messages import invalid, not_found

OBJECT, ASSOCIATION, PRIVACY = "OBJECT", "ASSOCIATION", "GDPR_PRIVACY_DELETION"
TYPES = (OBJECT, ASSOCIATION, "APP_LIFECYCLE_EVENT", "LIST_MEMBERSHIP", "EVENT", PRIVACY)
ACTIONS = (
    *("CREATE", "UPDATE", "DELETE", "MERGE", "RESTORE", "ASSOCIATION_ADDED", "ASSOCIATION_REMOVED"),
    *("SNAPSHOT", "APP_INSTALL", "APP_UNINSTALL", "ADDED_TO_LIST", "REMOVED_FROM_LIST"),
    "GDPR_DELETE",
)
FIRST_ID = 7_001


@dataclass(frozen=True, kw_only=True, slots=True)
class Subscription:
    """One subscription; a list that was not given is None."""

    id: int
    kind: str
    object_type: str
    actions: tuple[str, ...]
    object_ids: tuple[str, ...] | None = None
    properties: tuple[str, ...] | None = None
    to_types: tuple[str, ...] | None = None
    at_ms: int = 0

    def hears_of_object(self, record_id: str, config: JournalConfig) -> bool:
        if self.kind == PRIVACY:
            return True
        if self.object_ids is None:
            return config.missing_objects == "all"
        return record_id in self.object_ids or (
            not self.object_ids and config.empty_objects == "all"
        )

    def hears_of_property(self, name: str, config: JournalConfig) -> bool:
        if not self.properties:
            return config.empty_properties == "all"
        return name in self.properties

    def as_json(self) -> dict[str, Any]:
        body: dict[str, Any] = {
            "id": self.id,
            "appId": APP_ID,
            "portalId": PORTAL_ID,
            "subscriptionType": self.kind,
            "objectTypeId": self.object_type,
            "actions": list(self.actions),
            "createdAt": iso(self.at_ms),
            "updatedAt": iso(self.at_ms),
        }
        if self.object_ids is not None:
            body["objectIds"] = [int(each) for each in self.object_ids]
        if self.properties is not None:
            body["properties"] = list(self.properties)
        if self.to_types is not None:
            body["associatedObjectTypeIds"] = list(self.to_types)
        return body


@dataclass(frozen=True, kw_only=True, slots=True)
class Filter:
    """Conditions that all hold of an event that passes."""

    id: int
    subscription_id: int
    conditions: tuple[Mapping[str, Any], ...]
    at_ms: int

    def passes(self, values: Mapping[str, str | None]) -> bool:
        return all(_holds(each, values) for each in self.conditions)

    def as_json(self) -> dict[str, Any]:
        conditions = [dict(each) for each in self.conditions]
        return {"id": self.id, "createdAt": self.at_ms, "filter": {"conditions": conditions}}


@dataclass(slots=True)
class Subscriptions:
    """All subscriptions of the app in this portal; safe for threads."""

    clock: Clock
    live: LiveConfig
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _ids: itertools.count[int] = field(default_factory=lambda: itertools.count(FIRST_ID))
    _all: dict[int, Subscription] = field(default_factory=dict)
    _filters: dict[int, Filter] = field(default_factory=dict)

    def put(self, raw: Mapping[str, Any]) -> Subscription:
        """Make a subscription, or replace the one that counts as the same; raises Refusal."""
        given = _parse(raw, self.live.journal, self.clock.now_ms())
        with self._lock:
            same = next((each for each in self._all.values() if self._is_same(each, given)), None)
            given = replace(given, id=next(self._ids) if same is None else same.id)
            self._all[given.id] = given
            return given

    def all(self) -> list[Subscription]:
        with self._lock:
            return list(self._all.values())

    def get(self, subscription_id: str) -> Subscription:
        """Return one; raises Refusal."""
        with self._lock:
            found = self._all.get(_number(subscription_id))
        if found is None:
            raise not_found(f"No subscription with id {subscription_id}")
        return found

    def delete(self, subscription_id: str) -> None:
        gone = self.get(subscription_id).id
        with self._lock:
            self._all.pop(gone, None)
            self._filters = {
                each.id: each for each in self._filters.values() if each.subscription_id != gone
            }

    def clear(self) -> None:
        with self._lock:
            self._all.clear()
            self._filters.clear()

    def add_filter(self, raw: Mapping[str, Any]) -> Filter:
        """Narrow a subscription; raises Refusal."""
        conditions = raw.get("filter", {}).get("conditions")
        if not isinstance(conditions, list) or not conditions:
            raise invalid("filter.conditions must not be empty")
        holder = self.get(str(raw.get("subscriptionId")))
        with self._lock:
            made = Filter(
                id=next(self._ids),
                subscription_id=holder.id,
                conditions=tuple(conditions),
                at_ms=self.clock.now_ms(),
            )
            self._filters[made.id] = made
            return made

    def filters_of(self, subscription_id: str) -> list[Filter]:
        holder = self.get(subscription_id).id
        with self._lock:
            return [each for each in self._filters.values() if each.subscription_id == holder]

    def delete_filter(self, filter_id: str) -> None:
        with self._lock:
            if self._filters.pop(_number(filter_id), None) is None:
                raise not_found(f"No filter with id {filter_id}")

    def that_hear(
        self, kind: str, object_type: str, action: str, values: Mapping[str, str | None]
    ) -> list[Subscription]:
        """Those of a kind that want an action of a type, and whose filters let it pass."""
        with self._lock:
            return [
                each
                for each in self._all.values()
                if (each.kind, each.object_type) == (kind, object_type) and action in each.actions
                if all(
                    narrowed.passes(values)
                    for narrowed in self._filters.values()
                    if narrowed.subscription_id == each.id
                )
            ]

    def _is_same(self, one: Subscription, other: Subscription) -> bool:
        how = self.live.journal.same_subscription
        if how == "whole":
            return replace(one, id=0, at_ms=0) == replace(other, id=0, at_ms=0)
        mine, theirs = ((each.kind, each.object_type) for each in (one, other))
        return how == "type" and mine == theirs


def _parse(raw: Mapping[str, Any], config: JournalConfig, at_ms: int) -> Subscription:
    kind, object_type, actions = (
        raw.get(name) for name in ("subscriptionType", "objectTypeId", "actions")
    )
    if kind not in TYPES:
        raise invalid(f"subscriptionType must be one of {', '.join(TYPES)}")
    if str(raw.get("portalId")) != str(PORTAL_ID):
        raise invalid("portalId: the app is not installed in this portal")
    if not isinstance(object_type, str) or object_type == "":
        raise invalid("objectTypeId must not be empty")
    if not isinstance(actions, list) or not actions or not set(actions) <= set(ACTIONS):
        raise invalid(f"actions must be some of {', '.join(ACTIONS)}")
    if kind in {OBJECT, ASSOCIATION}:
        wanted = ["properties"] if kind == OBJECT else ["associatedObjectTypeIds"]
        if config.missing_objects == "refused":
            wanted.append("objectIds")
        missing = [name for name in wanted if not isinstance(raw.get(name), list)]
        if missing:
            raise invalid(f"Some required fields were not set: [{', '.join(missing)}]")
    return Subscription(
        id=0,
        kind=kind,
        object_type=object_type,
        actions=tuple(actions),
        object_ids=_texts(raw.get("objectIds")),
        properties=_texts(raw.get("properties")),
        to_types=_texts(raw.get("associatedObjectTypeIds")),
        at_ms=at_ms,
    )


def _texts(given: object) -> tuple[str, ...] | None:
    return tuple(str(each) for each in given) if isinstance(given, list) else None


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else -1


def _holds(condition: Mapping[str, Any], values: Mapping[str, str | None]) -> bool:
    """Equality and its opposite; of the operators there are, these are enough to drop events."""
    value = values.get(str(condition.get("property")))
    equal = value == condition.get("value")
    return not equal if condition.get("operator") in {"NEQ", "NOT_EQUALS"} else equal
