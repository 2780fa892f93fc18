"""A lease is renewed beside the calls made with it: as long as a step may last, and no longer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from booking_api.desk.journal.lease import (
    LONG_AGO,
    HeldLease,
    LeaseHandedOn,
    LeaseKeeper,
    LeaseLost,
)
from booking_api.desk.journal.lease_renewal import IDLE_S, LeaseRenewal
from booking_api.desk.journal.models import Lease
from tests.waiting import eventually

pytestmark = pytest.mark.django_db(transaction=True)

LONG_S = 300.0


@pytest.fixture
def renewal() -> Iterator[LeaseRenewal]:
    renewal = LeaseRenewal(0.01)
    yield renewal
    assert renewal.worker.stop()


@pytest.fixture
def lease() -> HeldLease:
    held = LeaseKeeper("desk", timedelta(seconds=LONG_S), "holder").acquire()
    assert held is not None
    return held


def has_expired() -> bool:
    return Lease.objects.get().expires_at == LONG_AGO


def let_it_expire() -> None:
    Lease.objects.update(expires_at=LONG_AGO)


def test_it_is_renewed_for_as_long_as_a_step_lasts(renewal: LeaseRenewal, lease: HeldLease) -> None:
    for _ in range(2):
        renewal.begin_step(lease, LONG_S)
        let_it_expire()
        eventually(lambda: not has_expired())

    renewal.end_steps()

    assert renewal.renew_due() == IDLE_S
    let_it_expire()
    assert renewal.renew_due() == IDLE_S
    assert has_expired()


def test_it_is_not_renewed_before_it_is_time(lease: HeldLease) -> None:
    renewal = LeaseRenewal(LONG_S)
    renewal.begin_step(lease, LONG_S)
    let_it_expire()

    assert 0 < renewal.renew_due() <= LONG_S
    assert has_expired()
    assert renewal.worker.stop()


def test_a_step_that_ends_while_its_lease_is_renewed_has_ended(
    renewal: LeaseRenewal, lease: HeldLease
) -> None:
    renewal.begin_step(lease, LONG_S)
    ended = threading.Event()

    def end_it_before(execute: Callable[..., Any], *statement: Any) -> Any:
        renewal.end_steps()
        ended.set()
        return execute(*statement)

    with connection.execute_wrapper(end_it_before):
        eventually(lambda: renewal.renew_due() >= 0 and ended.is_set())

    assert renewal.renew_due() == IDLE_S


def test_whoever_hangs_at_a_step_is_overtaken(renewal: LeaseRenewal, lease: HeldLease) -> None:
    renewal.begin_step(lease, 0.0)
    let_it_expire()

    assert renewal.renew_due() == IDLE_S
    assert has_expired()


def test_a_lease_that_was_lost_is_renewed_no_more(renewal: LeaseRenewal, lease: HeldLease) -> None:
    renewal.begin_step(lease, LONG_S)
    Lease.objects.update(holder="other", epoch=lease.epoch + 1, expires_at=LONG_AGO)

    eventually(lambda: renewal.renew_due() == IDLE_S)

    assert has_expired()
    with pytest.raises(LeaseLost):
        renewal.begin_step(lease, LONG_S)


def test_no_step_is_begun_once_it_is_handed_on(renewal: LeaseRenewal, lease: HeldLease) -> None:
    renewal.begin_step(lease, LONG_S)

    renewal.hand_on()

    with pytest.raises(LeaseHandedOn):
        renewal.begin_step(lease, LONG_S)
