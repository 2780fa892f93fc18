"""What HubSpot told of a record, in words. They name nobody: values are not kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from booking_api.admin.words.requests import Tone, count_tries
from hubspot_sync.inbox.events import EventKind
from hubspot_sync.inbox.inbox import BETWEEN_RECORDS
from hubspot_sync.inbox.models import WebhookEvent

HAPPENED: Final[Mapping[str, str]] = {
    EventKind.CREATION: "was created",
    EventKind.DELETION: "was deleted",
    EventKind.RESTORE: "was restored",
    EventKind.MERGE: "were merged",
    EventKind.PRIVACY_DELETION: "was deleted for good, to be forgotten",
    EventKind.ASSOCIATION_CHANGE: "were linked, or their link was removed",
}
STATES: Final[Mapping[str, str]] = {
    WebhookEvent.State.RECEIVED: "waiting to be applied",
    WebhookEvent.State.APPLIED: "applied",
    WebhookEvent.State.FAILED: "not applied: it failed",
    WebhookEvent.State.IGNORED: "nothing to do",
}


NAMES: Final[Mapping[str, str]] = {"mockexam": "exam", "other": "record"}
"""What the inbox calls records by another word than we do here."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EventWords:
    """`outcome` is what became of the event, and by what the change was made, as HubSpot says."""

    title: str
    outcome: str
    tone: Tone


def describe_event(event: WebhookEvent) -> EventWords:
    about = ", ".join(map(_name_record, event.records.split(BETWEEN_RECORDS)))
    if about == "":
        about = "something unknown"
    if event.kind == EventKind.PROPERTY_CHANGE:
        title = f"HubSpot told: “{event.property_name}” of {about} was changed"
    elif event.kind in HAPPENED:
        title = f"HubSpot told: {about} {HAPPENED[event.kind]}"
    else:
        title = f"HubSpot told of {about} what this version does not know"
    outcome = STATES.get(event.state, event.state)
    if event.state != WebhookEvent.State.APPLIED and event.attempts > 0:
        outcome = f"{outcome}, {count_tries(event.attempts)}"
    if event.change_source:
        outcome = f"{outcome}; changed by {event.change_source}"
    failed = event.state == WebhookEvent.State.FAILED
    return EventWords(title=title, outcome=outcome, tone="warn" if failed else "off")


def _name_record(text: str) -> str:
    kind, blank, record_id = text.partition(" ")
    return f"{NAMES.get(kind, kind)}{blank}{record_id}"
