"""What a credit should be: the journal's changes and the edits of others, whoever wrote last."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from booking_api import composition
from booking_api.desk.journal.models import CreditReview
from booking_api.rules.expected_balances import History, PlannedChange, expected_balance
from hubspot_sync.portal.credit_history import Balance, Source
from tests.api import Api
from tests.builders import Portal
from tests.desk import create, credit_of
from tests.waiting import eventually

START = datetime(2026, 11, 24, 9, tzinfo=UTC)


def at(second: int) -> datetime:
    return START + timedelta(seconds=second)


def ours(value: int, second: int) -> Balance:
    return Balance(
        value=Decimal(value), at=at(second), may_be_ours=True, source=Source("INTEGRATION", "1")
    )


def shop(value: int, second: int) -> Balance:
    return Balance(
        value=Decimal(value), at=at(second), may_be_ours=True, source=Source("INTEGRATION", "2")
    )


def person(value: int | None, second: int) -> Balance:
    """A person's edit; None for one that is no number."""
    known = None if value is None else Decimal(value)
    return Balance(
        value=known, at=at(second), may_be_ours=False, source=Source("CRM_UI", "userId:1")
    )


BOOKED = PlannedChange(before=Decimal(5), after=Decimal(4), seen_at=at(10))
BOOKED_AGAIN = PlannedChange(before=Decimal(4), after=Decimal(3), seen_at=at(20))
CANCELLED = PlannedChange(before=Decimal(3), after=Decimal(4), seen_at=at(30))


@pytest.mark.parametrize(
    ("history", "changes", "expected"),
    [
        pytest.param([person(5, 0), ours(4, 11)], [BOOKED], 4, id="as planned"),
        pytest.param([person(5, 0), person(10, 11), ours(4, 12)], [BOOKED], 9, id="overwritten"),
        pytest.param([person(5, 0), ours(4, 11), person(9, 12)], [BOOKED], 9, id="edited after"),
        pytest.param(
            [person(5, 0), person(10, 11), ours(4, 12), ours(3, 21)],
            [BOOKED, BOOKED_AGAIN],
            8,
            id="overwritten, and built upon",
        ),
        pytest.param(
            [person(5, 0), ours(4, 11), ours(3, 21), shop(4, 25)],
            [BOOKED, BOOKED_AGAIN],
            4,
            id="bought from another app",
        ),
        pytest.param([person(5, 0), ours(4, 11), ours(5, 12)], [BOOKED], 5, id="ours, unplanned"),
        pytest.param([person(5, 0)], [], 7, id="nothing of ours"),
    ],
)
def test_what_others_did_counts(
    history: list[Balance], changes: list[PlannedChange], expected: int
) -> None:
    current = history[-1].value if changes else 7

    assert expected_balance(current, History(history), changes) == expected


def test_an_old_balance_put_back_by_an_overtaken_desk_counts_for_nothing() -> None:
    history = [person(5, 0), ours(4, 11), ours(3, 21), ours(4, 25)]

    assert expected_balance(4, History(history), [BOOKED, BOOKED_AGAIN], overtaken=True) == 3
    assert expected_balance(4, History(history), [BOOKED, BOOKED_AGAIN]) == 4


def test_a_mended_balance_stays_as_it_is() -> None:
    mended = [person(5, 0), ours(4, 11), ours(3, 21), ours(4, 25), ours(3, 40)]

    assert expected_balance(3, History(mended), [BOOKED, BOOKED_AGAIN], overtaken=True) == 3
    assert expected_balance(3, History(mended), [BOOKED, BOOKED_AGAIN]) == 3


def test_a_cancel_that_follows_is_no_old_balance() -> None:
    history = [person(5, 0), ours(4, 11), ours(3, 21), ours(4, 31)]
    changes = [BOOKED, BOOKED_AGAIN, CANCELLED]

    assert expected_balance(4, History(history), changes, overtaken=True) == 4


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        ([person(5, 0), person(None, 11), ours(4, 12)], None),
        ([person(5, 0), ours(4, 11), person(None, 12)], None),
        ([person(5, 0), person(None, 11), ours(4, 12), person(7, 13)], 7),
        ([person(None, 0), person(5, 1), ours(4, 11)], 4),
    ],
    ids=["overwritten", "edited after", "put right", "before our time"],
)
def test_an_unreadable_value_in_the_history_is_not_taken_for_nothing(
    history: list[Balance], expected: int | None
) -> None:
    assert expected_balance(history[-1].value, History(history), [BOOKED]) == expected


@pytest.mark.django_db(transaction=True)
def test_a_balance_that_became_unreadable_is_reviewed_later_and_left_as_it_is(
    api: Api, portal: Portal
) -> None:
    alice = portal.student("alice", credits=5)
    contacts, credit = portal.profile.object_types.contacts, portal.first_type.credit_property
    assert create(api, alice, portal.exam()).status == 201
    portal.sandbox.edit(contacts, alice.id, **{credit: "1e30"})

    composition.services().booking.review_credits(timedelta(minutes=5))

    eventually(lambda: CreditReview.objects.filter(attempts__gt=0).exists())
    assert "unreadable" in CreditReview.objects.get().last_error
    record = portal.sandbox.record(contacts, alice.id)
    assert record["properties"][credit] == "1e30"


@pytest.mark.django_db(transaction=True)
def test_an_edit_made_while_a_seat_was_booked_is_not_lost(api: Api, portal: Portal) -> None:
    alice, exam = portal.student("alice", credits=5), portal.exam()
    contacts, credit = portal.profile.object_types.contacts, portal.first_type.credit_property
    sandbox = portal.sandbox
    sandbox.fault("delay", path="objects.*0-1/batch/update", delay_ms=60_000)

    with ThreadPoolExecutor() as pool:
        booking = pool.submit(create, api, alice, exam)
        eventually(lambda: sandbox.faults()[0]["fired"] == 1)
        sandbox.edit(contacts, alice.id, **{credit: "10"})
        sandbox.clear_faults()
        assert booking.result().status == 201
    assert credit_of(portal, alice) == 4

    composition.services().booking.review_credits(timedelta(minutes=5))

    eventually(lambda: not CreditReview.objects.exists())
    assert credit_of(portal, alice) == 9
