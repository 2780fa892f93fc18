"""The cache for those who run it: its numbers, removing entries, comparing it with HubSpot."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from django.utils import timezone
from rest_framework import serializers
from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import BasePermission, IsAdminUser
from rest_framework.request import Request
from rest_framework.response import Response
from typing_extensions import override

from booking_api.api.authentication import STAFF_AUTHENTICATION
from booking_api.api.envelope import answer
from booking_api.api.permissions import MayInvalidate, MayValidate, MayViewEntries
from booking_api.api.schema.answers import envelope
from booking_api.api.schema.operations import (
    OF_BODIES,
    OF_STAFF,
    STAFF_SENTENCES,
    Operation,
    codes,
    documented,
)
from booking_api.api.serializers import FamilyField, RecordIdField, SentBooleanField, SentTextField
from booking_api.api.views.released_view import ReleasedView
from booking_api.rules.errors import InvalidRequest
from cache_layer.counters import Count
from cache_layer.errors import BadPattern
from cache_layer.operating.audit import validate_and_record
from cache_layer.operating.host import cache_host
from cache_layer.operating.manual_invalidation import (
    EVERYTHING,
    FAMILY,
    KEYS,
    PATTERN,
    InvalidationRequest,
    remove,
    singles_out_person,
)
from cache_layer.operating.report import CacheReport, FamilyReport, build_report, validation_as_json
from cache_layer.operating.validation import DEFAULT_SAMPLE
from cache_layer.permissions import VIEW_PERSONAL_DATA

MAX_SAMPLE = 10_000
NOBODY_NAMED = (
    f"To name an e-mail, or a pattern whose * is a part of a word, needs {VIEW_PERSONAL_DATA}."
)
# What a body names, and the scope it stands for.
SCOPES = {
    "keys": KEYS,
    "pattern": PATTERN,
    "family": FAMILY,
    "contact_id": "student",
    "mock_exam_id": "exam",
    "all": EVERYTHING,
}

STATS = Operation(id="getCacheStats", codes=OF_STAFF, sentences=STAFF_SENTENCES)
INVALIDATE = Operation(
    id="invalidateCache",
    codes=codes(OF_STAFF, OF_BODIES),
    sentences={**STAFF_SENTENCES, "VALIDATION_ERROR": f"Name exactly one of {', '.join(SCOPES)}."},
)
VALIDATION_CODES = OF_STAFF
VALIDATION_SENTENCES = {
    **STAFF_SENTENCES,
    "VALIDATION_ERROR": "sample: A valid integer is required.",
}
VALIDATE = Operation(
    id="validateCache", codes=codes(VALIDATION_CODES, OF_BODIES), sentences=VALIDATION_SENTENCES
)


class CountsFields(serializers.Serializer[Any]):
    hits = serializers.IntegerField()
    misses = serializers.IntegerField()


class StatsFields(CountsFields):
    enabled = serializers.BooleanField()
    available = serializers.BooleanField(help_text="Whether the backend answers now.")
    backend = serializers.CharField()
    totalKeys = serializers.IntegerField()  # noqa: N815 - the contract's name
    keysByType = serializers.DictField(  # noqa: N815 - the contract's name
        child=serializers.IntegerField(), help_text="Entries held, by their keys' first word."
    )
    maxSize = serializers.IntegerField()  # noqa: N815 - the contract's name
    estimatedHitRate = serializers.RegexField(  # noqa: N815 - the contract's name
        r"^\d{1,3}%$", help_text="For people: `72%`."
    )
    hitRate = serializers.FloatField(  # noqa: N815 - the contract's name
        help_text="From 0 to 1, of this process since it started."
    )
    byFamily = serializers.DictField(child=CountsFields())  # noqa: N815 - the contract's name
    memoryBytes = serializers.IntegerField(  # noqa: N815 - the contract's name
        help_text="The values held."
    )
    usedBytes = serializers.IntegerField(  # noqa: N815 - as its siblings
        help_text="The values, and all that is kept about entries and invalidations."
    )
    maxBytes = serializers.IntegerField(  # noqa: N815 - as its siblings
        help_text="The bound on `usedBytes`, CACHE_MAX_BYTES."
    )
    rolloutPercentage = serializers.FloatField()  # noqa: N815 - the contract's name
    refusedStores = serializers.DictField(  # noqa: N815 - as its siblings
        child=serializers.IntegerField(), help_text="By reason."
    )
    evictions = serializers.DictField(
        child=serializers.IntegerField(), help_text="By the bound they were for: entries or bytes."
    )
    unreadable = serializers.DictField(
        child=serializers.IntegerField(),
        help_text="Entries found that are no value here, by reason; another release's are its own.",
    )
    invalidations = serializers.DictField(child=serializers.IntegerField(), help_text="By cause.")
    failures = serializers.DictField(
        child=serializers.IntegerField(), help_text="Errors of the cache itself, by step."
    )
    undelivered = serializers.BooleanField(
        help_text="Whether an invalidation still waits for the backend; then reads go past it."
    )
    since = serializers.DateTimeField()


class InvalidateAsked(serializers.Serializer[Any]):
    """Exactly one of the first six."""

    keys = serializers.ListField(
        child=SentTextField(max_length=2000), min_length=1, max_length=1000, required=False
    )
    pattern = SentTextField(max_length=2000, required=False)
    family = FamilyField(max_length=100, required=False)
    contact_id = RecordIdField(required=False)
    mock_exam_id = RecordIdField(required=False)
    all = SentBooleanField(required=False)
    reason = SentTextField(max_length=200, required=False, default="", allow_blank=True)

    @override
    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        named = [name for name in SCOPES if name in attrs]
        if len(named) != 1:
            raise serializers.ValidationError(f"Name exactly one of {', '.join(SCOPES)}.")
        if attrs.get("all") is False:
            raise serializers.ValidationError({"all": "Only true removes everything."})
        return attrs

    def to_request(self) -> InvalidationRequest:
        """Return what the validated body asks to have removed."""
        (field,) = (name for name in SCOPES if name in self.validated_data)
        value = self.validated_data[field]
        if field == "all":
            return InvalidationRequest(scope=EVERYTHING)
        return InvalidationRequest(
            scope=SCOPES[field], named=tuple(value) if field == "keys" else (value,)
        )


class InvalidatedFields(serializers.Serializer[Any]):
    scope = serializers.CharField()
    removed = serializers.IntegerField(source="total_removed")
    byFamily = serializers.DictField(  # noqa: N815 - as in the stats
        child=serializers.IntegerField(), source="removed"
    )
    delivered = serializers.BooleanField(
        help_text="False: the backend did not answer; this process bypasses it until it has heard."
    )


class ValidateAsked(serializers.Serializer[Any]):
    sample = serializers.IntegerField(
        min_value=1, max_value=MAX_SAMPLE, default=DEFAULT_SAMPLE, help_text="Of each family."
    )
    all = SentBooleanField(default=False, help_text="Every entry instead of a sample.")
    repair = SentBooleanField(default=True)
    family = FamilyField(max_length=100, required=False, help_text="Only this one.")


class ComparedFields(serializers.Serializer[Any]):
    sampled = serializers.IntegerField()
    same = serializers.IntegerField()
    drifted = serializers.IntegerField()
    repaired = serializers.IntegerField()
    skipped = serializers.IntegerField(help_text="Expired or invalidated meanwhile.")
    unknown = serializers.IntegerField(help_text="HubSpot could not be asked.")


class DriftFields(serializers.Serializer[Any]):
    family = serializers.CharField()
    key = serializers.CharField(help_text="E-mails are left out.")
    verdict = serializers.ChoiceField(["differs", "gone"])
    ageSeconds = serializers.FloatField()  # noqa: N815 - as in the stats
    difference = serializers.CharField()
    repaired = serializers.BooleanField()


class ReportFields(ComparedFields):
    complete = serializers.BooleanField(help_text="Whether HubSpot answered for every entry.")
    byFamily = serializers.DictField(child=ComparedFields())  # noqa: N815 - as in the stats
    drifts = DriftFields(many=True)


class StaffView(ReleasedView):
    """Base of what staff call, by session or token."""

    authentication_classes = STAFF_AUTHENTICATION
    permission_classes: tuple[type[BasePermission], ...] = (IsAdminUser,)


class CacheStatsView(StaffView):
    permission_classes = (IsAdminUser, MayViewEntries)

    @documented(
        STATS,
        tag="Cache",
        summary="The cache in numbers",
        description="Of the process that answers; entries and bytes are the backend's. For staff "
        "holding `cache.view_entries`.",
        answers={200: envelope(STATS.id, StatsFields())},
    )
    def get(self, _: Request) -> Response:
        numbers = build_report(cache_host().cache, timezone.now())
        return answer(render_stats(numbers), "The cache in numbers.")


class CacheInvalidateView(StaffView):
    permission_classes = (IsAdminUser, MayInvalidate)

    @documented(
        INVALIDATE,
        tag="Cache",
        summary="Remove entries",
        description="Names exactly one of keys, a pattern, a family, a student, an exam, or all. "
        "For staff holding `cache.invalidate`.",
        request=InvalidateAsked,
        answers={200: envelope(INVALIDATE.id, InvalidatedFields())},
    )
    def post(self, request: Request) -> Response:
        body = InvalidateAsked(data=request.data)
        body.is_valid(raise_exception=True)
        asked = body.to_request()
        if singles_out_person(asked) and not request.user.has_perm(VIEW_PERSONAL_DATA):
            raise PermissionDenied(NOBODY_NAMED)
        try:
            invalidated = remove(
                cache_host(),
                asked,
                who=username_of(request),
                reason=body.validated_data["reason"],
            )
        except BadPattern as error:
            raise InvalidRequest(str(error)) from error
        message = f"{invalidated.total_removed} entries removed."
        if not invalidated.delivered:
            message = "The cache does not answer; the entries go before it is read again."
        return answer(InvalidatedFields(invalidated).data, message)


class CacheValidateView(StaffView):
    permission_classes = (IsAdminUser, MayValidate)

    @documented(
        VALIDATE,
        tag="Cache",
        summary="Compare the cache with HubSpot",
        description="Reloads a sample of each family, or every entry, and repairs what drifted. "
        "For staff holding `cache.validate`.",
        request=ValidateAsked,
        answers={200: envelope(VALIDATE.id, ReportFields())},
    )
    def post(self, request: Request) -> Response:
        return run_validation(read_validation(request.data), who=username_of(request))


def read_validation(asked: Any) -> dict[str, Any]:
    """Return what is asked of a validation; raise InvalidRequest."""
    body = ValidateAsked(data=asked)
    body.is_valid(raise_exception=True)
    options: dict[str, Any] = body.validated_data
    named = [options["family"]] if "family" in options else []
    try:
        families = [cache_host().cache.catalogue.family(name).name for name in named] or None
    except BadPattern as error:
        raise InvalidRequest(f"family: {error}") from error
    sample = None if options["all"] else options["sample"]
    return {"sample": sample, "repair": options["repair"], "families": families}


def run_validation(options: Mapping[str, Any], *, who: str) -> Response:
    """Run a validation as `read_validation` has read it, and return its report."""
    report = validate_and_record(cache_host(), who=who, **options)
    data = validation_as_json(report)
    message = f"{data['sampled']} entries compared, {data['drifted']} drifted."
    if not report.complete:
        message += f" HubSpot did not answer for {data['unknown']}."
    return answer(data, message)


def username_of(request: Request) -> str:
    """Return the username of whoever asks, empty for the scheduler."""
    return request.user.get_username()


def render_stats(numbers: CacheReport) -> dict[str, Any]:
    """Return the numbers under the contract's names."""
    return {
        "enabled": numbers.enabled,
        "available": numbers.available,
        "backend": numbers.backend,
        "totalKeys": numbers.entries,
        "keysByType": count_by_first_word(numbers.families),
        "maxSize": numbers.max_entries,
        "estimatedHitRate": f"{numbers.hit_rate or 0.0:.0%}",
        "hitRate": round(numbers.hit_rate or 0.0, 4),
        "hits": numbers.counts[Count.HITS],
        "misses": numbers.counts[Count.MISSES],
        "byFamily": {family.name: render_counts(family) for family in numbers.families},
        "memoryBytes": numbers.payload_bytes,
        "usedBytes": numbers.used_bytes,
        "maxBytes": numbers.max_bytes,
        "rolloutPercentage": numbers.rollout_percentage,
        "refusedStores": dict(numbers.refused),
        "evictions": dict(numbers.evictions),
        "unreadable": dict(numbers.unreadable),
        "invalidations": dict(numbers.invalidations),
        "failures": dict(numbers.errors),
        "undelivered": not numbers.all_delivered,
        "since": numbers.since,
    }


def count_by_first_word(families: Iterable[FamilyReport]) -> dict[str, int]:
    """Return how many entries are held, by the word their keys begin with."""
    held: Counter[str] = Counter()
    for family in families:
        held[family.first_word] += family.entries
    return dict(held)


def render_counts(family: FamilyReport) -> dict[str, Any]:
    counts = {str(count): number for count, number in family.counts.items()}
    return counts | {"entries": family.entries, "bytes": family.payload_bytes}
