"""What is done to one exam from its page: counting it, with or without writing, and letting the
cache forget it. Each is the same deed as by the API or a command, and leaves the same records."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from uuid import UUID

import structlog
from django.db import Error as DatabaseFailure

from booking_api import composition
from booking_api.admin.exams.words import say_dry_run, say_outcome
from booking_api.desk.counts.count_log import AskedCount, begin_record, end_record
from booking_api.desk.counts.exam_count import ExamCount
from booking_api.desk.counts.models import CountKind
from booking_api.desk.counts.recount import NO_SUCH_EXAM
from cache_layer.cache import Cache
from cache_layer.errors import BackendUnavailable
from cache_layer.operating.manual_invalidation import InvalidationRequest
from hubspot_sync.errors import HubSpotError
from hubspot_sync.reading.tags import exam_tag
from hubspot_sync.wire.call_context import CallContext
from hubspot_sync.wire.call_log import CallMeter

if TYPE_CHECKING:
    from booking_api.api.context import RequestContext

EXAM_SCOPE: Final = "exam"
BOOKINGS_PER_CALL: Final = 100
READS_OF_A_COUNT: Final = 2
"""The exam, and which bookings are linked to it."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Done:
    """What came of a deed, for whoever asked for it; `went_well` where nothing is left to do."""

    sentence: str
    went_well: bool = True


SENT_TWICE: Final = Done(
    sentence="That form had been sent before, and was carried out once. What came of it is below.",
    went_well=False,
)

CUT_OFF: Final = Done(
    sentence="Our database stopped answering meanwhile: nobody can say what came of it.",
    went_well=False,
)


def estimate_calls(bookings: int | None) -> str:
    """Return in words how many calls counting so many bookings costs, if it is known how many."""
    if bookings is None:
        return f"at least {READS_OF_A_COUNT} calls"
    number = READS_OF_A_COUNT + math.ceil(max(0, bookings) / BOOKINGS_PER_CALL)
    return f"about {number} calls"


def count_exam(
    exam_id: str, kind: CountKind, *, who: str, reason: str, token: UUID, context: RequestContext
) -> Done:
    """Count an exam by the desk's own way, once for each `token`; raise Django's database errors
    where it could not be put on record, before anything is done."""
    booking = composition.services().booking
    now = booking.desk_context.now
    asked = AskedCount(exam_id=exam_id, who=who, reason=reason, kind=kind, token=token)
    record = begin_record(asked, now())
    if record is None:
        return SENT_TWICE
    meter = CallMeter(f"console: {kind}")
    call = CallContext(deadline=context.deadline, meters=(meter, context.meter))
    dry_run = kind == CountKind.DRY_RUN
    try:
        (count,) = booking.recount.recount([exam_id], call, dry_run=dry_run, who=who)
    except HubSpotError as error:
        count = ExamCount(exam_id=exam_id, error=error.safe_text)
    except DatabaseFailure:
        log.exception("count_cut_off", exam=exam_id)
        return CUT_OFF
    end_record(record, count, meter.calls, now())
    if dry_run:
        # What HubSpot stores has just been read: the page must not show what was stored before.
        booking.desk_context.invalidate_cache({exam_tag(exam_id)})
        return Done(sentence=say_dry_run(count, meter.calls), went_well=count.error == "")
    asked_again = _ask_again(count)
    return Done(sentence=say_outcome(count, asked_again=asked_again), went_well=count.error == "")


def removal_of(exam_id: str) -> InvalidationRequest:
    """Return what is asked of the cache, as its own page and the API ask it."""
    return InvalidationRequest(scope=EXAM_SCOPE, named=(exam_id,))


def count_held(cache: Cache, tags: frozenset[str]) -> Mapping[str, int] | None:
    """Return how many entries show an exam, by family; None where the cache does not answer."""
    try:
        keys = cache.backend.find_keys_by_tags(tags)
        held = cache.guarded_store.backend.look_up(list(keys), touch=False).entries
    except BackendUnavailable:
        return None
    return dict(sorted(Counter(entry.entry.family for entry in held.values()).items()))


def _ask_again(count: ExamCount) -> bool:
    """Have a recount that did not succeed done later, by itself; return whether it will be."""
    if count.error in {"", NO_SUCH_EXAM}:
        return False
    try:
        composition.services().booking.recounts.request([count.exam_id])
    except DatabaseFailure:
        log.exception("recount_not_asked_again", exam=count.exam_id)
        return False
    return True
