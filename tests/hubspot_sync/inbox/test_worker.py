"""The worker: woken by what was stored, looking by itself, ended when asked, stopped by nothing."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator

import pytest
from django.db import OperationalError

from hubspot_sync.inbox.worker import InboxWorker

PATIENCE_S = 20.0
NEVER_S = 3_600.0

Start = Callable[..., InboxWorker]

# A worker closes the connection of its thread, whether or not there ever was one.
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def start() -> Iterator[Start]:
    workers: list[InboxWorker] = []

    def made(apply: Callable[[], object], **times: float) -> InboxWorker:
        worker = InboxWorker(apply, **{"gather_s": 0.0, "look_s": NEVER_S, **times})
        workers.append(worker)
        worker.start()
        return worker

    yield made
    for worker in workers:
        worker.stop(PATIENCE_S)


def test_it_looks_when_it_starts_and_again_when_woken(start: Start) -> None:
    rounds = threading.Semaphore(0)
    worker = start(rounds.release)

    assert rounds.acquire(timeout=PATIENCE_S)
    worker.wake()
    assert rounds.acquire(timeout=PATIENCE_S)


def test_it_looks_by_itself_for_what_others_left(start: Start) -> None:
    rounds = threading.Semaphore(0)
    start(rounds.release, look_s=0.01)

    assert all(rounds.acquire(timeout=PATIENCE_S) for _ in range(5))


@pytest.mark.parametrize("error", [OperationalError("away"), RuntimeError("a fault of ours")])
def test_no_failure_ends_it(error: Exception, start: Start) -> None:
    rounds = threading.Semaphore(0)

    def fail() -> None:
        rounds.release()
        raise error

    start(fail, look_s=0.01)

    assert all(rounds.acquire(timeout=PATIENCE_S) for _ in range(3))


def test_starting_twice_starts_one_thread(start: Start) -> None:
    threads: set[int] = set()
    rounds = threading.Semaphore(0)

    def note() -> None:
        threads.add(threading.get_ident())
        rounds.release()

    worker = start(note, look_s=0.01)
    worker.start()

    assert all(rounds.acquire(timeout=PATIENCE_S) for _ in range(5))
    assert len(threads) == 1


def test_once_stopped_it_does_nothing_more(start: Start) -> None:
    rounds = threading.Semaphore(0)
    worker = start(rounds.release)
    assert rounds.acquire(timeout=PATIENCE_S)

    worker.stop(PATIENCE_S)
    worker.stop(PATIENCE_S)
    worker.wake()

    assert not any(thread.name == "webhooks" for thread in threading.enumerate())
    assert not rounds.acquire(blocking=False)


def test_waking_what_was_never_started_does_nothing() -> None:
    worker = InboxWorker(lambda: None)

    worker.wake()
    worker.stop()


def test_a_forked_process_starts_a_thread_of_its_own(start: Start) -> None:
    parent = os.getpid()
    rounds = threading.Semaphore(0)
    worker = start(rounds.release)
    assert rounds.acquire(timeout=PATIENCE_S)
    pid = os.fork()
    if pid == 0:
        worker.start()
        os._exit(0 if rounds.acquire(timeout=PATIENCE_S) and os.getpid() != parent else 1)

    _, status = os.waitpid(pid, 0)

    assert os.WEXITSTATUS(status) == 0
