"""Independent calls at the same time, without ever waiting for a thread.

One thunk runs in the caller's thread, the others on a shared pool when it has an idle worker and
otherwise in the caller's thread too. A full pool therefore makes work slower, never stuck: a task
running on the pool may itself fan out.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar, overload

V = TypeVar("V")
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")


class FanOut:
    """A bounded pool shared by the process; threads start at first use."""

    def __init__(self, workers: int) -> None:
        self._idle = threading.Semaphore(workers)
        self._pool = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="fan-out")

    def run(self, thunks: Sequence[Callable[[], V]]) -> list[V]:
        """Return the thunks' results in their order; the first error, in their order, is raised
        once all have ended."""
        futures: list[Future[V]] = []
        inline: list[tuple[Callable[[], V], Future[V]]] = []
        for index, thunk in enumerate(thunks):
            last = index == len(thunks) - 1
            future = None if last else self._submit(thunk)
            if future is None:
                future = Future()
                inline.append((thunk, future))
            futures.append(future)
        for thunk, future in inline:
            _run_into(thunk, future)
        errors = [error for future in futures if (error := future.exception()) is not None]
        if errors:
            raise errors[0]
        return [future.result() for future in futures]

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _submit(self, thunk: Callable[[], V]) -> Future[V] | None:
        """Have a thread of the pool run it; None where none is idle, or the pool takes nothing:
        Python ends all pools before it tells anybody that the process ends."""
        if not self._idle.acquire(blocking=False):
            return None
        future: Future[V] = Future()
        try:
            self._pool.submit(self._run_and_release, thunk, future)
        except RuntimeError:
            # It may have been queued all the same, where no thread could be started for it.
            future.cancel()
            self._idle.release()
            return None
        return future

    def _run_and_release(self, thunk: Callable[[], V], future: Future[V]) -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            _run_into(thunk, future)
        finally:
            self._idle.release()


def _run_into(thunk: Callable[[], V], future: Future[V]) -> None:
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
