"""Recounts that were asked for, coalesced by exam, done in the background and never lost."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from typing import Final

from django.db import transaction

from booking_api.desk.counts.recount import NO_SUCH_EXAM, Recount
from booking_api.desk.desk_context import DeskContext
from booking_api.desk.errors import KEPT
from booking_api.desk.journal import journal
from booking_api.desk.journal.models import RecountRequest
from hubspot_sync.background.backoff import backoff
from hubspot_sync.background.worker import Worker
from hubspot_sync.wire.call_context import CallContext, Priority
from hubspot_sync.wire.deadlines import Deadline

MOST_AT_ONCE: Final = 100
PATIENCE_S: Final = 60.0
CLAIMED_FOR: Final = timedelta(seconds=PATIENCE_S + 15)
LOOK_AGAIN_S: Final = 5.0
FIRST_RETRY_S: Final = 2.0
LONGEST_RETRY_S: Final = 300.0


class RecountQueue:
    """Counts the exams of `RecountRequest` in a thread of its own."""

    def __init__(self, tools: DeskContext, recount: Recount) -> None:
        self._tools = tools
        self._recount = recount
        self.worker = Worker("recount", self.work)

    def request(self, exam_ids: Collection[str]) -> None:
        """Have these exams counted soon; durable with the transaction around it."""
        if len(exam_ids) > 0:
            journal.request_recounts(exam_ids, self._tools.now())
            transaction.on_commit(self.worker.wake)

    def work(self) -> float:
        """Count what is due, up to a hundred exams; return for how many seconds to rest, none where
        anything was."""
        claimed = self._claim()
        if len(claimed) == 0:
            return LOOK_AGAIN_S
        context = CallContext(deadline=Deadline.after(PATIENCE_S), priority=Priority.BACKGROUND)
        counts = self._recount.recount([one.subject_id for one in claimed], context)
        for one, counted in zip(claimed, counts, strict=True):
            if counted.error in {"", NO_SUCH_EXAM}:
                RecountRequest.objects.filter(id=one.id, version=one.version).delete()
                RecountRequest.objects.filter(id=one.id).update(next_attempt_at=self._tools.now())
            else:
                self._put_off(one, counted.error)
        return 0.0

    def _claim(self) -> list[RecountRequest]:
        """Take what is due for as long as counting may take; who is killed loses the claim."""
        now = self._tools.now()
        due = RecountRequest.objects.filter(next_attempt_at__lte=now)
        return [
            one
            for one in due[:MOST_AT_ONCE]
            if RecountRequest.objects.filter(
                id=one.id, version=one.version, next_attempt_at=one.next_attempt_at
            ).update(next_attempt_at=now + CLAIMED_FOR)
            == 1
        ]

    def _put_off(self, one: RecountRequest, reason: str) -> None:
        wait = backoff(one.attempts + 1, first_s=FIRST_RETRY_S, max_s=LONGEST_RETRY_S)
        RecountRequest.objects.filter(id=one.id).update(
            attempts=one.attempts + 1,
            last_error=reason[:KEPT],
            next_attempt_at=self._tools.now() + wait,
        )
