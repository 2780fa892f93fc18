"""What a serving process does besides answering: the booking desk, the inbox of webhooks, the jobs.

`wsgi.py` starts it, so that what an earlier process left unfinished is finished before anybody
asks. Threads do not survive a fork: a process forked after that starts its own with its first
request. Commands and tests, which answer nobody, start nothing.
"""

from __future__ import annotations

import atexit
import os
import threading
from datetime import timedelta

from django.conf import settings

from booking_api import composition
from booking_api.ops.scheduler import Times, scheduler


class ProcessLifecycle:
    """This process's work in the background."""

    def __init__(self) -> None:
        self._serving = False
        self._lock = threading.Lock()
        self._pid = 0

    def serve(self) -> None:
        """Start the work; this process, or those it will be forked into, serve."""
        self._serving = True
        self.start()

    def start(self) -> None:
        """Start the work, in a process that serves and has not yet; asked by every request."""
        if not self._serving or self._pid == os.getpid():
            return
        with self._lock:
            if self._pid == os.getpid():
                return
            self._pid = os.getpid()
            services = composition.services()
            services.webhooks.worker.start()
            # Beside the start: it asks HubSpot for what the first booking will need.
            threading.Thread(target=services.booking.start, name="start", daemon=True).start()
            atexit.register(composition.close)
            if settings.SCHEDULER:
                jobs = scheduler(times())
                jobs.start()
                atexit.register(jobs.close)


def times() -> Times:
    """Return the periodic jobs' times, as the settings have them."""
    return Times(
        recount_every_s=settings.RECOUNT_EVERY_S,
        validate_every_s=settings.VALIDATE_EVERY_S,
        keep_webhooks=timedelta(days=settings.WEBHOOK_RETENTION_DAYS),
    )


_background = ProcessLifecycle()
serve = _background.serve
start = _background.start
