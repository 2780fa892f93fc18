"""What a portal is asked once: which app we are.

HubSpot names the app that set a value, in its history. Only a private app's token tells which one
that is; of a service key HubSpot may not know.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final, Generic, TypeVar

import structlog

from hubspot_sync.errors import HubSpotError, NotFound, Refused
from hubspot_sync.wire.call_context import CallContext
from hubspot_sync.wire.deadlines import Monotonic
from hubspot_sync.wire.endpoints import Operation
from hubspot_sync.wire.transport import Request, Transport

ASK_AGAIN_S: Final = 30.0
"""After HubSpot could not be asked."""

T = TypeVar("T")

log = structlog.get_logger(__name__)


class PortalFact(Generic[T]):
    """A fact that the portal is asked for; safe to share between threads. While it is not known it
    is taken to be `otherwise`."""

    def __init__(self, ask: Callable[[CallContext], T], *, otherwise: T, clock: Monotonic) -> None:
        self._ask = ask
        self._otherwise = otherwise
        self._clock = clock
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

    def _learn(self, context: CallContext) -> T:
        self._ask_at_s = self._clock() + ASK_AGAIN_S
        self._known = self._otherwise
        self._known = self._ask(context)
        self._ask_at_s = float("inf")
        return self._known


def ask_own_app_id(transport: Transport, token: str, context: CallContext) -> str | None:
    """Return the id of the app whose token this is, None where HubSpot does not say; raises
    HubSpotError where it could not be asked."""
    request = Request(operation=Operation.TOKEN_INFO, body={"tokenKey": token})
    try:
        app_id = transport.call(request, context).body.get("appId")
    except (Refused, NotFound):
        return None
    return None if app_id is None else str(app_id)
