"""Leases: one holder at a time, whoever else tries, and none that was overtaken writes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.db.models.functions import Now

from booking_api.desk.journal.lease import LONG_AGO, HeldLease, LeaseKeeper, LeaseLost
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


def test_of_two_that_find_it_free_one_gets_it() -> None:
    """The other comes in between the look and the claim."""
    first, second = keepers()
    Lease.objects.create(name="desk", expires_at=LONG_AGO)
    others: list[HeldLease | None] = []

    def overtake(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        if sql.startswith("UPDATE") and len(others) == 0:
            others.append(None)
            others[0] = second.acquire()
        return execute(sql, *rest)

    with connection.execute_wrapper(overtake):
        assert first.acquire() is None

    assert others[0] is not None
    others[0].renew()


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


@pytest.mark.django_db(transaction=True)
def test_whoever_could_not_give_it_back_has_it_again_at_once() -> None:
    """The database was away, and has kept it for its time; nobody else gets it before."""
    first, second = keepers()
    held = first.acquire()
    assert held is not None
    with connection.execute_wrapper(_fail), pytest.raises(OperationalError):
        first.let_go(held, in_order=True)

    assert second.acquire() is None
    again = first.acquire()

    assert again is not None
    assert (again.epoch, again.taken_over) == (held.epoch + 1, False)
    assert first.acquire() is None


def _fail(*_: Any) -> None:
    raise OperationalError("the connection is lost")


def test_a_taking_over_that_did_not_end_is_begun_anew() -> None:
    """Whoever has it next is as careful, be it the same."""
    first, second = keepers()
    assert first.acquire() is not None
    let_it_expire()
    taken = second.acquire()
    assert taken is not None

    second.let_go(taken, in_order=False)
    again = second.acquire()

    assert again is not None
    assert again.taken_over


def test_what_was_left_here_and_taken_over_elsewhere_is_theirs() -> None:
    first, second = keepers()
    held = first.acquire()
    assert held is not None
    first.let_go(held, in_order=False)
    let_it_expire()
    assert second.acquire() is not None

    assert first.acquire() is None


def test_a_lease_that_expires_is_taken_over_at_once() -> None:
    first, second = keepers()
    held = first.acquire()
    assert held is not None

    held.expire()
    taken = second.acquire()

    assert taken is not None
    assert taken.taken_over


def test_leases_of_different_names_know_nothing_of_each_other() -> None:
    assert LeaseKeeper("desk", LONG).acquire() is not None
    assert LeaseKeeper("scheduler", LONG).acquire() is not None
