"""What a portal is asked once: which app we are, and whether it keeps marks of credits.

HubSpot names the app that set a value, in its history. Only a private app's token tells which one
that is; of a service key HubSpot may not know.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, Generic, TypeVar

import structlog

from hubspot_sync.errors import HubSpotError, NotFound, Refused
from hubspot_sync.portal.profile import PortalProfile
from hubspot_sync.wire.call_context import CallContext
from hubspot_sync.wire.deadlines import Monotonic
from hubspot_sync.wire.endpoints import Operation
from hubspot_sync.wire.transport import Request, Transport

ASK_AGAIN_S: Final = 30.0
"""After HubSpot could not be asked."""
UNMARKED_FOR_S: Final = 300.0
"""A portal may get the property while we run."""

T = TypeVar("T")

log = structlog.get_logger(__name__)


class PortalFact(Generic[T]):
    """A fact that the portal is asked for; safe to share between threads. While it is not known it
    is taken to be `otherwise`. `keep_s` says for how long an answer holds."""

    def __init__(
        self,
        ask: Callable[[CallContext], T],
        *,
        otherwise: T,
        clock: Monotonic,
        keep_s: Callable[[T], float] = lambda _: math.inf,
    ) -> None:
        self._ask = ask
        self._clock = clock
        self._keep_s = keep_s
        self._lock = threading.Lock()
        self._known: T = otherwise
        self._ask_at_s = clock()

    def learn(self, context: CallContext) -> T:
        """Ask HubSpot, and return what it says; raises HubSpotError."""
        with self._lock:
            return self._learn(context)

    def get(self, context: CallContext) -> T:
        """Return what is known; HubSpot is asked where that is nothing yet, but not again and again
        where it does not answer."""
        with self._lock:
            if self._clock() >= self._ask_at_s:
                try:
                    return self._learn(context)
                except HubSpotError as error:
                    log.warning("portal_not_learnt", error=error.safe_text)
            return self._known

    def note(self, known: T) -> None:
        """Take this for the answer: HubSpot has shown it otherwise."""
        with self._lock:
            self._keep(known)

    def _learn(self, context: CallContext) -> T:
        self._ask_at_s = self._clock() + ASK_AGAIN_S
        self._keep(self._ask(context))
        return self._known

    def _keep(self, known: T) -> None:
        self._known = known
        self._ask_at_s = self._clock() + self._keep_s(known)


def ask_own_app_id(transport: Transport, token: str, context: CallContext) -> str | None:
    """Return the id of the app whose token this is, None where HubSpot does not say; raises
    HubSpotError where it could not be asked."""
    request = Request(operation=Operation.TOKEN_INFO, body={"tokenKey": token})
    try:
        app_id = transport.call(request, context).body.get("appId")
    except (Refused, NotFound):
        return None
    return None if app_id is None else str(app_id)


def ask_own_portal_id(transport: Transport, token: str, context: CallContext) -> str | None:
    """Return the id of the portal whose token this is, None where HubSpot does not say; raises
    HubSpotError where it could not be asked."""
    request = Request(operation=Operation.TOKEN_INFO, body={"tokenKey": token})
    try:
        portal_id = transport.call(request, context).body.get("hubId")
    except (Refused, NotFound):
        return None
    return None if portal_id is None else str(portal_id)


def ask_has_marker(transport: Transport, profile: PortalProfile, context: CallContext) -> bool:
    """Return whether the portal has the contact's property for marks, and it takes any text; raises
    HubSpotError where that could not be asked."""
    if profile.credit_marker is None:
        return False
    request = Request(
        operation=Operation.PROPERTY_READ,
        object_type=profile.object_types.contacts,
        to_type=profile.credit_marker,
    )
    try:
        definition = transport.call(request, context).body
    except NotFound:
        return False
    modification = definition.get("modificationMetadata")
    read_only = isinstance(modification, Mapping) and modification.get("readOnlyValue") is True
    return definition.get("type") == "string" and not read_only


def has_marker_fact(
    profile: PortalProfile, transport: Transport, clock: Monotonic
) -> PortalFact[bool | None]:
    """Return the fact whether the portal keeps marks, None while HubSpot has not said."""
    return PortalFact[bool | None](
        partial(ask_has_marker, transport, profile),
        otherwise=None,
        clock=clock,
        keep_s=lambda is_there: math.inf if is_there else UNMARKED_FOR_S,
    )
