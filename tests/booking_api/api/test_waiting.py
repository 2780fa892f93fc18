"""How many requests of one student wait at the desk, and what the others are told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from django.db import connection

from booking_api.desk.config import DeskConfig
from booking_api.desk.desk import LEASE_NAME
from booking_api.desk.journal.lease import HeldLease, LeaseKeeper
from booking_api.desk.journal.models import JournalEntry
from tests.api import Api, Reply
from tests.builders import Portal
from tests.desk import cancel, create
from tests.waiting import eventually

pytestmark = pytest.mark.django_db(transaction=True)


@contextmanager
def waiting(*asks: Callable[[], Reply]) -> Iterator[list[Future[Reply]]]:
    """Inside the block these requests wait: no desk is at work."""
    keeper = LeaseKeeper(LEASE_NAME, DeskConfig(lease_s=600).lease_duration)
    leases: list[HeldLease] = []
    # A desk that was at work gives it back in a moment.
    eventually(lambda: (lease := keeper.acquire()) is not None and leases.append(lease) is None)

    def one(ask: Callable[[], Reply]) -> Reply:
        reply = ask()
        connection.close()
        return reply

    before = JournalEntry.objects.count()
    with ThreadPoolExecutor(len(asks)) as pool:
        futures = [pool.submit(one, ask) for ask in asks]
        eventually(lambda: JournalEntry.objects.count() == before + len(asks))
        yield futures
        leases[0].give_back()


def test_the_third_is_told_at_once_and_nothing_of_it_is_stored(api: Api, portal: Portal) -> None:
    alice, charlie = portal.student("alice"), portal.student("charlie")
    exams = [portal.exam(in_days=day) for day in (3, 4, 5)]
    asks = [
        lambda: create(Api(), alice, exams[0], "key-1"),
        lambda: create(Api(), alice, exams[1], "key-2"),
        lambda: create(Api(), charlie, exams[0], "key-3"),
    ]
    with waiting(*asks) as futures:
        third = create(api, alice, exams[2], "key-4", email=alice.email.upper())
        repeated = create(api, alice, exams[0], "key-1")
        canceled = cancel(api, alice, "77")
        stored = JournalEntry.objects.count()
    replies = [future.result() for future in futures]

    assert (third.status, third.code) == (429, "THROTTLED")
    assert third.body["retryAfter"] == int(third.headers["Retry-After"]) > 0
    assert third.body["idempotency_key"] == "key-4"
    assert (repeated.status, repeated.code) == (409, "REQUEST_IN_PROGRESS")
    assert canceled.status == 429
    assert stored == 3
    assert [reply.status for reply in replies] == [201, 201, 201]
    assert create(api, alice, exams[2], "key-4").status == 201


def test_a_key_that_was_answered_is_answered_while_others_wait(api: Api, portal: Portal) -> None:
    alice = portal.student("alice")
    exams = [portal.exam(in_days=day) for day in (3, 4, 5)]
    first = create(api, alice, exams[0], "key-0")
    asks = [
        lambda: create(Api(), alice, exams[1], "key-1"),
        lambda: create(Api(), alice, exams[2], "key-2"),
    ]
    with waiting(*asks):
        again = create(api, alice, exams[0], "key-0")
        reused = create(api, alice, exams[1], "key-0")

    assert (again.status, again.data["booking_id"]) == (200, first.data["booking_id"])
    assert (reused.status, reused.code) == (422, "IDEMPOTENCY_KEY_REUSED")
