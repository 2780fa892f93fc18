"""Whether what this API needs is there: its database, the shared cache, HubSpot.

Each part is asked once, briefly; none can make the question itself fail.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass

import structlog
from django.core.cache import caches
from django.db import Error as DatabaseFailure
from django.db import connection
from django_redis.exceptions import ConnectionInterrupted
from redis.exceptions import RedisError

from booking_api import composition
from hubspot_sync.errors import HubSpotError
from hubspot_sync.wire.call_context import CallContext
from hubspot_sync.wire.deadlines import Deadline

MAX_WAIT_S = 3.0
# Reading a contact that cannot exist costs one call and needs nothing of the portal's content.
ABSENT_CONTACT_ID = "1"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Readiness:
    """Which parts answer."""

    database: bool
    cache: bool
    hubspot: bool

    @property
    def ready(self) -> bool:
        return self.database and self.cache and self.hubspot


def check_readiness(context: CallContext) -> Readiness:
    """Ask each part; what does not answer is logged."""
    return Readiness(database=probe_database(), cache=probe_cache(), hubspot=probe_hubspot(context))


def probe_database() -> bool:
    """Ask the database something; return whether it answered."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseFailure as error:
        log.warning("database_does_not_answer", error=str(error))
        return False
    return True


def probe_cache() -> bool:
    """Store a value in the shared cache; return whether it was there to be read."""
    key, value = f"ready:{uuid.uuid4().hex}", "there"
    cache = caches["default"]
    try:
        cache.set(key, value, timeout=5)
        return bool(cache.get(key) == value)
    except (ConnectionInterrupted, RedisError, OSError) as error:
        log.warning("cache_does_not_answer", error=str(error))
        return False


def probe_hubspot(context: CallContext) -> bool:
    """Make one call to HubSpot; return whether it was answered within MAX_WAIT_S."""
    brief = CallContext(deadline=Deadline.after(MAX_WAIT_S), meters=context.meters)
    try:
        return composition.services().hubspot.contacts([ABSENT_CONTACT_ID], brief).complete
    except HubSpotError as error:
        log.warning("hubspot_does_not_answer", error=error.safe_text)
        return False
