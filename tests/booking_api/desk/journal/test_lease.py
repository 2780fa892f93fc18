"""Leases: one holder at a time, whoever else tries, and none that was overtaken writes."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models.functions import Now

from booking_api.desk.journal.lease import LONG_AGO, LeaseKeeper, LeaseLost
from booking_api.desk.journal.models import Lease, RecountRequest

pytestmark = pytest.mark.django_db

LONG = timedelta(minutes=5)


def keepers() -> tuple[LeaseKeeper, LeaseKeeper]:
    return LeaseKeeper("desk", LONG, "first"), LeaseKeeper("desk", LONG, "second")


def let_it_expire() -> None:
    Lease.objects.update(expires_at=LONG_AGO)


def test_only_one_holds_it() -> None:
    first, second = keepers()

    assert first.acquire() is not None
    assert second.acquire() is None
    assert first.acquire() is None


def test_what_was_given_back_is_free_and_nothing_is_taken_over() -> None:
    first, second = keepers()
    held = first.acquire()
    assert held is not None

    held.give_back()
    next_held = second.acquire()

    assert next_held is not None
    assert not next_held.taken_over
    assert next_held.epoch == held.epoch + 1


def test_a_holder_whose_time_is_over_is_taken_over_and_may_not_write() -> None:
    first, second = keepers()
    overtaken = first.acquire()
    assert overtaken is not None
    let_it_expire()

    taken = second.acquire()

    assert taken is not None
    assert taken.taken_over
    with pytest.raises(LeaseLost):
        overtaken.renew()
    with pytest.raises(LeaseLost), overtaken.fenced_transaction():
        RecountRequest.objects.create(subject_id="1", asked_at=Now(), next_attempt_at=Now())
    assert not RecountRequest.objects.exists()
    overtaken.give_back()
    assert second.acquire() is None


def test_a_late_holder_whom_nobody_overtook_goes_on() -> None:
    first, second = keepers()
    held = first.acquire()
    assert held is not None
    let_it_expire()

    held.renew()

    assert second.acquire() is None


def test_leases_of_different_names_know_nothing_of_each_other() -> None:
    assert LeaseKeeper("desk", LONG).acquire() is not None
    assert LeaseKeeper("scheduler", LONG).acquire() is not None
