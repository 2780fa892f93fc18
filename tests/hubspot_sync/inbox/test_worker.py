"""The inbox's worker: what is its own beside what every worker does."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
from django.db import OperationalError

from hubspot_sync.background.worker import Worker
from hubspot_sync.inbox.worker import build_inbox_worker

PATIENCE_S = 20.0
NEVER_S = 3_600.0

Start = Callable[..., Worker]

# A worker closes the connection of its thread, whether or not there ever was one.
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def start() -> Iterator[Start]:
    workers: list[Worker] = []

    def started(apply: Callable[[], object], **times: float) -> Worker:
        worker = build_inbox_worker(apply, **{"gather_s": 0.0, "look_again_s": NEVER_S, **times})
        workers.append(worker)
        worker.start()
        return worker

    yield started
    for worker in workers:
        worker.stop()


def test_it_looks_when_it_starts_and_again_when_woken(start: Start) -> None:
    rounds = threading.Semaphore(0)
    worker = start(rounds.release)

    assert rounds.acquire(timeout=PATIENCE_S)
    worker.wake()
    assert rounds.acquire(timeout=PATIENCE_S)


def test_it_looks_by_itself_for_what_others_left(start: Start) -> None:
    rounds = threading.Semaphore(0)
    start(rounds.release, look_again_s=0.01)

    assert all(rounds.acquire(timeout=PATIENCE_S) for _ in range(5))


@pytest.mark.parametrize("error", [OperationalError("away"), RuntimeError("a fault of ours")])
def test_after_a_failure_it_rests_as_ever(
    error: Exception, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    rounds = threading.Semaphore(0)

    def fail() -> None:
        rounds.release()
        raise error

    start(fail, look_again_s=0.01)

    assert all(rounds.acquire(timeout=PATIENCE_S) for _ in range(3))
    assert "it is tried again" in caplog.text


def test_waking_what_was_never_started_starts_nothing() -> None:
    rounds = threading.Semaphore(0)
    worker = build_inbox_worker(rounds.release)

    worker.wake()
    worker.stop()

    assert not rounds.acquire(blocking=False)
