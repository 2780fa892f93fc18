"""What a serving process does besides answering, started once it serves.

`wsgi.py` says that this process, or those it will be forked into, serve; the first request then
starts the work, because threads do not survive a fork. Commands and tests, which answer nobody,
never start it.
"""

from __future__ import annotations

import atexit
import os
import threading

from booking_api import composition


class Background:
    """This process's work in the background."""

    def __init__(self) -> None:
        self._serving = False
        self._lock = threading.Lock()
        self._pid = 0

    def serve(self) -> None:
        """Let the first request start the work."""
        self._serving = True

    def start(self) -> None:
        """Start the work, in a process that serves and has not yet; asked by every request."""
        if not self._serving or self._pid == os.getpid():
            return
        with self._lock:
            if self._pid == os.getpid():
                return
            self._pid = os.getpid()
            composition.services().webhooks.worker.start()
            atexit.register(composition.close)


_background = Background()
serve = _background.serve
start = _background.start
