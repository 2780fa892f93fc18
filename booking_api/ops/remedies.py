"""What is made good in the background after the feed has missed something.

Each remedy is due by a mark in the database, so whoever is killed forgets none. It is tried in a
thread of its own, and again until it succeeds.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Final

import structlog
from django.db import Error as DatabaseFailure
from django.db import connection, transaction

from booking_api.composition import Services
from booking_api.composition.parts import is_portal_of_journal
from booking_api.desk.repair.missed_erasures import TooManyVanished, VanishedPersons
from hubspot_sync.errors import HubSpotError
from hubspot_sync.wire.call_context import CallContext, Priority
from hubspot_sync.wire.call_log import CallMeter
from hubspot_sync.wire.deadlines import Deadline

RECOUNT_AGAIN_S: Final = 60.0
ERASURES_AGAIN_S: Final = 600.0
"""An event that nobody understands may come every second, and everybody kept is asked for."""
HELD_BACK_S: Final = 3600.0
"""More after that, where a person has to look first."""
MAX_AT_ONCE: Final = 20
MAX_SHARE: Final = 0.1
"""Of more than so many, if it is more than this share too, a person has to say that HubSpot has
forgotten them all: it may be that we ask another portal, or one that was restored."""
MAX_SHARE_OF_FEW: Final = 0.5
"""Of several, however few they are."""
PORTAL_ASKED_WITHIN_S: Final = 30.0

log = structlog.get_logger(__name__)


class HeldBack(Exception):
    """What HubSpot says is not believed without a person."""


@dataclass(slots=True)
class Remedy:
    """`due_since` says since when it is due, None where it is not; `note_done` that what was due
    since then is done. `work` is called again `again_s` seconds later at the earliest, where it was
    held back `HELD_BACK_S` more."""

    name: str
    work: Callable[[], object]
    due_since: Callable[[], datetime | None]
    note_done: Callable[[datetime], None]
    again_s: float
    _next_s: float = 0.0
    _at_work: threading.Lock = field(default_factory=threading.Lock)

    def start_if_due(self, now_s: float) -> None:
        """Begin in a thread of its own, at this time of a clock of seconds; raise Django's database
        errors."""
        if now_s < self._next_s:
            return
        since = self.due_since()
        if since is None:
            return
        self._next_s = now_s + self.again_s
        work = partial(self._try, since)
        threading.Thread(target=work, name=f"feed {self.name}", daemon=True).start()

    def _try(self, since: datetime) -> None:
        if not self._at_work.acquire(blocking=False):
            return
        try:
            self.work()
            self.note_done(since)
        except (HubSpotError, DatabaseFailure, HeldBack) as error:
            if isinstance(error, HeldBack):
                self._next_s += HELD_BACK_S
            log.warning("feed_remedy_put_off", what=self.name, error=type(error).__name__)
        finally:
            self._at_work.release()
            connection.close()


def request_missed_erasures(services: Services) -> VanishedPersons:
    """Have everybody forgotten whom HubSpot has forgotten. Raises HubSpotError where that is not
    known of all, HeldBack where it is not to be believed, and Django's database errors."""
    check_portal(services)
    try:
        vanished = services.booking.find_vanished_persons(_believed_of)
    except TooManyVanished as too_many:
        raise HeldBack from too_many
    number = len(vanished.contact_ids)
    log.info("missed_erasures_looked_for", kept=vanished.kept, found=number)
    with transaction.atomic():
        services.booking.erasures.request(vanished.contact_ids)
    return vanished


def check_portal(services: Services) -> None:
    """Raise HeldBack where our token is of another portal than the one whose journal is followed:
    of that one's every contact of ours is unknown. Raises HubSpotError where that is not known."""
    context = CallContext(
        deadline=Deadline.after(PORTAL_ASKED_WITHIN_S),
        priority=Priority.BACKGROUND,
        meters=(CallMeter("job: missed erasures"),),
    )
    if not is_portal_of_journal(services.client, context):
        log.error("missed_erasures_of_another_portal")
        raise HeldBack


def _believed_of(kept: int) -> float:
    """Return how many of so many HubSpot is believed to have forgotten, at most."""
    return min(max(MAX_AT_ONCE, MAX_SHARE * kept), max(1, MAX_SHARE_OF_FEW * kept))
