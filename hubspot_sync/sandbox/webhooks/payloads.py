"""What HubSpot's webhooks say, and how they are signed.

A change becomes an event with the fields that hubspot-facts lists and no more: a deletion names no
properties, an association change no single object. Contacts are told of in the older words
(`contact.creation`) or the general ones (`object.creation` with a type id), as subscribed.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode
from typing import Any

from hubspot_sync.sandbox.config import APP_ID, PORTAL_ID
from hubspot_sync.sandbox.data.records import Change
from hubspot_sync.sandbox.data.schemas import CONTACTS

FIRST_SUBSCRIPTION_ID = 1_000
PRIVACY_SUBSCRIPTION_ID = 2_000
KINDS = ("creation", "deletion", "propertyChange", "associationChange", "restore", "merge")
OLDER_KINDS = frozenset(KINDS) - {"restore"}
CHANGE_FLAGS = {"creation": "NEW", "deletion": "DELETED"}

# HubSpot signs the URI with these decoded, and only these ("validating requests", v3).
DECODED_BEFORE_SIGNING = {
    "%3A": ":",
    "%2F": "/",
    "%3F": "?",
    "%40": "@",
    "%21": "!",
    "%24": "$",
    "%27": "'",
    "%28": "(",
    "%29": ")",
    "%2A": "*",
    "%2C": ",",
    "%3B": ";",
}


def events_of(change: Change, *, event_id: int, contact_words: str) -> list[dict[str, Any]]:
    """Return the events that tell of `change`: one, or two where contacts are subscribed to both
    ways (`contact_words` "both"; else "contact" or "object")."""
    if change.kind == "privacyDeletion":
        return [_privacy_event(change, event_id)]
    older = change.object_type == CONTACTS and change.kind in OLDER_KINDS
    wanted = {"both": ("contact", "object")}.get(contact_words, (contact_words,))
    return [_event(change, event_id, word) for word in (wanted if older else ("object",))]


def _event(change: Change, event_id: int, word: str) -> dict[str, Any]:
    place = KINDS.index(change.kind) + (len(KINDS) if word == "contact" else 0)
    event: dict[str, Any] = {
        "eventId": event_id,
        "subscriptionId": FIRST_SUBSCRIPTION_ID + place,
        "portalId": PORTAL_ID,
        "appId": APP_ID,
        "occurredAt": change.at_ms,
        "subscriptionType": f"{word}.{change.kind}",
        "attemptNumber": 0,
        "changeSource": change.source.name,
        "sourceId": change.source.id,
    }
    if change.kind == "associationChange":
        return {
            **event,
            "fromObjectId": int(change.object_id),
            "toObjectId": int(change.to_id or 0),
            "fromObjectTypeId": change.object_type,
            "toObjectTypeId": change.to_type,
            "associationRemoved": change.removed,
            "isPrimaryAssociation": False,
        }
    event["objectId"] = int(change.object_id)
    if change.kind == "merge":
        event["primaryObjectId"] = event["newObjectId"] = int(change.object_id)
        event["mergedObjectIds"] = [int(change.merged_id or 0)]
        event["numberOfPropertiesMoved"] = 0
    if word == "object":
        event["objectTypeId"] = change.object_type
    if change.kind in CHANGE_FLAGS:
        event["changeFlag"] = CHANGE_FLAGS[change.kind]
    if change.kind == "propertyChange":
        event["propertyName"] = change.property_name
        event["propertyValue"] = change.property_value
        event["isSensitive"] = False
    return event


def _privacy_event(change: Change, event_id: int) -> dict[str, Any]:
    return {
        "eventId": event_id,
        "subscriptionId": PRIVACY_SUBSCRIPTION_ID,
        "portalId": PORTAL_ID,
        "appId": APP_ID,
        "occurredAt": change.at_ms,
        "subscriptionType": "contact.privacyDeletion",
        "attemptNumber": 0,
        "objectId": int(change.object_id),
        "changeSource": change.source.name,
        "sourceId": change.source.id,
    }


def signed_headers(
    body: bytes, *, url: str, secret: str, signature: str, at_ms: int
) -> dict[str, str]:
    """Return the headers that sign a POST of `body` to `url`: "v3", "v1" or "both"."""
    headers: dict[str, str] = {}
    if signature in {"v1", "both"}:
        headers["X-HubSpot-Signature"] = signature_v1(secret, body)
        headers["X-HubSpot-Signature-Version"] = "v1"
    if signature in {"v3", "both"}:
        headers["X-HubSpot-Request-Timestamp"] = str(at_ms)
        headers["X-HubSpot-Signature-v3"] = signature_v3(secret, "POST", url, body, str(at_ms))
    return headers


def signature_v1(secret: str, body: bytes) -> str:
    """Return hex SHA-256 of secret and body."""
    return hashlib.sha256(secret.encode() + body).hexdigest()


def signature_v3(secret: str, method: str, uri: str, body: bytes, timestamp: str) -> str:
    """Return base64 HMAC-SHA256 of method, URI (some encodings decoded), body and timestamp."""
    for encoded, character in DECODED_BEFORE_SIGNING.items():
        uri = uri.replace(encoded, character).replace(encoded.lower(), character)
    signed = f"{method}{uri}".encode() + body + timestamp.encode()
    return b64encode(hmac.new(secret.encode(), signed, hashlib.sha256).digest()).decode()
