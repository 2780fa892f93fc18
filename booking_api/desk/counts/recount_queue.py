"""Recounts that were asked for, coalesced by exam, done in the background and never lost."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import timedelta
from functools import partial
from typing import Final

import structlog
from django.db import transaction

from booking_api.desk.counts.exam_count import ExamCount
from booking_api.desk.counts.recount import NO_SUCH_EXAM, Recount
from booking_api.desk.desk_context import DeskContext
from booking_api.desk.errors import cut_to_column
from booking_api.desk.journal import follow_ups
from booking_api.desk.journal.models import RecountRequest
from hubspot_sync.background.backoff import backoff
from hubspot_sync.background.isolation import do_apart
from hubspot_sync.background.worker import Worker
from hubspot_sync.wire.call_context import CallContext, Priority
from hubspot_sync.wire.call_log import CallMeter
from hubspot_sync.wire.deadlines import Deadline

MAX_EXAMS_AT_ONCE: Final = 100
DEADLINE_S: Final = 60.0
CLAIM_DURATION: Final = timedelta(seconds=DEADLINE_S + 15)
POLL_INTERVAL_S: Final = 5.0
FIRST_RETRY_S: Final = 2.0
MAX_RETRY_S: Final = 300.0

log = structlog.get_logger(__name__)


class RecountQueue:
    """Counts the exams of `RecountRequest` in a thread of its own."""

    def __init__(self, desk_context: DeskContext, recount: Recount) -> None:
        self._desk_context = desk_context
        self._recount = recount
        self.worker = Worker("recount", self.recount_due)

    def request(self, exam_ids: Collection[str]) -> None:
        """Have these exams counted soon; durable with the transaction around it."""
        if len(exam_ids) > 0:
            follow_ups.request_recounts(exam_ids, self._desk_context.now())
            transaction.on_commit(self.worker.wake)

    def request_corrections(self, exam_ids: Collection[str]) -> None:
        """Have these counted because a reader came upon a wrong count. One that is being counted,
        or could not be corrected, keeps its time: readers come again with every look at it."""
        waiting = RecountRequest.objects.filter(
            subject_id__in=exam_ids, next_attempt_at__gt=self._desk_context.now()
        )
        self.request(set(exam_ids).difference(waiting.values_list("subject_id", flat=True)))

    def recount_due(self) -> float:
        """Count what is due, up to a hundred exams; return for how many seconds to rest, none where
        anything was."""
        claimed = self._claim()
        if len(claimed) == 0:
            return POLL_INTERVAL_S
        context = CallContext(
            deadline=Deadline.after(DEADLINE_S),
            priority=Priority.BACKGROUND,
            meters=(CallMeter("desk"),),
        )
        counts = self._recount.recount([request.subject_id for request in claimed], context)
        for request, count in zip(claimed, counts, strict=True):
            do_apart([request], partial(self._settle, count), _report_unkept)
        return 0.0

    def _settle(self, count: ExamCount, requests: Sequence[RecountRequest]) -> None:
        for request in requests:
            if count.error in {"", NO_SUCH_EXAM}:
                RecountRequest.objects.filter(id=request.id, version=request.version).delete()
                RecountRequest.objects.filter(id=request.id).update(
                    next_attempt_at=self._desk_context.now()
                )
            else:
                self._postpone(request, count.error)

    def _claim(self) -> list[RecountRequest]:
        """Take what is due for as long as counting may take; who is killed loses the claim."""
        now = self._desk_context.now()
        due = RecountRequest.objects.filter(next_attempt_at__lte=now)
        claimed: list[RecountRequest] = []

        def claim(requests: Sequence[RecountRequest]) -> None:
            for request in requests:
                same = RecountRequest.objects.filter(
                    id=request.id, version=request.version, next_attempt_at=request.next_attempt_at
                )
                if same.update(next_attempt_at=now + CLAIM_DURATION) == 1:
                    claimed.append(request)

        for request in due[:MAX_EXAMS_AT_ONCE]:
            do_apart([request], claim, _report_unkept)
        return claimed

    def _postpone(self, request: RecountRequest, reason: str) -> None:
        wait = backoff(request.attempts + 1, first_s=FIRST_RETRY_S, max_s=MAX_RETRY_S)
        RecountRequest.objects.filter(id=request.id).update(
            attempts=request.attempts + 1,
            last_error=cut_to_column(reason),
            next_attempt_at=self._desk_context.now() + wait,
        )


def _report_unkept(request: RecountRequest, error: Exception) -> None:
    """A request that our database does not let us change costs no other anything."""
    log.error("recount_not_changed", exam=request.subject_id, exc_info=error)
