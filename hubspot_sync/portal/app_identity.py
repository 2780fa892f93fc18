"""Which app we are: HubSpot names the app that set a value, in its history, or caused an event.

Only a private app's token tells. Of a service key HubSpot may not know; then any app's value may be
ours.
"""

from __future__ import annotations

from hubspot_sync.errors import NotFound, Refused
from hubspot_sync.wire.call_context import CallContext
from hubspot_sync.wire.endpoints import Operation
from hubspot_sync.wire.transport import Request, Transport


def ask_own_app_id(transport: Transport, token: str, context: CallContext) -> str | None:
    """Return the id of the app whose token this is, None where HubSpot does not say; raises
    HubSpotError where it could not be asked."""
    request = Request(operation=Operation.TOKEN_INFO, body={"tokenKey": token})
    try:
        app_id = transport.call(request, context).body.get("appId")
    except (Refused, NotFound):
        return None
    return None if app_id is None else str(app_id)
