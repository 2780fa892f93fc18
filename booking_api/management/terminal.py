"""Whether somebody at the terminal has pressed Enter."""

from __future__ import annotations

import os
import select
import signal
import sys
from typing import Final

MAX_TYPED_BYTES: Final = 4_096


class Terminal:
    """The terminal this process was started at; nothing else is ever read, neither a pipe nor a
    terminal in whose background it is: reading there would stop it (SIGTTIN)."""

    def __init__(self) -> None:
        self._descriptor = find_terminal()
        if self._descriptor is not None:
            # It may be put into the background between the question and the reading.
            signal.signal(signal.SIGTTIN, signal.SIG_IGN)

    @property
    def is_there(self) -> bool:
        return self._descriptor is not None

    def was_enter_pressed(self) -> bool:
        """Return whether a line was typed since the last time; waits for nothing."""
        if self._descriptor is None:
            return False
        try:
            if os.tcgetpgrp(self._descriptor) != os.getpgrp():
                return False
            if not select.select([self._descriptor], [], [], 0)[0]:
                return False
            typed = os.read(self._descriptor, MAX_TYPED_BYTES)
        except OSError:
            typed = b""  # the terminal is gone, or no longer ours
        if typed == b"":
            self._descriptor = None
        return typed != b""


def find_terminal() -> int | None:
    """Return the descriptor of the terminal, None where the input is something else or closed."""
    try:
        return sys.stdin.fileno() if sys.stdin is not None and sys.stdin.isatty() else None
    except (OSError, ValueError):
        return None
