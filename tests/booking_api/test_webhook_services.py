"""The inbox applied: what the journal knows, what the cache has not heard, what cannot be done."""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Mapping
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import OperationalError
from django.utils import timezone

from booking_api import composition
from booking_api.ops.metrics import Metrics
from cache_layer import BackendUnavailable
from hubspot_sync.inbox.models import WebhookEvent
from hubspot_sync.inbox.observers import EventObservers
from tests.api import Api
from tests.builders import Booking, Exam, Portal
from tests.webhooks import Events, apply_waiting, exams_to_recount, pipeline, tell

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("webhook_secret")]

OURS = {"changeSource": "INTEGRATION", "sourceId": "54321"}


@pytest.fixture
def exam(portal: Portal) -> Exam:
    return portal.exam()


@pytest.fixture
def booking(portal: Portal, exam: Exam) -> Booking:
    return portal.booking(portal.student("alice"), exam)


def recounted(journal: Mapping[str, str]) -> set[str]:
    """Apply what waits beside this journal, and return the exams that were asked for."""
    asked: set[str] = set()
    pipeline(asked.update, lambda _: journal).applier.apply_waiting()
    return asked


# The journal


def test_the_exam_of_a_dead_booking_is_known_from_the_journal(api: Api, events: Events) -> None:
    tell(api, events.booking("deletion", "9"))

    assert recounted({"9": "5"}) == {"5"}


def test_what_our_own_desk_wrote_is_not_counted_again(
    api: Api, portal: Portal, events: Events, exam: Exam, booking: Booking
) -> None:
    tell(
        api,
        events.booking("creation", booking.id, **OURS),
        events.changed(booking.id, "is_active", **OURS),
        events.link(("bookings", booking.id), ("mock_exams", exam.id), **OURS),
    )
    portal.sandbox.clear_calls()

    assert recounted({booking.id: exam.id}) == set()
    assert portal.sandbox.calls() == []


@pytest.mark.parametrize("source", [OURS, {**OURS, "sourceId": "77777"}, {}])
def test_what_the_journal_does_not_know_is_counted_whoever_wrote_it(
    source: dict[str, str], api: Api, events: Events, exam: Exam, booking: Booking
) -> None:
    tell(api, events.booking("creation", booking.id, **source))

    assert recounted({}) == {exam.id}


def test_what_a_person_changes_in_our_own_booking_is_counted(
    api: Api, events: Events, exam: Exam, booking: Booking
) -> None:
    tell(api, events.changed(booking.id, "is_active"))

    assert recounted({booking.id: exam.id}) == {exam.id}


# The cache


@pytest.fixture
def deaf(api: Api, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """A cache that hears of no invalidation until the list is emptied."""
    backend = composition.services().cached.cache.backend
    invalidate = backend.invalidate
    silent = [True]

    def refuse(tags: Collection[str], keys: Collection[str]) -> Any:
        if silent:
            raise BackendUnavailable("no answer")
        return invalidate(tags, keys)

    monkeypatch.setattr(backend, "invalidate", refuse)
    return silent


def test_what_the_cache_has_not_heard_of_waits_until_it_has(
    api: Api, events: Events, deaf: list[bool]
) -> None:
    assert tell(api, events.changed("9")).status == 200
    assert apply_waiting().requeued == 1

    deaf.clear()
    WebhookEvent.objects.update(due_at=timezone.now())
    assert apply_waiting().applied == 1

    row = WebhookEvent.objects.get()
    assert (row.state, row.invalidated) == ("applied", True)


def test_a_command_leaves_it_to_the_server_whose_cache_it_is(
    api: Api, events: Events, deaf: list[bool]
) -> None:
    tell(api, events.changed("9"), events.link(("bookings", "9"), ("mock_exams", "5")))
    WebhookEvent.objects.filter(kind="associationChange").update(invalidated=True)
    said = StringIO()

    call_command("apply_webhooks", stdout=said)

    assert "1 applied, 0 put back for later, 0 given up; 1 exams to recount; 1 waiting." in (
        said.getvalue()
    )


# What cannot be applied


def test_an_event_that_cannot_be_applied_holds_up_no_other(
    api: Api, events: Events, caplog: pytest.LogCaptureFixture
) -> None:
    tell(api, *[events.link(("bookings", "9"), ("mock_exams", str(n))) for n in range(1, 9)])
    WebhookEvent.objects.filter(records__contains="mockexam 5").update(raw="spoilt")
    asked: set[str] = set()

    with caplog.at_level(logging.ERROR):
        done = pipeline(asked.update).applier.apply_waiting()

    assert (done.applied, done.failed) == (7, 1)
    assert asked == {"1", "2", "3", "4", "6", "7", "8"}
    assert "cannot be applied" in caplog.text
    assert WebhookEvent.objects.get(state="failed").error.startswith("InvalidJson")


def test_what_hubspot_quotes_is_neither_kept_nor_logged(
    api: Api,
    portal: Portal,
    events: Events,
    booking: Booking,
    caplog: pytest.LogCaptureFixture,
) -> None:
    tell(api, events.booking("creation", booking.id))
    words = {"status": "error", "category": "VALIDATION_ERROR", "message": "no alice@x.example"}
    portal.sandbox.fault("status", path="associations", status=400, body=words)

    with caplog.at_level(logging.DEBUG):
        assert apply_waiting().requeued == 1

    error = WebhookEvent.objects.get().error
    assert error.startswith("HubSpot refused with 400: VALIDATION_ERROR")
    assert "alice" not in error + caplog.text


def test_what_an_error_quotes_is_not_kept_of_an_event_that_is_given_up(
    api: Api, events: Events
) -> None:
    tell(api, events.link(("bookings", "9"), ("mock_exams", "5")))

    def refuse(_: Collection[str]) -> None:
        raise ValueError("invalid literal: 'alice@x.example'")

    assert pipeline(refuse).applier.apply_waiting().failed == 1

    assert WebhookEvent.objects.get().error == "ValueError"


def test_a_database_that_goes_away_meanwhile_is_nobodys_fault(api: Api, events: Events) -> None:
    tell(api, events.link(("bookings", "9"), ("mock_exams", "5")))

    def away(_: Collection[str]) -> None:
        raise OperationalError("the connection was cut")

    with pytest.raises(OperationalError):
        pipeline(away).applier.apply_waiting()

    assert WebhookEvent.objects.get().state == "received"


# The command, and the numbers


def test_the_command_says_what_it_did_and_prunes(api: Api, events: Events) -> None:
    tell(api, events.changed("8"), events.link(("bookings", "9"), ("mock_exams", "5")))
    old = timezone.now() - timedelta(days=8)
    WebhookEvent.objects.filter(state="applied").update(applied_at=old)
    said = StringIO()

    call_command("apply_webhooks", "--prune", stdout=said)

    assert said.getvalue() == (
        "1 applied, 0 put back for later, 0 given up; 1 exams to recount; 0 waiting.\n"
        "1 old events removed.\n"
    )
    assert exams_to_recount() == {"5"}


@pytest.mark.parametrize("prune", [False, True])
def test_a_machine_is_told_the_same(api: Api, events: Events, prune: bool) -> None:
    tell(api, events.changed("9"), events.link(("bookings", "9"), ("mock_exams", "5")))
    WebhookEvent.objects.filter(kind="associationChange").update(invalidated=True)
    said = StringIO()

    call_command("apply_webhooks", "--json", *(["--prune"] if prune else []), stdout=said)

    told = {"ok": True, "applied": 1, "requeued": 0, "failed": 0, "waiting": 0}
    told |= {"examsToRecount": ["5"], "pruned": 0 if prune else None}
    assert json.loads(said.getvalue()) == told


def test_the_command_fails_where_something_could_not_be_applied(
    api: Api, portal: Portal, events: Events, booking: Booking
) -> None:
    tell(api, events.booking("creation", booking.id))
    portal.sandbox.fault("status", path="associations", status=400)
    said = StringIO()

    with pytest.raises(SystemExit) as ended:
        call_command("apply_webhooks", "--json", stdout=said)

    assert ended.value.code == 1
    assert json.loads(said.getvalue())["ok"] is False


def test_events_and_their_delays_are_measured(api: Api, events: Events) -> None:
    metrics = Metrics()
    webhooks = pipeline(
        observers=EventObservers(
            of_events=[metrics.webhooks.observe_events], of_inbox=[metrics.webhooks.observe_inbox]
        )
    )
    body = b'[{"subscriptionType": "booking.deletion", "objectId": 9, "occurredAt": 1795471200000}]'
    unknown = b'{"subscriptionType": "x.y"}'

    webhooks.receiver.receive(body)
    webhooks.receiver.receive(body)
    webhooks.receiver.receive(unknown)
    before = {outcome: counted(metrics, outcome) for outcome in ("received", "applied")}
    webhooks.applier.apply_waiting()

    assert before == {"received": 2.0, "applied": None}
    assert [counted(metrics, outcome) for outcome in ("duplicate", "ignored", "applied")] == [
        1.0
    ] * 3
    assert metrics.registry.get_sample_value("mocks_webhook_delay_seconds_count") == 1.0
    assert metrics.registry.get_sample_value("mocks_webhook_events_waiting") == 0.0


def counted(metrics: Metrics, outcome: str) -> float | None:
    return metrics.registry.get_sample_value("mocks_webhook_events_total", {"outcome": outcome})


# What a request costs


def test_a_hundred_events_cost_the_entries_they_outdate_and_no_others(
    api: Api, portal: Portal, events: Events
) -> None:
    """Whatever else is held: nothing looks through the cache, and HubSpot is asked nothing."""
    alice = portal.student("alice")
    with portal.at_once():
        exams = [portal.exam(in_days=1 + number) for number in range(40)]
        bookings = [portal.booking(alice, exam) for exam in exams]
    api.get("/api/bookings/list", limit=100, **alice.pair)
    backend = composition.services().cached.cache.backend
    before = backend.size().total_entries
    told = [events.changed(bookings[number % 40].id, "is_active") for number in range(100)]
    portal.sandbox.clear_calls()

    reply = tell(api, *told)

    assert reply.body["processed"] == 100
    assert reply.body["mockExamsUpdated"] == 40
    assert portal.sandbox.calls() == []
    # The forty bookings and Alice's page went; the exams and the links stayed.
    assert before - backend.size().total_entries == 41
    done = apply_waiting()
    assert (done.applied, len(portal.sandbox.calls())) == (100, 1)
    assert exams_to_recount() == {exam.id for exam in exams}
