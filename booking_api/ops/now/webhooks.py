"""What HubSpot has told, what of it is not applied yet, and how far its journal is followed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from booking_api.ops.metrics.backlog import count_rows
from booking_api.ops.now.desk import Waiting
from booking_api.ops.now.questions import Questions
from hubspot_sync.feed.models import FeedPosition
from hubspot_sync.inbox.models import WebhookEvent
from hubspot_sync.portal.models import UnreadableValue

MAX_FEED_SILENCE: Final = timedelta(minutes=2)


@dataclass(frozen=True, kw_only=True, slots=True)
class WebhooksNow:
    """None stands for what is not known; `is_silent` says that no event was ever received. `feed`
    is empty where no change journal was ever followed."""

    waiting: Waiting | None
    failed: int | None
    last_at: datetime | None
    is_silent: bool
    unreadable: int | None
    feed: Sequence[FeedPosition] | None


def stands_still_since(position: FeedPosition, at: datetime) -> datetime | None:
    """Return since when the change journal is not followed any more; None while it is. One call
    that failed says nothing yet, and that all is well is written down every half minute."""
    for since in (position.failing_since, position.at_end_at):
        if since is not None and at - since > MAX_FEED_SILENCE:
            return since
    return None


def look_at_webhooks(questions: Questions) -> WebhooksNow:
    rows = WebhookEvent.objects.order_by()
    received = rows.filter(state=WebhookEvent.State.RECEIVED)
    counted = questions.ask("events", lambda: count_rows(received, "received_at"))
    last = questions.ask(
        "last event",
        lambda: list(rows.order_by("-received_at").values_list("received_at", flat=True)[:1]),
    )
    return WebhooksNow(
        waiting=None if counted is None else Waiting(number=counted[0], oldest_at=counted[1]),
        failed=questions.ask("failed events", rows.filter(state=WebhookEvent.State.FAILED).count),
        last_at=last[0] if last else None,
        is_silent=last == [],
        unreadable=questions.ask("unreadable values", UnreadableValue.objects.order_by().count),
        feed=questions.ask("change feed", lambda: list(FeedPosition.objects.order_by("-id")[:1])),
    )
