"""The journal's access token: fetched when first needed, renewed in time, by one thread for all.

A client-credentials grant (hubspot-facts, "The change journal"): no refresh token, a new one is
asked for with the app's id and secret. The token and the secret are shown nowhere. Where HubSpot
says of what portal a token is, one of another than ours is refused here: nothing of what that
portal tells may be taken for ours.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import structlog

from hubspot_sync.errors import HubSpotError, Refused, Unavailable, WrongPortal
from hubspot_sync.wire.deadlines import Deadline, Monotonic
from hubspot_sync.wire.verdicts import JsonObject

log = structlog.get_logger(__name__)

JOURNAL_SCOPES: Final = (
    "developer.webhooks_journal.read",
    "developer.webhooks_journal.subscriptions.read",
    "developer.webhooks_journal.subscriptions.write",
)
OBJECT_SCOPES: Final = ("crm.objects.contacts.read", "crm.objects.custom.read")
# HubSpot's guide wants the objects' scopes too; others live without them. So first without.
SCOPE_SETS: Final = (JOURNAL_SCOPES, JOURNAL_SCOPES + OBJECT_SCOPES)
UNKNOWN_LIFE_S: Final = 300.0
MAX_LIFE_S: Final = 86_400.0
MAX_MARGIN_S: Final = 60.0
MARGIN_PART: Final = 0.2
_TOKEN: Final = re.compile(r"[!-~]{1,8192}")
_FORBIDDEN: Final = 403


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A token, and until when it is used, by the keeper's clock; `wide` says that it was asked for
    with the objects' scopes too, `names_portal` that HubSpot said it is our portal's."""

    text: str = field(repr=False)
    until_s: float
    wide: bool = False
    names_portal: bool = False


FetchToken = Callable[[Sequence[str], Deadline], JsonObject]
"""Asks HubSpot for a token with these scopes and returns its answer, or raises a HubSpotError."""


class AccessTokens:
    """Keeps one token for all threads of the process."""

    def __init__(self, fetch: FetchToken, clock: Monotonic, portal_id: str) -> None:
        self._fetch = fetch
        self._portal_id = portal_id
        self._clock = clock
        self._lock = threading.Lock()
        self._token: AccessToken | None = None
        self._wide = False

    @property
    def names_portal(self) -> bool:
        """Whether HubSpot said of the latest token that it is our portal's."""
        token = self._token
        return token is not None and token.names_portal

    def current(self, deadline: Deadline) -> AccessToken:
        """Return a token that holds for a while yet; raises a HubSpotError where there is none."""
        token = self._token
        if token is not None and self._clock() < token.until_s:
            return token
        return self._replace(token, deadline, wide=self._wide)

    def renew(self, refused: AccessToken, deadline: Deadline, *, wide: bool) -> AccessToken:
        """Return another token than the one HubSpot refused: of those who were refused with the
        same one, the first fetches it for all."""
        return self._replace(refused, deadline, wide=wide or self._wide)

    def _replace(self, old: AccessToken | None, deadline: Deadline, *, wide: bool) -> AccessToken:
        if not self._lock.acquire(timeout=deadline.remaining_s()):
            raise Unavailable("The change journal's token was not renewed in time.")
        try:
            token = self._token
            if token is not None and token is not old and self._clock() < token.until_s:
                return token
            self._token = None
            self._token = self._fetch_token(deadline, wide=wide)
            self._wide = self._token.wide
            return self._token
        finally:
            self._lock.release()

    def _fetch_token(self, deadline: Deadline, *, wide: bool) -> AccessToken:
        asked_s = self._clock()
        try:
            body = self._fetch(SCOPE_SETS[wide], deadline)
        except Refused as refusal:
            if _names_the_app(refusal):
                raise
            # The other scopes may be the ones that the app has.
            wide = not wide
            body = self._fetch(SCOPE_SETS[wide], deadline)
        text = body.get("access_token")
        if not isinstance(text, str) or _TOKEN.fullmatch(text) is None:
            raise Unavailable("HubSpot's answer to the request for a token has none.")
        names_portal = self._check_portal(body.get("hub_id"))
        life_s = _life_s(body.get("expires_in"))
        log.info("hubspot_journal_token_renewed", life_s=life_s, object_scopes=wide)
        margin_s = min(MAX_MARGIN_S, life_s * MARGIN_PART)
        return AccessToken(text, asked_s + life_s - margin_s, wide, names_portal)

    def _check_portal(self, hub_id: object) -> bool:
        """Return whether HubSpot says that the token is our portal's, which it need not
        (hubspot-facts); raises WrongPortal where it is another's."""
        if hub_id is None:
            return False
        if str(hub_id) != self._portal_id:
            raise WrongPortal(
                f"HubSpot's token is for portal {hub_id}, and HUBSPOT_PORTAL_ID is "
                f"{self._portal_id}."
            )
        return True


def wants_more_scopes(token: AccessToken, error: HubSpotError) -> bool:
    """Return whether the objects' scopes might help."""
    return error.status == _FORBIDDEN and not token.wide


def _names_the_app(refusal: Refused) -> bool:
    """Whether it is the app's id or secret that was refused, and no scope."""
    return (refusal.category or "").startswith("BAD_CLIENT")


def _life_s(said: object) -> float:
    """The seconds a token lives, as the answer says; a few minutes where it says nothing."""
    if isinstance(said, str) and re.fullmatch(r"[0-9]{1,9}", said, re.ASCII) is not None:
        said = int(said)
    if isinstance(said, bool) or not isinstance(said, int | float) or said <= 0:
        return UNKNOWN_LIFE_S
    return min(float(said), MAX_LIFE_S)
