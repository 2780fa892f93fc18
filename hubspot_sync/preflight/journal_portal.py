"""Whether the change journal is that of the portal whose records we read and write."""

from __future__ import annotations

from hubspot_sync.config import HubSpotConfig
from hubspot_sync.errors import HubSpotError
from hubspot_sync.portal.portal_facts import ask_own_portal_id
from hubspot_sync.preflight.findings import Finding, FindingKind
from hubspot_sync.wire.call_context import CallContext
from hubspot_sync.wire.transport import Transport


def check_portal(
    portal_id: str, config: HubSpotConfig, transport: Transport, context: CallContext
) -> Finding:
    """Compare HUBSPOT_PORTAL_ID with the portal that the access token is of. Whether it is the
    journal's too, the journal's own token says. Never raises for what HubSpot does not say."""
    try:
        own = ask_own_portal_id(transport, config.token, context)
    except HubSpotError:
        own = None
    if own is None:
        verdict, found = FindingKind.WARNING, f"{portal_id}; HubSpot does not say of its own token"
    else:
        verdict = FindingKind.OK if own == portal_id else FindingKind.WRONG
        found = portal_id
    return Finding(
        area="change journal",
        subject="HUBSPOT_PORTAL_ID",
        found=found,
        wanted="that of HS_PRIVATE_APP_TOKEN" if own is None else own,
        verdict=verdict,
    )
