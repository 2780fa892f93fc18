"""What is asked for again is done again, whoever is just done with an earlier request."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from booking_api.desk.journal import follow_ups
from booking_api.desk.journal.models import CreditReview, RecountRequest

pytestmark = pytest.mark.django_db


def ask_for_a_recount() -> None:
    follow_ups.request_recounts(["5"], timezone.now())


def ask_for_a_review() -> None:
    follow_ups.request_reviews(["5"], timezone.now(), timezone.now(), overtaken=True)


@pytest.mark.parametrize(
    ("kind", "ask"), [(RecountRequest, ask_for_a_recount), (CreditReview, ask_for_a_review)]
)
def test_a_request_outlives_the_end_of_an_earlier_one(
    kind: type[RecountRequest] | type[CreditReview], ask: Callable[[], None]
) -> None:
    ask()
    earlier = kind.objects.get()

    def somebody_is_done_after(execute: Callable[..., Any], *statement: Any) -> Any:
        """After each statement of the new request, whoever did the earlier one deletes it."""
        result = execute(*statement)
        if not statement[0].startswith("DELETE"):
            kind.objects.filter(id=earlier.id, version=earlier.version).delete()
        return result

    with connection.execute_wrapper(somebody_is_done_after):
        ask()

    assert kind.objects.get().subject_id == "5"


def test_what_a_paused_desk_may_have_spoilt_stays_said() -> None:
    ask_for_a_review()

    follow_ups.request_reviews(["5"], timezone.now(), timezone.now(), overtaken=False)

    assert CreditReview.objects.get().overtaken


def test_asking_again_asks_once_and_at_the_new_time() -> None:
    later = timezone.now() + timedelta(hours=1)
    ask_for_a_review()

    follow_ups.request_reviews(["5", "5"], timezone.now(), later, overtaken=False)

    assert CreditReview.objects.get().next_attempt_at == later
