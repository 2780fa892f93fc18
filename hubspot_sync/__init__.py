"""All that knows HubSpot's wire. These are the public names; the rest is how."""

from __future__ import annotations

from hubspot_sync.batching.outcomes import Complete, Many
from hubspot_sync.client import HubSpotClient, build_client
from hubspot_sync.config import HubSpotConfig
from hubspot_sync.errors import (
    ConfigurationError,
    HubSpotError,
    NotFound,
    RateLimited,
    Refused,
    Unavailable,
)
from hubspot_sync.wire.call_context import CallContext, Priority
from hubspot_sync.wire.call_log import CallLog, CallLogSnapshot, CallMeter, CallRecord
from hubspot_sync.wire.deadlines import Deadline

__all__ = [
    "CallContext",
    "CallLog",
    "CallLogSnapshot",
    "CallMeter",
    "CallRecord",
    "Complete",
    "ConfigurationError",
    "Deadline",
    "HubSpotClient",
    "HubSpotConfig",
    "HubSpotError",
    "Many",
    "NotFound",
    "Priority",
    "RateLimited",
    "Refused",
    "Unavailable",
    "build_client",
]
