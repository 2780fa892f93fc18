"""What every query is given to find its answer with."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from booking_api.queries.likely_ids import LikelyExams
from booking_api.rules.cursors import CursorSeal
from hubspot_sync.portal.profile import PortalProfile
from hubspot_sync.reading.cached_portal import FamilyReads
from hubspot_sync.wire.call_context import CallContext
from hubspot_sync.wire.fan_out import FanOut


@dataclass(frozen=True, kw_only=True, slots=True)
class QueryContext:
    """One request's view of the portal.

    `reads` go through the cache or past it; `now` is the instant it is answered for, and `call`
    what its calls to HubSpot are bound by: its deadline, its priority, its meters. `cursor_seal` is
    put on the cursors given out, and looked for on those that come back. `likely` is the process's
    memory of what exams there were.
    """

    profile: PortalProfile
    reads: FamilyReads
    fan_out: FanOut
    now: datetime
    call: CallContext
    cursor_seal: CursorSeal
    likely: LikelyExams
