"""Counting seats on demand: the correction of stored counts, for a scheduler or staff."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from typing_extensions import override

from booking_api import composition
from booking_api.api.authentication import CRON_AUTHENTICATION
from booking_api.api.context import context_of
from booking_api.api.envelope import answer
from booking_api.api.permissions import CronOrStaff, NotCrossSite, is_scheduler
from booking_api.api.schema.answers import envelope
from booking_api.api.schema.operations import (
    OF_BODIES,
    OF_STAFF,
    STAFF_SENTENCES,
    Operation,
    codes,
    documented,
)
from booking_api.api.serializers import RecordIdField, SentBooleanField
from booking_api.api.validation import validate_fields
from booking_api.api.views.released_view import ReleasedView
from booking_api.desk.counts.count_log import record_named_counts
from booking_api.desk.counts.exam_count import ExamCount
from booking_api.desk.counts.models import CountKind
from booking_api.desk.counts.recount import all_unanswered, search_upcoming_exam_ids
from booking_api.desk.factory import SCHEDULER
from booking_api.ops.history.process import running
from booking_api.ops.scheduler import RECOUNT
from booking_api.rules.errors import TooManyExams
from hubspot_sync.errors import Unavailable
from hubspot_sync.wire.call_context import CallContext, Priority
from hubspot_sync.wire.deadlines import Deadline

MAX_EXAMS = 100
# A scheduler waits longer than a person: all upcoming exams are counted at the background's share
# of the budget.
MAX_RECOUNT_S = 240.0
# The periodic call also has the credits reviewed that were written since the call before.
REVIEW_PERIOD = timedelta(minutes=30)

COUNT_BY_GET = Operation(
    id="cronSyncCapacity",
    codes=codes(OF_STAFF, "TOO_MANY_EXAMS", "HUBSPOT_UNAVAILABLE"),
    sentences={**STAFF_SENTENCES, "VALIDATION_ERROR": "dry_run: Must be a valid boolean."},
)
COUNT = Operation(
    id="syncCapacity",
    codes=codes(COUNT_BY_GET.codes, OF_BODIES),
    sentences=COUNT_BY_GET.sentences,
    ids={"/api/cron/sync-capacity": "cronSyncCapacityByPost"},
)


class ExamIdsField(serializers.ListField):
    """Ids of exams; too many have a code of their own, before any of them is looked at."""

    def __init__(self, **options: Any) -> None:
        super().__init__(child=RecordIdField(), max_length=MAX_EXAMS, **options)

    @override
    def to_internal_value(self, data: Any) -> list[Any]:
        if isinstance(data, list) and len(data) > MAX_EXAMS:
            raise TooManyExams(f"mock_exam_ids: at most {MAX_EXAMS} at once.")
        ids: list[Any] = super().to_internal_value(data)
        return ids


class SyncAsked(serializers.Serializer[Any]):
    mock_exam_ids = ExamIdsField(
        required=False,
        allow_null=True,
        help_text=f"At most {MAX_EXAMS}; all upcoming exams where none is given.",
    )
    dry_run = SentBooleanField(default=False)


class SummaryFields(serializers.Serializer[Any]):
    processed = serializers.IntegerField()
    successful = serializers.IntegerField()
    failed = serializers.IntegerField()
    updated = serializers.IntegerField()
    wouldUpdate = serializers.IntegerField()  # noqa: N815 - the contract's name
    unchanged = serializers.IntegerField()
    totalCorrections = serializers.IntegerField(  # noqa: N815 - the contract's name
        help_text="Seats, summed over the corrected exams."
    )


class CorrectionFields(serializers.Serializer[Any]):
    examId = serializers.CharField()  # noqa: N815 - the contract's name
    examDate = serializers.DateField(allow_null=True)  # noqa: N815 - the contract's name
    mockType = serializers.CharField()  # noqa: N815 - the contract's name
    previousCount = serializers.IntegerField()  # noqa: N815 - the contract's name
    actualCount = serializers.IntegerField()  # noqa: N815 - the contract's name
    difference = serializers.IntegerField()
    needsUpdate = serializers.BooleanField()  # noqa: N815 - the contract's name
    updated = serializers.BooleanField()


class UnchangedFields(serializers.Serializer[Any]):
    examId = serializers.CharField()  # noqa: N815 - the contract's name
    examDate = serializers.DateField(allow_null=True)  # noqa: N815 - the contract's name
    mockType = serializers.CharField()  # noqa: N815 - the contract's name
    count = serializers.IntegerField()


class FailedFields(serializers.Serializer[Any]):
    examId = serializers.CharField()  # noqa: N815 - the contract's name
    error = serializers.CharField()


class ResultsFields(serializers.Serializer[Any]):
    updated = CorrectionFields(many=True)
    wouldUpdate = CorrectionFields(many=True)  # noqa: N815 - the contract's name
    unchanged = UnchangedFields(many=True)
    failed = FailedFields(many=True)


class SyncFields(serializers.Serializer[Any]):
    summary = SummaryFields()
    mode = serializers.ChoiceField(choices=["live", "dry_run"])
    results = ResultsFields()


class SyncCapacityView(ReleasedView):
    """Counts now and answers with what was found and corrected."""

    authentication_classes = CRON_AUTHENTICATION
    permission_classes = (CronOrStaff, NotCrossSite)

    @documented(
        COUNT_BY_GET,
        tag="Capacity",
        summary="Count the seats of upcoming exams and correct what is stored",
        description="For schedulers that can only GET. An exam that could not be counted is among "
        "`failed`, and left as it is.",
        parameters=[SyncAsked],
        answers={200: envelope(COUNT_BY_GET.id, SyncFields())},
    )
    def get(self, request: Request) -> Response:
        return self._recount(request, request.query_params)

    @documented(
        COUNT,
        tag="Capacity",
        summary="Count the seats of exams and correct what is stored",
        description="Without `mock_exam_ids`, or with none in it, all upcoming exams. An exam that "
        "could not be counted is among `failed`, and left as it is.",
        request=SyncAsked,
        answers={200: envelope(COUNT.id, SyncFields())},
    )
    def post(self, request: Request) -> Response:
        return self._recount(request, request.data)

    def _recount(self, request: Request, sent: Any) -> Response:
        values = validate_fields(SyncAsked, sent)
        if values.get("mock_exam_ids") or values["dry_run"]:
            return self._count(request, values)
        with running(RECOUNT):  # what the scheduler does, too
            return self._count(request, values)

    def _count(self, request: Request, values: Mapping[str, Any]) -> Response:
        ids = values.get("mock_exam_ids") or []
        context = CallContext(
            deadline=Deadline.after(MAX_RECOUNT_S),
            priority=Priority.BACKGROUND,
            meters=(context_of(request).meter,),
        )
        built = composition.services()
        if len(ids) == 0:  # an empty list, too: existing schedulers send one for all
            types = [mock_type.value for mock_type in built.profile.mock_types]
            ids = search_upcoming_exam_ids(built.booking.desk_context, types, context)
            if not values["dry_run"]:
                built.booking.review_credits(REVIEW_PERIOD)
        dry_run = values["dry_run"]
        who = SCHEDULER if is_scheduler(request) else request.user.get_username()
        counts = built.booking.recount.recount(ids, context, dry_run=dry_run, who=who)
        if values.get("mock_exam_ids") and not is_scheduler(request):
            kind = CountKind.DRY_RUN if dry_run else CountKind.RECOUNT
            record_named_counts(counts, who, kind, built.booking.desk_context.now())
        if all_unanswered(counts):
            raise Unavailable("HubSpot answered for none of the exams.")
        data = render_counts(counts, dry_run=values["dry_run"])
        return answer(data, f"{len(counts)} mock exams were counted.")


def render_counts(counts: Sequence[ExamCount], *, dry_run: bool) -> dict[str, Any]:
    """Return the counts under the contract's names."""
    failed = [count for count in counts if count.error]
    counted = [count for count in counts if not count.error]
    updated = [count for count in counted if count.updated]
    would_update = [count for count in counted if count.differs and not count.updated]
    unchanged = [count for count in counted if not count.differs]
    corrections = [abs(_count_difference(count)) for count in (*updated, *would_update)]
    return {
        "summary": {
            "processed": len(counts),
            "successful": len(counted),
            "failed": len(failed),
            "updated": len(updated),
            "wouldUpdate": len(would_update),
            "unchanged": len(unchanged),
            "totalCorrections": sum(corrections),
        },
        "mode": "dry_run" if dry_run else "live",
        "results": {
            "updated": [_describe_correction(count) for count in updated],
            "wouldUpdate": [_describe_correction(count) for count in would_update],
            "unchanged": [{**_describe_exam(count), "count": count.actual} for count in unchanged],
            "failed": [{"examId": count.exam_id, "error": count.error} for count in failed],
        },
    }


def _count_difference(count: ExamCount) -> int:
    return 0 if count.actual is None else count.actual - count.stored


def _describe_exam(count: ExamCount) -> Mapping[str, Any]:
    exam = count.exam
    return {
        "examId": count.exam_id,
        "examDate": None if exam is None else exam.exam_date,
        "mockType": "" if exam is None else exam.mock_type,
    }


def _describe_correction(count: ExamCount) -> Mapping[str, Any]:
    return {
        **_describe_exam(count),
        "previousCount": count.stored,
        "actualCount": count.actual,
        "difference": _count_difference(count),
        "needsUpdate": count.differs,
        "updated": count.updated,
    }
