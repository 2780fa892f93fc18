"""The worker: a step when woken and after each rest, ended when asked, stopped by nothing else."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest
from django.db import OperationalError

from hubspot_sync.background import worker as module
from hubspot_sync.background.worker import Worker

PATIENCE_S = 20.0
NEVER_S = 3_600.0

NewWorker = Callable[..., Worker]

# A worker closes the connection of its thread, whether or not there ever was one.
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def new_worker() -> Iterator[NewWorker]:
    workers: list[Worker] = []

    def made(step: Callable[[], float], **options: Any) -> Worker:
        workers.append(Worker("worker under test", step, **options))
        return workers[-1]

    yield made
    for worker in workers:
        worker.stop()


class Steps:
    """Counts steps, each of which rests for `rest_s`."""

    def __init__(self, rest_s: float = NEVER_S) -> None:
        self._rest_s = rest_s
        self._taken = threading.Semaphore(0)
        self.threads: list[threading.Thread] = []

    def __call__(self) -> float:
        self.threads.append(threading.current_thread())
        self._taken.release()
        return self._rest_s

    def seen(self, number: int = 1, timeout_s: float = PATIENCE_S) -> bool:
        """Wait until so many more were taken."""
        return all(self._taken.acquire(timeout=timeout_s) for _ in range(number))

    def none_more(self) -> bool:
        return not self._taken.acquire(blocking=False)


def test_it_takes_a_step_when_it_starts_and_again_when_woken(new_worker: NewWorker) -> None:
    steps = Steps()
    worker = new_worker(steps)

    worker.start()
    assert steps.seen()
    worker.wake()
    assert steps.seen()


def test_waking_it_starts_it(new_worker: NewWorker) -> None:
    steps = Steps()

    new_worker(steps).wake()

    assert steps.seen()


def test_one_that_waking_does_not_start_waits_to_be_started(new_worker: NewWorker) -> None:
    steps = Steps()
    worker = new_worker(steps, starts_when_woken=False)

    worker.wake()
    assert not any(thread.name == "worker under test" for thread in threading.enumerate())
    worker.start()

    assert steps.seen()


def test_once_woken_it_waits_for_what_comes_together(new_worker: NewWorker) -> None:
    steps = Steps()
    worker = new_worker(steps, gather_s=0.3)
    worker.start()
    assert steps.seen()

    for _ in range(5):
        worker.wake()

    assert steps.seen()
    assert not steps.seen(timeout_s=0.6)


def test_it_may_rest_before_its_first_step(new_worker: NewWorker) -> None:
    steps = Steps()
    worker = new_worker(steps, first_rest_s=NEVER_S)

    worker.start()

    assert not steps.seen(timeout_s=0.1)


def test_the_last_it_does_when_stopped_is_to_finish(new_worker: NewWorker) -> None:
    done: list[str] = []
    steps = Steps()
    worker = new_worker(steps, finish=lambda: done.append(threading.current_thread().name))
    worker.start()
    assert steps.seen()
    assert done == []

    worker.stop()

    assert done == ["worker under test"]


def test_stopping_does_not_wait_for_what_may_still_come(new_worker: NewWorker) -> None:
    steps = Steps()
    worker = new_worker(steps, gather_s=NEVER_S)
    worker.start()
    assert steps.seen()
    worker.wake()

    worker.stop()

    assert steps.none_more()


def test_it_rests_for_as_long_as_its_step_said(new_worker: NewWorker) -> None:
    rests, resting = iter((0.0, 0.01, 0.0)), threading.Event()
    steps = count()

    def step() -> float:
        next(steps)
        rest_s = next(rests, NEVER_S)
        if rest_s == NEVER_S:
            resting.set()
        return rest_s

    new_worker(step).start()

    assert resting.wait(PATIENCE_S)
    assert next(steps) == 4


@pytest.mark.parametrize("error", [OperationalError("away"), RuntimeError("a fault of ours")])
def test_no_failure_ends_it(
    error: Exception, new_worker: NewWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AFTER_A_FAILURE_S", 0.01)
    steps = Steps()

    def fail() -> float:
        steps()
        raise error

    new_worker(fail).start()

    assert steps.seen(3)


def test_starting_twice_starts_one_thread(new_worker: NewWorker) -> None:
    steps = Steps(rest_s=0.01)
    worker = new_worker(steps)

    worker.start()
    worker.start()

    assert steps.seen(5)
    assert len(set(steps.threads)) == 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_died_is_replaced(new_worker: NewWorker) -> None:
    steps = Steps()

    def die() -> float:
        steps()
        sys.exit()

    worker = new_worker(die)
    worker.start()
    assert steps.seen()
    steps.threads[0].join(PATIENCE_S)

    worker.start()

    assert steps.seen()


def test_once_stopped_it_does_nothing_more(new_worker: NewWorker) -> None:
    steps = Steps()
    worker = new_worker(steps)
    worker.start()
    assert steps.seen()

    worker.stop()
    worker.stop()
    worker.wake()

    assert not any(thread.name == "worker under test" for thread in threading.enumerate())
    assert steps.none_more()


def test_what_was_never_started_can_be_stopped(new_worker: NewWorker) -> None:
    steps = Steps()
    worker = new_worker(steps)

    worker.stop()
    worker.start()

    assert steps.none_more()


def test_a_step_that_does_not_end_holds_nobody_up_for_ever(new_worker: NewWorker) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def step() -> float:
        begun.set()
        go_on.wait(PATIENCE_S)
        return NEVER_S

    worker = new_worker(step, stop_within_s=0.01)
    worker.start()
    assert begun.wait(PATIENCE_S)

    worker.stop()

    go_on.set()


def test_a_forked_process_starts_a_thread_of_its_own(new_worker: NewWorker) -> None:
    steps = Steps()
    worker = new_worker(steps)
    worker.start()
    assert steps.seen()
    pid = os.fork()
    if pid == 0:
        worker.start()
        os._exit(0 if steps.seen() else 1)

    _, status = os.waitpid(pid, 0)

    assert os.WEXITSTATUS(status) == 0


class Failures:
    """As many steps as there are errors, each of which fails with its own."""

    def __init__(self, *errors: Exception) -> None:
        self._errors = list(errors)
        self.over = threading.Event()

    def __call__(self) -> float:
        if len(self._errors) == 0:
            self.over.set()
            return NEVER_S
        raise self._errors.pop(0)


def test_a_database_that_is_away_is_a_line_and_a_fault_of_ours_says_where(
    new_worker: NewWorker, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AFTER_A_FAILURE_S", 0.01)
    failures = Failures(OperationalError("away"), ValueError("ours"))
    new_worker(failures).start()

    assert failures.over.wait(PATIENCE_S)
    said = [str(record.msg) for record in caplog.records if "background" in record.name]
    assert ["Traceback" in each for each in said] == [False, True]
    assert "OperationalError" in said[0]


def test_a_last_word_that_cannot_be_said_is_logged_as_any_failure(
    new_worker: NewWorker, caplog: pytest.LogCaptureFixture
) -> None:
    def finish() -> None:
        raise OperationalError("away")

    steps = Steps()
    worker = new_worker(steps, finish=finish)
    worker.start()
    assert steps.seen()

    assert worker.stop()
    assert "background_work_failed" in caplog.text
