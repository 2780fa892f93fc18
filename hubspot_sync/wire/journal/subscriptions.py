"""What the app hears of: subscriptions as HubSpot lists them, made and narrowed.

Forms by hubspot-facts ("The change journal") and HubSpot's specification of 2026-03. What a listed
one does not say clearly is taken for less than it may be: nothing is concluded from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import quote

from hubspot_sync.config import JournalConfig
from hubspot_sync.errors import NotFound, Refused, Unavailable
from hubspot_sync.wire.deadlines import Deadline
from hubspot_sync.wire.journal.journal_calls import (
    JournalCalls,
    JournalOperation,
    JournalRequest,
)
from hubspot_sync.wire.verdicts import JsonObject

_BAD_REQUEST: Final = 400
MAX_PAGES: Final = 100
NO_QUERY: Final[Mapping[str, str]] = MappingProxyType({})


class SubscriptionKind(StrEnum):
    """HubSpot's `subscriptionType`, those that we make."""

    OBJECT = "OBJECT"
    ASSOCIATION = "ASSOCIATION"
    PRIVACY_DELETION = "GDPR_PRIVACY_DELETION"


@dataclass(frozen=True, kw_only=True, slots=True)
class Subscription:
    """One subscription. `id` is HubSpot's, None for one that is wanted; `kind` is its
    `subscriptionType`, whatever that is. `object_ids` is None where no list of objects was given,
    which need not mean the same as an empty one. `narrowed` says that a filter, an override of an
    action, or a list of objects that was not understood may let less through than the rest says."""

    kind: str
    object_type: str
    actions: frozenset[str]
    properties: frozenset[str] = frozenset()
    to_types: frozenset[str] = frozenset()
    object_ids: frozenset[str] | None = None
    id: str | None = None
    narrowed: bool = False


class JournalSubscriptions:
    """The subscriptions of one portal; safe for threads. Every method may raise RateLimited,
    Unavailable or Refused."""

    def __init__(self, config: JournalConfig, calls: JournalCalls) -> None:
        self._root = f"/webhooks-journal/subscriptions/{config.dated_version}"
        self._portal_id = config.portal_id
        self._calls = calls

    def list_all(self, deadline: Deadline) -> tuple[Subscription, ...]:
        """Return what this portal's changes are told by, in HubSpot's order; a call for each page
        of the list, and one for each subscription's filters."""
        listed = self._list_pages(JournalOperation.SUBSCRIPTIONS_LIST, "", deadline)
        found = [parse_subscription(each, self._portal_id) for each in listed]
        return tuple(self._with_filters(each, deadline) for each in found if each is not None)

    @property
    def names_portal(self) -> bool:
        """Whether HubSpot said that the token these were listed by is this portal's."""
        return self._calls.names_portal

    def put(self, wanted: Subscription, deadline: Deadline) -> None:
        """Make a subscription, or make the one that HubSpot takes for the same what is wanted.

        It is sent without a list of objects, as others do who get all; where that is refused, with
        an empty one, which the specification demands.
        """
        body: dict[str, Any] = {
            "subscriptionType": wanted.kind,
            "portalId": int(self._portal_id),
            "objectTypeId": wanted.object_type,
            "actions": sorted(wanted.actions),
        }
        if wanted.properties:
            body["properties"] = sorted(wanted.properties)
        if wanted.to_types:
            body["associatedObjectTypeIds"] = sorted(wanted.to_types)
        try:
            self._ask(JournalOperation.SUBSCRIPTION_PUT, "POST", "", deadline, body)
        except Refused as refusal:
            if refusal.status != _BAD_REQUEST or wanted.kind == SubscriptionKind.PRIVACY_DELETION:
                raise
            with_lists = {"properties": [], **body, "objectIds": []}
            self._ask(JournalOperation.SUBSCRIPTION_PUT, "POST", "", deadline, with_lists)

    def _with_filters(self, listed: Subscription, deadline: Deadline) -> Subscription:
        if listed.id is None:
            return replace(listed, narrowed=True)
        tail = f"/filters/subscription/{quote(listed.id, safe='')}"
        try:
            body = self._ask(JournalOperation.FILTERS_LIST, "GET", tail, deadline)
        except NotFound:
            return listed
        none = body.get("results") == [] and _cursor_in(body) is None
        return listed if none else replace(listed, narrowed=True)

    def _list_pages(
        self, operation: JournalOperation, tail: str, deadline: Deadline
    ) -> list[object]:
        """Return all of a list. Nobody says that it comes in pages; one that does is no end."""
        listed: list[object] = []
        query: dict[str, str] = {}
        for _ in range(MAX_PAGES):
            body = self._ask(operation, "GET", tail, deadline, query=query)
            page = body.get("results")
            if not isinstance(page, list):
                raise Unavailable("HubSpot's list of subscriptions is none.")
            listed += page
            cursor = _cursor_in(body)
            if cursor is None:
                return listed
            if query.get("after") == cursor:
                break
            query = {"after": cursor}
        raise Unavailable("HubSpot's list of subscriptions has no end.")

    def _ask(
        self,
        operation: JournalOperation,
        method: str,
        tail: str,
        deadline: Deadline,
        body: JsonObject | None = None,
        query: Mapping[str, str] = NO_QUERY,
    ) -> JsonObject:
        request = JournalRequest(
            operation=operation, method=method, path=self._root + tail, query=query, body=body
        )
        return self._calls.call(request, deadline).body


def parse_subscription(raw: object, portal_id: str) -> Subscription | None:
    """Return a listed subscription, None for another portal's, a deleted one, or none at all."""
    if not isinstance(raw, Mapping) or raw.get("deletedAt"):
        return None
    kind, object_type = raw.get("subscriptionType"), raw.get("objectTypeId")
    if not isinstance(kind, str) or not isinstance(object_type, str):
        return None
    if str(raw.get("portalId", portal_id)) != portal_id:
        return None
    given_id = raw.get("id")
    is_id = isinstance(given_id, str | int) and not isinstance(given_id, bool)
    return Subscription(
        kind=kind,
        object_type=object_type,
        actions=_texts(raw.get("actions")) or frozenset(),
        properties=_texts(raw.get("properties")) or frozenset(),
        to_types=_texts(raw.get("associatedObjectTypeIds")) or frozenset(),
        object_ids=_texts(raw.get("objectIds")),
        id=str(given_id) if is_id else None,
        narrowed=bool(raw.get("actionOverrides")) or not _is_clear(raw.get("objectIds")),
    )


def _cursor_in(body: JsonObject) -> str | None:
    """Return where a list goes on, None where this is its last page."""
    paging = body.get("paging")
    following = paging.get("next") if isinstance(paging, Mapping) else None
    after = following.get("after") if isinstance(following, Mapping) else None
    return None if after is None or after == "" else str(after)


def _is_clear(listed: object) -> bool:
    """Whether a list of objects is none, or one of ids alone: others may be of some objects."""
    if listed is None:
        return True
    return isinstance(listed, list) and all(
        isinstance(each, str | int) and not isinstance(each, bool) for each in listed
    )


def _texts(listed: object) -> frozenset[str] | None:
    """A list's ids or names as texts; None where there is no list."""
    if not isinstance(listed, Sequence) or isinstance(listed, str):
        return None
    return frozenset(str(each) for each in listed if isinstance(each, str | int))
