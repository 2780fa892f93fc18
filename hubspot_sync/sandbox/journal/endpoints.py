"""The journal's endpoints: tokens, entries, subscriptions; their limits are their own.

Each is HubSpot's of hubspot-facts ("The change journal"); nothing here counts against the app's
190 in ten seconds.
"""

from __future__ import annotations

import math
import threading
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from hubspot_sync.sandbox.clock import Clock
from hubspot_sync.sandbox.config import PORTAL_ID, LiveConfig
from hubspot_sync.sandbox.journal.entries import Entry, Journal, render
from hubspot_sync.sandbox.journal.tokens import (
    READ,
    SUBSCRIPTIONS_READ,
    SUBSCRIPTIONS_WRITE,
    Tokens,
)
from hubspot_sync.sandbox.messages import (
    Refusal,
    Reply,
    Request,
    batch_reply,
    correlation_id,
    invalid,
    not_found,
)

TOKEN = "journal.token"  # noqa: S105 - the name of an operation
MAX_BATCH = 100
WINDOW_S = 1.0
LOCAL = "journal-local"
_SHARED = uuid.UUID("0b7c2f52-6d51-4bb8-9a43-3f1c7f5f0a11")


class JournalEndpoints:
    """Answers what is asked of the journal; used by all threads of the server."""

    def __init__(self, journal: Journal, tokens: Tokens, clock: Clock, live: LiveConfig) -> None:
        self.journal = journal
        self.tokens = tokens
        self._clock = clock
        self._live = live
        self._lock = threading.Lock()
        self._arrivals: dict[str, deque[float]] = {}
        self._operations: Mapping[str, tuple[str, Callable[[Request], Reply]]] = {
            "journal.earliest": (READ, lambda request: self._one(request, 0)),
            "journal.latest": (READ, lambda request: self._one(request, -1)),
            "journal.next": (READ, self._next),
            "journal.batch_earliest": (READ, self._batch_earliest),
            "journal.batch_latest": (READ, self._batch_latest),
            "journal.batch_next": (READ, self._batch_next),
            "journal.batch_read": (READ, self._batch_read),
            "journal.subscriptions_list": (SUBSCRIPTIONS_READ, self._list_subscriptions),
            "journal.subscriptions_put": (SUBSCRIPTIONS_WRITE, self._put_subscription),
            "journal.subscriptions_read": (SUBSCRIPTIONS_READ, self._read_subscription),
            "journal.subscriptions_delete": (SUBSCRIPTIONS_WRITE, self._delete_subscription),
            "journal.subscriptions_clear": (SUBSCRIPTIONS_WRITE, self._clear_subscriptions),
            "journal.filters_create": (SUBSCRIPTIONS_WRITE, self._create_filter),
            "journal.filters_list": (SUBSCRIPTIONS_READ, self._list_filters),
            "journal.filters_delete": (SUBSCRIPTIONS_WRITE, self._delete_filter),
        }

    def reset(self) -> None:
        self.journal.forget()
        self.tokens.reset()
        with self._lock:
            self._arrivals.clear()

    def answer(self, request: Request, authorization: str) -> Reply:
        """The answer to a call that is not for a token; raises Refusal."""
        scope, endpoint = self._operations[request.operation]
        self.tokens.check(authorization, scope)
        refused = self._arrive(request.operation)
        return endpoint(request) if refused is None else refused

    # Limits ------------------------------------------------------------------------------------

    def _arrive(self, operation: str) -> Reply | None:
        """Count a request; the 429 it gets instead, which always has its `Retry-After`."""
        reads = operation.startswith(("journal.subscriptions", "journal.filters"))
        config, now_s = self._live.journal, self._clock.now_s()
        most = config.subscriptions_rate if reads else config.rate
        with self._lock:
            arrivals = self._arrivals.setdefault("subscriptions" if reads else "journal", deque())
            while arrivals and arrivals[0] <= now_s - WINDOW_S:
                arrivals.popleft()
            if len(arrivals) < most:
                arrivals.append(now_s)
                return None
            free_in_s = arrivals[0] + WINDOW_S - now_s if arrivals else WINDOW_S
        body = {
            "status": "error",
            "message": "You have reached your secondly limit.",
            "errorType": "RATE_LIMIT",
            "correlationId": correlation_id(),
            "policyName": "SECONDLY",
        }
        return Reply(429, body, {"Retry-After": str(max(1, math.ceil(free_in_s)))})

    # Entries -----------------------------------------------------------------------------------

    def _one(self, request: Request, place: int) -> Reply:
        _check_portal(request)
        entries = self.journal.entries()
        return self._entry_reply(request, entries[place]) if entries else Reply(204)

    def _next(self, request: Request) -> Reply:
        following = self._after(request)
        return self._entry_reply(request, following[0]) if following else Reply(204)

    def _batch_earliest(self, request: Request) -> Reply:
        _check_portal(request)
        return self._entries_reply(request, self.journal.entries()[: _count(request)])

    def _batch_latest(self, request: Request) -> Reply:
        _check_portal(request)
        return self._entries_reply(request, self.journal.entries()[-_count(request) :])

    def _batch_next(self, request: Request) -> Reply:
        return self._entries_reply(request, self._after(request)[: _count(request)])

    def _batch_read(self, request: Request) -> Reply:
        _check_portal(request)
        offsets = request.fields.get("inputs")
        if not isinstance(offsets, list) or len(offsets) > MAX_BATCH:
            raise invalid(f"inputs must be a list of at most {MAX_BATCH} offsets")
        known = {self._shown(request, each): each for each in self.journal.entries()}
        found = [known[each] for each in offsets if each in known]
        errors = [
            {**not_found("Offset not found").part(), "context": {"offset": [str(each)]}}
            for each in offsets
            if each not in known
        ]
        stamp = _stamp(self._clock)
        return batch_reply(200, [self._render(request, each) for each in found], stamp, errors)

    def _after(self, request: Request) -> list[Entry]:
        _check_portal(request)
        offset = request.names["offset"]
        shown = {self._shown(request, each): each.offset for each in self.journal.entries()}
        found = self.journal.after(shown.get(offset, offset))
        if found is None or (self._is_apart(request) and offset not in shown):
            raise not_found("Offset not found or expired")
        return found

    def _entry_reply(self, request: Request, entry: Entry) -> Reply:
        return Reply(200, self._render(request, entry))

    def _entries_reply(self, request: Request, entries: list[Entry]) -> Reply:
        if not entries:
            return Reply(204)
        rendered = [self._render(request, each) for each in entries]
        return batch_reply(200, rendered, _stamp(self._clock))

    def _render(self, request: Request, entry: Entry) -> dict[str, Any]:
        return {**render(entry, self.journal), "currentOffset": self._shown(request, entry)}

    def _is_apart(self, request: Request) -> bool:
        """Whether this is the journal of all portals, with offsets of its own."""
        return request.names.get("scope") != LOCAL and not self._live.journal.shared_offsets

    def _shown(self, request: Request, entry: Entry) -> str:
        return str(uuid.uuid5(_SHARED, entry.offset)) if self._is_apart(request) else entry.offset

    # Subscriptions -----------------------------------------------------------------------------

    def _list_subscriptions(self, request: Request) -> Reply:
        listed = [each.as_json() for each in self.journal.subscriptions.all()]
        size, start = self._live.journal.subscriptions_page, _parse_cursor(request)
        end = start + (size or len(listed))
        body: dict[str, Any] = {"results": listed[start:end]}
        if end < len(listed):
            body["paging"] = {"next": {"after": str(end)}}
        return Reply(200, body)

    def _put_subscription(self, request: Request) -> Reply:
        return Reply(200, self.journal.subscriptions.put(request.fields).as_json())

    def _read_subscription(self, request: Request) -> Reply:
        return Reply(200, self.journal.subscriptions.get(request.names["id"]).as_json())

    def _delete_subscription(self, request: Request) -> Reply:
        self.journal.subscriptions.delete(request.names["id"])
        return Reply(204)

    def _clear_subscriptions(self, request: Request) -> Reply:
        if request.names["portal"] != str(PORTAL_ID):
            raise not_found("The app is not installed in this portal")
        self.journal.subscriptions.clear()
        return Reply(204)

    def _create_filter(self, request: Request) -> Reply:
        return Reply(200, {"filterId": self.journal.subscriptions.add_filter(request.fields).id})

    def _list_filters(self, request: Request) -> Reply:
        filters = self.journal.subscriptions.filters_of(request.names["id"])
        return Reply(200, [each.as_json() for each in filters])

    def _delete_filter(self, request: Request) -> Reply:
        self.journal.subscriptions.delete_filter(request.names["id"])
        return Reply(204)


def _check_portal(request: Request) -> None:
    """`installPortalId` names the portal that is meant; without it, it is the app's only one."""
    if request.query.get("installPortalId", str(PORTAL_ID)) != str(PORTAL_ID):
        raise Refusal(403, "MISSING_SCOPES", "The app is not installed in this portal.")


def _count(request: Request) -> int:
    count = request.names["count"]
    if not count.isdigit() or not 1 <= int(count) <= MAX_BATCH:
        raise invalid(f"The batch size must be from 1 to {MAX_BATCH}")
    return int(count)


def _parse_cursor(request: Request) -> int:
    after = request.query.get("after", "0")
    if not after.isdigit():
        raise invalid("Invalid cursor")
    return int(after)


def _stamp(clock: Clock) -> str:
    return clock.now().isoformat().replace("+00:00", "Z")
