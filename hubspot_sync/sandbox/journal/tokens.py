"""Who may read the journal: tokens by client credentials, for a while, each with its scopes."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Mapping
from typing import Any

from hubspot_sync.sandbox.clock import Clock
from hubspot_sync.sandbox.config import PORTAL_ID, LiveConfig
from hubspot_sync.sandbox.messages import Refusal, Reply, correlation_id

READ = "developer.webhooks_journal.read"
SUBSCRIPTIONS_READ = "developer.webhooks_journal.subscriptions.read"
SUBSCRIPTIONS_WRITE = "developer.webhooks_journal.subscriptions.write"
SNAPSHOTS = tuple(f"developer.webhooks_journal.snapshots.{each}" for each in ("read", "write"))
JOURNAL_SCOPES = (READ, SUBSCRIPTIONS_READ, SUBSCRIPTIONS_WRITE, *SNAPSHOTS)
OBJECT_SCOPES = ("crm.objects.contacts.read", "crm.objects.custom.read")


class Tokens:
    """The tokens given out; safe for threads."""

    def __init__(self, clock: Clock, live: LiveConfig) -> None:
        self._clock = clock
        self._live = live
        self._lock = threading.Lock()
        self._given: dict[str, tuple[float, frozenset[str]]] = {}
        self._count = 0

    def forget(self) -> None:
        """Take all tokens back, as if the secret had been changed."""
        with self._lock:
            self._given.clear()

    def reset(self) -> None:
        with self._lock:
            self._given.clear()
            self._count = 0

    @property
    def count(self) -> int:
        """How many were given out."""
        with self._lock:
            return self._count

    def give(self, form: Mapping[str, str]) -> Reply:
        """The answer to a request for a token."""
        config = self._live.journal
        if form.get("grant_type") != "client_credentials":
            return _refused("BAD_GRANT_TYPE", "missing or unknown grant type")
        if form.get("client_id") != config.client_id:
            return _refused("BAD_CLIENT_ID", "missing or unknown client id")
        if form.get("client_secret") != config.client_secret:
            return _refused("BAD_CLIENT_SECRET", "missing or invalid client secret")
        scopes = frozenset(form.get("scope", "").split())
        known = {*JOURNAL_SCOPES, *(() if config.object_scopes == "unknown" else OBJECT_SCOPES)}
        if not scopes or not scopes <= known:
            return _refused("BAD_SCOPE", "the app has not all of these scopes")
        token = f"journal-{secrets.token_urlsafe(32)}"
        with self._lock:
            self._count += 1
            self._given[token] = self._clock.now_s() + config.token_s, scopes
        body: dict[str, Any] = {
            "token_type": "bearer",
            "access_token": token,
            "expires_in": int(config.token_s),
            "token_use": "client_credentials",
            "scopes": sorted(scopes),
        }
        if config.tells_portal:
            body["hub_id"] = PORTAL_ID
        return Reply(200, body)

    def check(self, authorization: str, scope: str) -> None:
        """Raise Refusal for a header without a token that holds, or not for this."""
        with self._lock:
            until_s, scopes = self._given.get(
                authorization.removeprefix("Bearer "), (0.0, frozenset())
            )
        if not authorization.startswith("Bearer ") or until_s <= self._clock.now_s():
            raise Refusal(401, "INVALID_AUTHENTICATION", "The access token is expired or unknown.")
        needed = {scope}
        if self._live.journal.object_scopes == "needed":
            needed |= set(OBJECT_SCOPES)
        if not needed <= scopes:
            raise Refusal(
                403, "MISSING_SCOPES", "This app hasn't been granted all required scopes."
            )


def _refused(code: str, message: str) -> Reply:
    body = {"status": code, "message": message, "correlationId": correlation_id()}
    return Reply(400, body)
