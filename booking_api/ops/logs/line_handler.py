"""Writes log lines to a stream: where a thread is writing already, it writes those of others too.

Whoever writes lets go of the interpreter and waits for it while others work. Where each of eight
requests waited so for its own line, the line took a warm answer longer than anything else.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from select import PIPE_BUF
from typing import Final, TextIO
from weakref import WeakSet

from typing_extensions import override

MAX_WAITING_LINES: Final = 256
"""Where more of them wait for a stream that takes none, whoever has another waits for it, too."""
MAX_BYTES_OF_CHAR: Final = 4

_handlers: WeakSet[LineHandler] = WeakSet()


class LineHandler(logging.StreamHandler[TextIO]):
    """A `StreamHandler` whose lines below WARNING are left, in their order, to the thread that is
    writing, if one is. Without one, and from WARNING up, a line is written when `handle` returns.
    What the writing thread says meanwhile, as a signal's handler or a destructor may, follows what
    it writes: no stream can be written to in the middle of a write.

    Lines are put together up to what a pipe takes in one piece (`PIPE_BUF`, pipe(7)), so that those
    of several processes do not mix.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        super().__init__(stream)
        self._waiting: deque[str] = deque()
        self._writer: int | None = None
        _handlers.add(self)

    @override
    def handle(self, record: logging.LogRecord) -> bool:
        # Without the lock, which is for writing alone.
        passed = bool(self.filter(record))
        if passed:
            self.emit(record)
        return passed

    @override
    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._waiting.append(self.format(record) + self.terminator)
            is_urgent = record.levelno >= logging.WARNING
            self._write_waiting(wait=is_urgent or len(self._waiting) > MAX_WAITING_LINES)
        except RecursionError:
            raise
        except Exception:  # noqa: BLE001 - as every handler of logging
            self.handleError(record)

    @override
    def flush(self) -> None:
        self._write_waiting(wait=True)
        super().flush()

    def forget_waiting(self) -> None:
        """Leave the waiting lines to the process that this one was forked from."""
        self._waiting.clear()
        self._writer = None

    def _write_waiting(self, *, wait: bool) -> None:
        lock = self.lock
        if lock is None or self._writer == threading.get_ident():
            return
        # Looked for again when the lock is free: another's line may have come after the last look.
        while self._waiting and lock.acquire(blocking=wait):
            self._writer = threading.get_ident()
            try:
                while self._waiting:
                    self.stream.write(self._take_piece())
                    self.stream.flush()
            finally:
                self._writer = None
                lock.release()

    def _take_piece(self) -> str:
        """Return the first waiting line, and those after it that go into one piece with it."""
        lines = [self._waiting.popleft()]
        size = max_bytes_of(lines[0])
        while self._waiting:
            size += max_bytes_of(self._waiting[0])
            if size > PIPE_BUF:
                break
            lines.append(self._waiting.popleft())
        return "".join(lines)


def max_bytes_of(line: str) -> int:
    return len(line) if line.isascii() else len(line) * MAX_BYTES_OF_CHAR


def forget_lines_of_parent() -> None:
    for handler in _handlers:
        handler.forget_waiting()


os.register_at_fork(after_in_child=forget_lines_of_parent)
