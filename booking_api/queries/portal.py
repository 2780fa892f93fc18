"""What every query needs to ask the portal with."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from hubspot_sync.portal.profile import PortalProfile
from hubspot_sync.reading.cached_portal import FamilyReads
from hubspot_sync.wire.call_context import CallContext
from hubspot_sync.wire.fan_out import FanOut


@dataclass(frozen=True, kw_only=True, slots=True)
class Portal:
    """The portal as one request sees it: `now` and `context` are that request's."""

    profile: PortalProfile
    reads: FamilyReads
    fan_out: FanOut
    now: datetime
    context: CallContext
