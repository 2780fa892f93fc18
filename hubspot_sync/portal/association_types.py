"""The association types that new records are linked with.

They differ from portal to portal and per direction (hubspot-facts, Associations), so the portal is
asked, once per process, unless its profile names them.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from hubspot_sync.errors import Refused
from hubspot_sync.portal.profile import PortalProfile
from hubspot_sync.portal.required_schema import RequiredAssociation, required_associations
from hubspot_sync.wire.call_context import CallContext
from hubspot_sync.wire.endpoints import Operation
from hubspot_sync.wire.transport import Request, Transport

HUBSPOTS_OWN: Final = "HUBSPOT_DEFINED"


@dataclass(frozen=True, kw_only=True, slots=True)
class AssociationType:
    """The unlabelled association of one direction."""

    type_id: int
    category: str


def read_unlabelled_types(
    link: RequiredAssociation, transport: Transport, context: CallContext
) -> Sequence[AssociationType]:
    """Return the unlabelled types of a direction; raises HubSpotError. A labelled one does not do:
    records may have one without the other."""
    request = Request(operation=Operation.LABELS, object_type=link.from_type, to_type=link.to_type)
    return [
        AssociationType(type_id=type_id, category=str(label.get("category")))
        for label in transport.call(request, context).results
        if label.get("label") is None and isinstance(type_id := label.get("typeId"), int)
    ]


class AssociationTypes:
    """The association types of one portal; safe to share between threads."""

    def __init__(self, profile: PortalProfile, transport: Transport) -> None:
        self._links: Mapping[str, RequiredAssociation] = {
            link.name: link for link in required_associations(profile)
        }
        self._transport = transport
        self._lock = threading.Lock()
        self._known: dict[str, AssociationType] = {}

    def of(self, name: str, context: CallContext) -> AssociationType:
        """Return the type of `name` (`"bookings->contacts"`); raises HubSpotError, Refused where
        the portal has none that fits."""
        with self._lock:
            if name not in self._known:
                self._known[name] = self._learn(self._links[name], context)
            return self._known[name]

    def _learn(self, link: RequiredAssociation, context: CallContext) -> AssociationType:
        if link.from_type.startswith("0-") and link.type_id is not None:
            return AssociationType(type_id=link.type_id, category=HUBSPOTS_OWN)
        for association_type in read_unlabelled_types(link, self._transport, context):
            if link.type_id in (None, association_type.type_id):
                return association_type
        raise Refused(f"The portal has no association type for {link.name}.")
