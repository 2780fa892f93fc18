"""What HubSpot told of a record, in words. They name nobody: values are not kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from booking_api.admin.words.requests import Tone, count_tries
from hubspot_sync.inbox.events import EventKind
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


@dataclass(frozen=True, kw_only=True, slots=True)
class EventWords:
    title: str
    tone: Tone
    lines: tuple[tuple[str, str], ...]


def describe_event(event: WebhookEvent) -> EventWords:
    about = event.records or "something unknown"
    if event.kind == EventKind.PROPERTY_CHANGE:
        happened = f"“{event.property_name}” was changed"
        title = f"HubSpot told of {about}: {happened}"
    elif event.kind in HAPPENED:
        title = f"HubSpot told: {about} {HAPPENED[event.kind]}"
    else:
        title = f"HubSpot told of {about} what this version does not know"
    state = STATES.get(event.state, event.state)
    if event.state != WebhookEvent.State.APPLIED and event.attempts > 0:
        state = f"{state}, {count_tries(event.attempts)}"
    lines = [("became of it", state)]
    if event.change_source:
        lines.append(("changed by", event.change_source))
    failed = event.state == WebhookEvent.State.FAILED
    return EventWords(title=title, tone="warn" if failed else "off", lines=tuple(lines))
