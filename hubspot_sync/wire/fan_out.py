"""Independent calls at the same time, without ever waiting for a thread.

The caller's thread works them off, the last one first, and idle threads of a shared pool help. A
full pool therefore makes work slower, never stuck: a task running on the pool may itself fan out.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeAlias, TypeVar, overload

V = TypeVar("V")
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")
Tasks: TypeAlias = deque[tuple[Callable[[], V], Future[V]]]


class FanOut:
    """A bounded pool shared by the process; threads start at first use."""

    def __init__(self, workers: int) -> None:
        self._idle = threading.Semaphore(workers)
        self._pool = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="fan-out")

    def run(self, thunks: Sequence[Callable[[], V]]) -> list[V]:
        """Return the thunks' results in their order; the first error, in their order, is raised
        once all have ended. The last one runs in the caller's thread whatever is idle: it may be
        what needs that thread's connection to the database."""
        if len(thunks) == 1:
            return [thunks[0]()]
        futures: list[Future[V]] = [Future() for _ in thunks]
        left = deque(zip(thunks, futures, strict=True))
        own = deque([left.pop()] if left else [])
        for _ in thunks[1:]:
            if not self._find_help(left):
                break
        _work_off(own)
        _work_off(left)
        errors = [error for future in futures if (error := future.exception()) is not None]
        if errors:
            raise errors[0]
        return [future.result() for future in futures]

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _find_help(self, left: Tasks[V]) -> bool:
        """Have a thread of the pool help with what is left. Say whether one does: none where none
        is idle, or the pool takes nothing: Python ends all pools before it tells anybody that the
        process ends."""
        if not self._idle.acquire(blocking=False):
            return False
        help_: Future[None] = Future()
        try:
            self._pool.submit(self._help, left, help_)
        except RuntimeError:
            # It may have been queued all the same, where no thread could be started for it.
            help_.cancel()
            self._idle.release()
            return False
        return True

    def _help(self, left: Tasks[V], help_: Future[None]) -> None:
        if not help_.set_running_or_notify_cancel():
            return
        try:
            _work_off(left)
        finally:
            self._idle.release()


def _work_off(left: Tasks[V]) -> None:
    """Run what is left until nothing is; others take of it at the same time."""
    while True:
        try:
            thunk, future = left.popleft()
        except IndexError:
            return
        try:
            future.set_result(thunk())
        except Exception as error:  # noqa: BLE001 - handed to whoever asks the future
            future.set_exception(error)


@overload
def run_together(
    fan_out: FanOut, first: Callable[[], A], second: Callable[[], B], /
) -> tuple[A, B]: ...


@overload
def run_together(
    fan_out: FanOut,
    first: Callable[[], A],
    second: Callable[[], B],
    third: Callable[[], C],
    /,
) -> tuple[A, B, C]: ...


@overload
def run_together(
    fan_out: FanOut,
    first: Callable[[], A],
    second: Callable[[], B],
    third: Callable[[], C],
    fourth: Callable[[], D],
    /,
) -> tuple[A, B, C, D]: ...


def run_together(fan_out: FanOut, /, *questions: Callable[[], Any]) -> tuple[Any, ...]:
    """Return the answers in the order of the questions; raise the first error of any."""
    return tuple(fan_out.run(questions))
