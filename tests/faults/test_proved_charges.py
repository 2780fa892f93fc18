"""One booking costs one credit, whatever goes wrong at its charge and whoever writes beside it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest
from pytest_django import Settings

from booking_api import composition
from booking_api.desk.journal.models import EntryState, JournalEntry
from tests.builders import Portal
from tests.desk import create, credit_of
from tests.faults.groups import DeskUnderTest, running_desk
from tests.faults.tables import CONTACTS, WRITES
from tests.faults.world import seats
from tests.waiting import eventually

pytestmark = pytest.mark.django_db(transaction=True)

CREDIT = "credits_clinical"
CREDITS_PATH = WRITES["credits"]
SHOP = ("INTEGRATION", "99999")


@pytest.fixture
def desk(settings: Settings, portal: Portal) -> Iterator[DeskUnderTest]:
    with running_desk(settings, portal.sandbox) as running:
        yield running


@pytest.mark.parametrize("started", [True, False], ids=["a server", "a command"])
def test_another_apps_value_is_not_taken_for_ours_though_links_could_not_be_learnt(
    desk: DeskUnderTest, portal: Portal, started: bool
) -> None:
    portal.sandbox.drop_property(CONTACTS, "credit_write_marker")
    student, exam = portal.student("ann", credits=5), portal.exam()
    if started:
        labels = portal.sandbox.fault("status", path="/labels", status=500)
        composition.services().booking.start()
        portal.sandbox.clear_faults(labels)
    with desk.held_up():
        portal.sandbox.fault("cut_before", path=CREDITS_PATH, times=1)
        group = desk.begin([partial(create, desk.api, student, exam)])
        unread = portal.sandbox.fault("status", path="/0-1/batch/read", nth=2, status=500)
    eventually(lambda: JournalEntry.objects.filter(state=EntryState.WRITTEN).exists())
    portal.sandbox.write_as(SHOP, CONTACTS, student.id, **{CREDIT: "4"})
    portal.sandbox.clear_faults(unread)
    desk.wait_until_idle()

    group.wait_for_replies()
    assert len(seats(portal)) == 1
    assert credit_of(portal, student) == 3
