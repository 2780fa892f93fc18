"""What cannot be read in HubSpot is counted, and listed for operators with record and property."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from booking_api import composition
from booking_api.ops.metrics import Metrics
from hubspot_sync.portal.models import UnreadableValue
from hubspot_sync.portal.profile import load_profile
from hubspot_sync.portal.record_reader import read_exam
from hubspot_sync.portal.unreadable_values import MAX_NOTED, UnreadableValues
from tests.api import Api
from tests.builders import Portal
from tests.desk import create

pytestmark = pytest.mark.django_db(transaction=True)

AVAILABLE = "/api/mock-exams/available"
PROFILE = load_profile("default")


def listed() -> set[tuple[str, str, str]]:
    return set(UnreadableValue.objects.values_list("kind", "record_id", "property_name"))


def write_noted() -> None:
    """Do what the worker of a serving process does every few seconds."""
    composition.services().unreadable.write_noted()


def nobody(kind: str, property_name: str) -> None:
    """Who counts nothing."""


def test_what_students_come_upon_is_listed_and_leaves_the_list_once_it_is_readable(
    api: Api, portal: Portal
) -> None:
    contacts, exams = portal.profile.object_types.contacts, portal.profile.object_types.mock_exams
    alice, exam = portal.student("alice", firstname="Ada"), portal.exam()
    portal.sandbox.edit(contacts, alice.id, credits_clinical="call 4165550123", credits_osce="?")
    portal.sandbox.edit(exams, exam.id, capacity="lots", end_time="late")

    create(api, alice, exam)
    write_noted()

    seen = {
        ("contact", alice.id, "credits_clinical"),
        ("contact", alice.id, "credits_osce"),
        ("mock_exam", exam.id, "capacity"),
        ("mock_exam", exam.id, "end_time"),
    }
    assert listed() == seen
    portal.sandbox.edit(contacts, alice.id, credits_clinical="4")
    portal.sandbox.edit(exams, exam.id, capacity="20", end_time="13:00")
    assert create(api, alice, exam).status == 201
    write_noted()
    assert listed() == {("contact", alice.id, "credits_osce")}


def test_a_value_that_was_not_seen_for_a_day_leaves_the_list() -> None:
    now = timezone.now()
    values = UnreadableValues(lambda: now, nobody)
    for record_id, age_h in (("1", 23), ("2", 25)):
        seen = now - timedelta(hours=age_h)
        UnreadableValue.objects.create(
            kind="contact",
            record_id=record_id,
            property_name="credits_osce",
            first_seen=seen,
            last_seen=seen,
        )

    values.write_noted()

    assert listed() == {("contact", "1", "credits_osce")}


def test_a_value_seen_again_and_again_is_written_once_an_hour() -> None:
    now = timezone.now()
    values = UnreadableValues(lambda: now, nobody)
    exam = read_exam("7", {"capacity": "lots"}, PROFILE)

    def seen_after(minutes: int) -> timedelta:
        nonlocal now
        now += timedelta(minutes=minutes)
        values.note(exam)
        values.write_noted()
        row = UnreadableValue.objects.get()
        return row.last_seen - row.first_seen

    assert [seen_after(minutes) for minutes in (0, 30, 31)] == [
        timedelta(),
        timedelta(),
        timedelta(minutes=61),
    ]


def test_what_waits_to_be_written_is_bounded() -> None:
    values = UnreadableValues(timezone.now, nobody)
    for record_id in range(1, MAX_NOTED + 50):
        values.note(read_exam(str(record_id), {"capacity": "lots"}, PROFILE))
    values.note(read_exam("no-id", {"capacity": "lots"}, PROFILE))

    values.write_noted()

    assert UnreadableValue.objects.count() == MAX_NOTED


def test_they_are_counted_by_object_and_property_alone(api: Api, portal: Portal) -> None:
    metrics = Metrics()
    composition.observe_unreadable(metrics.hubspot.observe_unreadable)
    exam = portal.exam()
    portal.sandbox.edit(
        portal.profile.object_types.mock_exams, exam.id, capacity="lots", total_bookings="-5"
    )

    api.get(AVAILABLE, mock_type="clinical")

    counted = {
        (sample.labels["object"], sample.labels["property"]): set(sample.labels)
        for metric in metrics.registry.collect()
        for sample in metric.samples
        if sample.name == "mocks_hubspot_unreadable_values_total" and sample.value > 0
    }
    # An exam may be read more than once for an answer.
    assert counted[("mock_exam", "capacity")] == {"object", "property"}


def test_operators_see_the_record_and_the_property(client: Client, settings: Settings) -> None:
    now = timezone.now()
    UnreadableValue.objects.create(
        kind="contact",
        record_id="4711",
        property_name="credits_osce",
        first_seen=now,
        last_seen=now,
    )
    client.force_login(get_user_model().objects.create_superuser("staff"))

    page = client.get(reverse("admin:hubspot_sync_unreadablevalue_changelist"))

    assert page.status_code == 200
    assert "4711" in page.text
    assert "credits_osce" in page.text
