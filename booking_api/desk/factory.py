"""The desk with what works beside it, put together once per process."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta

import structlog

from booking_api.desk.counts.recount import ExamCount, Recount, upcoming_exam_ids
from booking_api.desk.counts.recount_queue import RecountQueue
from booking_api.desk.desk import Desk
from booking_api.desk.desk_context import DeskContext
from booking_api.desk.journal import journal
from booking_api.desk.notes.outbox import Outbox
from hubspot_sync.background.worker import Worker
from hubspot_sync.errors import HubSpotError
from hubspot_sync.wire.call_context import CallContext, Priority
from hubspot_sync.wire.deadlines import Deadline

LEARNING_TAKES_S = 10.0
RECOUNT_TAKES_S = 300.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class BookingDesk:
    """One process's part in booking. Its threads start when they are first needed, or together."""

    tools: DeskContext
    desk: Desk
    recount: Recount
    recounts: RecountQueue
    outbox: Outbox

    @property
    def workers(self) -> tuple[Worker, ...]:
        return self.recounts.worker, self.outbox.worker

    def start(self) -> None:
        """Begin with what an earlier process left, and with what the first booking will need."""
        self.desk.start()
        for worker in self.workers:
            worker.start()
        try:
            context = CallContext(deadline=Deadline.after(LEARNING_TAKES_S))
            self.tools.writes.learn_association_types(context)
            self.tools.evidence.learn_own_app(context)
        except HubSpotError as error:  # the first create asks again
            log.warning("portal_not_learnt", error=error.safe_text)

    def close(self) -> None:
        self.desk.close()
        for worker in self.workers:
            worker.close()

    def recount_upcoming(self) -> tuple[ExamCount, ...]:
        """Count all exams that may still be booked, and correct what is stored; those that could
        not be counted are asked for again. Raises HubSpotError where it is not known which there
        are."""
        context = CallContext(
            deadline=Deadline.after(RECOUNT_TAKES_S), priority=Priority.BACKGROUND
        )
        types = [mock_type.value for mock_type in self.tools.profile.mock_types]
        counts = self.recount.recount(upcoming_exam_ids(self.tools, types, context), context)
        self.recounts.request({one.exam_id for one in counts if one.error})
        return counts

    def review_credits(self, since: timedelta) -> int:
        """Have the credits compared with the journal that were written lately: a person may have
        changed one at the same moment. Return of how many contacts."""
        now = self.tools.now()
        contacts = journal.contacts_charged_since(now - since)
        journal.request_reviews(contacts, now, now, overtaken=False)
        self.desk.wake()
        return len(contacts)

    def prune(self) -> int:
        """Delete what ended longer than `retention_days` ago from the journal; return how many
        entries. A request that comes again with the key of one is then a new one."""
        kept = timedelta(days=self.tools.config.retention_days)
        return journal.prune(self.tools.now() - kept)

    def exams_of_bookings(self, record_ids: Collection[str]) -> Mapping[str, str]:
        """Return what the journal knows: booking record id to exam id."""
        return journal.exams_of_bookings(record_ids)


def build_booking_desk(tools: DeskContext) -> BookingDesk:
    """Return a desk that has started nothing."""
    outbox = Outbox(tools.writes, tools.evidence, tools.now)
    desk = Desk(tools)
    recount = Recount(tools, desk)
    recounts = RecountQueue(tools, recount)

    def served() -> None:
        outbox.worker.wake()
        recounts.worker.wake()

    desk.after_serving = served
    return BookingDesk(tools=tools, desk=desk, recount=recount, recounts=recounts, outbox=outbox)
