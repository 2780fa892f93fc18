"""`manage.py doctor` and the change feed: each kind of trouble made for real."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import Settings

from booking_api.desk.journal.lease import LeaseKeeper
from booking_api.desk.journal.models import Lease
from booking_api.ops.feed import FEED_LEASE
from hubspot_sync.config import HubSpotConfig
from hubspot_sync.feed.models import FeedPosition
from hubspot_sync.feed.positions import name_source
from hubspot_sync.portal.profile import load_profile
from hubspot_sync.preflight.sandbox_journal import subscribe_in_sandbox
from tests.booking_api.ops.doctor.patient import examined
from tests.hubspot_sync.journals import journal_config
from tests.sandbox import SandboxHandle

AREA = "change feed"

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def hubspot(kind_sandbox: SandboxHandle, settings: Settings) -> SandboxHandle:
    """All is well: everything is subscribed to, and somebody follows."""
    settings.DEBUG = True
    settings.HUBSPOT = HubSpotConfig(base_url=kind_sandbox.base_url, token=kind_sandbox.token)
    settings.HUBSPOT_JOURNAL = journal_config(kind_sandbox.base_url, hears_of_all_objects=True)
    subscribe_in_sandbox(kind_sandbox.base_url, load_profile("default"))
    now = timezone.now()
    FeedPosition.objects.create(
        source=name_source(settings.HUBSPOT_JOURNAL), portal_id="62515", offset="x", at_end_at=now
    )
    assert LeaseKeeper(FEED_LEASE, timedelta(minutes=1)).acquire() is not None
    return kind_sandbox


def bad() -> dict[str, dict[str, str]]:
    """What is said of the feed and is not well, by subject."""
    findings = examined("--no-server").body["findings"]
    return {
        each["subject"]: each
        for each in findings
        if each["area"] == AREA and each["verdict"] != "ok"
    }


def test_a_feed_that_is_followed_is_well(hubspot: SandboxHandle) -> None:
    assert bad() == {}


def test_without_an_app_nothing_is_asked(hubspot: SandboxHandle, settings: Settings) -> None:
    settings.HUBSPOT_JOURNAL = journal_config(
        hubspot.base_url, client_id="", client_secret="", portal_id=""
    )
    before = hubspot.journal()["tokens"]

    assert bad() == {}
    assert hubspot.journal()["tokens"] == before


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"client_secret": "another"}, "BAD_CLIENT_SECRET"),
        ({"client_id": "another"}, "BAD_CLIENT_ID"),
        ({"portal_id": "62516"}, "portal 62515"),
    ],
)
def test_what_hubspot_refuses_is_said(
    hubspot: SandboxHandle, settings: Settings, changes: dict[str, str], said: str
) -> None:
    settings.HUBSPOT_JOURNAL = replace(settings.HUBSPOT_JOURNAL, **changes)

    line = bad()["journal"]

    assert line["verdict"] == "wrong"
    assert said in line["found"]


def test_a_journal_that_does_not_answer_is_not_known(hubspot: SandboxHandle) -> None:
    hubspot.fault("status", path="/webhooks-journal", status=503)

    assert bad()["journal"]["verdict"] == "unknown"


def test_subscriptions_that_are_missing_are_named(hubspot: SandboxHandle) -> None:
    hubspot.reset()

    line = bad()["subscriptions"]

    assert line["verdict"] == "missing"
    assert "OBJECT" in line["found"]
    assert "--apply" in line["advice"]


def give_back() -> None:
    Lease.objects.filter(name=FEED_LEASE).update(holder="")


def vanish() -> None:
    Lease.objects.filter(name=FEED_LEASE).update(expires_at=timezone.now())


@pytest.mark.parametrize("lose", [give_back, vanish, Lease.objects.all().delete])
def test_a_lease_that_nobody_holds(hubspot: SandboxHandle, lose: Callable[[], Any]) -> None:
    lose()

    assert bad()["lease"]["verdict"] == "warning"


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"at_end_at": timedelta(minutes=5)}, "not confirmed for 5 min"),
        ({"failing_since": timedelta(minutes=9)}, "not confirmed for 9 min"),
        ({"owed_since": timedelta(minutes=7)}, "a booking made 7 min ago"),
        ({"erasures_missed_at": timedelta(minutes=61)}, "requests to forget somebody"),
    ],
)
def test_one_that_stands_still_or_owes_us_something(
    hubspot: SandboxHandle, values: dict[str, timedelta], said: str
) -> None:
    now = timezone.now()
    FeedPosition.objects.update(**{name: now - ago for name, ago in values.items()})

    line = bad()["followed"]

    assert line["verdict"] == "warning"
    assert said in line["found"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (FeedPosition.objects.all().delete, "never"),
        (lambda: FeedPosition.objects.update(source="another"), "another app or portal"),
    ],
)
def test_one_that_was_never_followed(
    hubspot: SandboxHandle, change: Callable[[], Any], said: str
) -> None:
    change()

    assert said in bad()["followed"]["found"]


def test_offline_only_our_own_database_is_asked(hubspot: SandboxHandle) -> None:
    before = hubspot.journal()["tokens"]
    give_back()

    report = examined("--offline", "--no-server")

    assert report.verdict(AREA, "lease") == "warning"
    assert hubspot.journal()["tokens"] == before
