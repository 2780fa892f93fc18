"""A process that takes or applies webhooks may be killed between two steps: no event is lost."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import count

import pytest
from django.utils import timezone

from booking_api.desk.journal.models import RecountRequest
from hubspot_sync.inbox.inbox import CLAIMED_FOR
from hubspot_sync.inbox.models import WebhookEvent
from tests.api import Api
from tests.builders import Portal
from tests.killing import SHARES, count_statements, kill_after
from tests.webhooks import Events, Raw, exams_to_recount, pipeline, tell

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("webhook_secret"),
]


def later() -> datetime:
    """When the claims of whoever was killed are over."""
    return timezone.now() + CLAIMED_FOR + timedelta(seconds=1)


@pytest.fixture
def told(portal: Portal, events: Events) -> tuple[list[Raw], set[str]]:
    """Events on two exams, and those exams: a state, a restored booking, a link, a name."""
    exams = [portal.exam(), portal.exam()]
    alice = portal.student("alice")
    bookings = [portal.booking(alice, exam) for exam in exams]
    raw = [
        events.changed(bookings[0].id, "is_active"),
        events.booking("restore", bookings[1].id),
        events.link(("bookings", bookings[1].id), ("mock_exams", exams[1].id)),
        events.changed(bookings[0].id, "name"),
    ]
    return raw, {exam.id for exam in exams}


def apply_here() -> None:
    """Apply what waits in the process that calls."""
    pipeline().applier.apply_waiting()


def nothing_happened_yet() -> None:
    WebhookEvent.objects.all().delete()
    RecountRequest.objects.all().delete()


def assert_all_was_applied(number: int, exams: set[str]) -> None:
    states = list(WebhookEvent.objects.values_list("state", flat=True))
    assert states == ["applied"] * number
    assert exams_to_recount() == exams


def test_whoever_is_killed_while_taking_events_is_sent_them_again(
    api: Api, told: tuple[list[Raw], set[str]]
) -> None:
    raw, exams = told
    for statement in count(1):
        nothing_happened_yet()
        killed = kill_after(statement, lambda: tell(api, *raw))

        again = tell(api, *raw)

        assert again.body["processed"] + again.body["duplicates"] == len(raw)
        assert WebhookEvent.objects.count() == len(raw)
        apply_here()
        assert_all_was_applied(len(raw), exams)
        if not killed:
            assert statement > 2
            return


@SHARES
def test_whoever_is_killed_while_applying_events_leaves_them_to_the_next(
    api: Api, told: tuple[list[Raw], set[str]], every: int
) -> None:
    raw, exams = told
    for statement in count_statements(every):
        nothing_happened_yet()
        tell(api, *raw)
        killed = kill_after(statement, apply_here)

        pipeline(now=later).applier.apply_waiting()

        assert_all_was_applied(len(raw), exams)
        if not killed:
            assert statement > 5
            return
