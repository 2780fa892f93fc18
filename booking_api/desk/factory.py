"""The desk with what works beside it, put together once per process."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import structlog

from booking_api.desk.counts import count_log
from booking_api.desk.counts.exam_count import ExamCount
from booking_api.desk.counts.recount import Recount, search_upcoming_exam_ids
from booking_api.desk.counts.recount_queue import RecountQueue
from booking_api.desk.desk import Desk
from booking_api.desk.desk_context import DeskContext
from booking_api.desk.erasure_queue import ErasureQueue, ForgetContacts, forget_nothing
from booking_api.desk.journal import follow_ups, journal, known_bookings, merges
from booking_api.desk.notes.outbox import Outbox
from booking_api.desk.repair.missed_erasures import VanishedPersons, find_vanished_persons
from hubspot_sync.background.retention import delete_expired
from hubspot_sync.background.worker import Worker
from hubspot_sync.errors import HubSpotError
from hubspot_sync.wire.call_context import CallContext, Priority
from hubspot_sync.wire.call_log import CallMeter
from hubspot_sync.wire.deadlines import Deadline
from hubspot_sync.writing.portal_writes import LINKS_OF_A_BOOKING

LEARNING_DEADLINE_S = 10.0
RECOUNT_DEADLINE_S = 300.0
SCHEDULER = "the scheduler"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class BookingDesk:
    """One process's part in booking. Its threads start when they are first needed, or all at once
    by `start`."""

    desk_context: DeskContext
    desk: Desk
    recount: Recount
    recounts: RecountQueue
    outbox: Outbox
    erasures: ErasureQueue

    @property
    def workers(self) -> tuple[Worker, ...]:
        return self.recounts.worker, self.outbox.worker, self.erasures.worker

    def start(self) -> None:
        """Begin with what an earlier process left, and with what the first booking will need."""
        self.desk.start()
        for worker in self.workers:
            worker.start()
        self._learn_portal()

    def begin_close(self) -> None:
        """Have all threads end, and wait for none."""
        self.desk.begin_close()
        for worker in self.workers:
            worker.begin_stop()

    def close(self) -> None:
        """End all threads; raise Django's database errors."""
        self.begin_close()
        self.desk.close()
        for worker in self.workers:
            worker.stop()

    def _learn_portal(self) -> None:
        """Ask for each thing by itself: what HubSpot does not say now is asked again when it is
        needed, in every process."""
        context = CallContext(
            deadline=Deadline.after(LEARNING_DEADLINE_S), meters=(CallMeter("desk"),)
        )
        writes, evidence = self.desk_context.writes, self.desk_context.evidence

        def learn(what: str, ask: Callable[[CallContext], None]) -> None:
            try:
                ask(context)
            except HubSpotError as error:
                log.warning("portal_not_learnt", what=what, error=error.safe_text)

        questions = [
            partial(learn, name, partial(writes.learn_association_type, name))
            for name in LINKS_OF_A_BOOKING
        ]
        questions.append(partial(learn, "marks of credits", writes.learn_marker))
        self.desk_context.fan_out.run(
            [*questions, partial(learn, "own app", evidence.learn_own_app)]
        )

    def recount_upcoming(self) -> tuple[ExamCount, ...]:
        """Count the bookings of all exams that may still be booked, and correct the stored counts.
        Recounts are requested of those that could not be counted. Raises HubSpotError where it is
        not known which exams there are."""
        context = CallContext(
            deadline=Deadline.after(RECOUNT_DEADLINE_S),
            priority=Priority.BACKGROUND,
            meters=(CallMeter("job: recount"),),
        )
        types = [mock_type.value for mock_type in self.desk_context.profile.mock_types]
        counts = self.recount.recount(
            search_upcoming_exam_ids(self.desk_context, types, context), context, who=SCHEDULER
        )
        self.recounts.request({count.exam_id for count in counts if count.error})
        return counts

    def find_vanished_persons(
        self, believed_of: Callable[[int], float] = lambda _: math.inf
    ) -> VanishedPersons:
        """Return of whom something is kept whom HubSpot has forgotten; nothing is changed. Raises
        HubSpotError where that is not known of all, TooManyVanished where it is not believed."""
        return find_vanished_persons(self.desk_context, believed_of)

    def review_credits(self, since: timedelta) -> int:
        """Ask for a review of the credits that were written lately, within `since`: a person may
        have changed one at the same moment. Return the number of contacts."""
        now = self.desk_context.now()
        contacts = known_bookings.contacts_charged_since(now - since)
        follow_ups.request_reviews(contacts, now, now, overtaken=False)
        self.desk.wake()
        return len(contacts)

    def prune(self) -> int:
        """Delete what ended longer than `retention_days` ago from the journal, and what is kept of
        counts as old; return how many entries. A request that comes again with the key of one is
        then a new one."""
        keep = timedelta(days=self.desk_context.config.retention_days)
        now = self.desk_context.now()
        for older_than in (count_log.last_counts_before, count_log.records_before):
            delete_expired(older_than, keep=keep, now=now)
        return delete_expired(journal.ended_before, keep=keep, now=now)

    def note_merges(self, groups: Iterable[Collection[str]]) -> None:
        """Keep which contacts have become one; durable with the transaction around it."""
        merges.note_merges(groups)

    def exams_of_bookings(self, record_ids: Collection[str]) -> Mapping[str, str]:
        """Return what the journal knows: booking record id to exam id."""
        return known_bookings.exams_of_bookings(record_ids)


def build_booking_desk(
    desk_context: DeskContext,
    *,
    serves_callers: bool = True,
    forget_also: ForgetContacts = forget_nothing,
) -> BookingDesk:
    """Return a desk that has started nothing; `forget_also` forgets what others keep of persons."""

    def wake_workers() -> None:
        outbox.worker.wake()
        recounts.worker.wake()

    outbox = Outbox(desk_context.writes, desk_context.evidence, desk_context.now)
    desk = Desk(desk_context, after_serving=wake_workers, serves_callers=serves_callers)
    recount = Recount(desk_context, desk)
    recounts = RecountQueue(desk_context, recount)
    return BookingDesk(
        desk_context=desk_context,
        desk=desk,
        recount=recount,
        recounts=recounts,
        outbox=outbox,
        erasures=ErasureQueue(desk_context, forget_also),
    )
