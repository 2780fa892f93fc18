"""The periodic jobs by HTTP, for a scheduler with the cron secret, or staff who may."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from booking_api.api.authentication import CRON_AUTHENTICATION
from booking_api.api.permissions import CronOrStaff, MayValidate, NotCrossSite
from booking_api.api.schema.answers import envelope
from booking_api.api.schema.operations import OF_BODIES, Operation, codes, documented
from booking_api.api.views.cache import (
    VALIDATION_CODES,
    VALIDATION_SENTENCES,
    ReportFields,
    ValidateAsked,
    read_validation,
    run_validation,
    username_of,
)
from booking_api.api.views.released_view import ReleasedView
from booking_api.ops.history.process import running
from booking_api.ops.scheduler import VALIDATE_CACHE

CHECK_BY_GET = Operation(
    id="cronValidateCache", codes=VALIDATION_CODES, sentences=VALIDATION_SENTENCES
)
CHECK = Operation(
    id="cronValidateCacheByPost",
    codes=codes(VALIDATION_CODES, OF_BODIES),
    sentences=VALIDATION_SENTENCES,
)


class ValidateCacheView(ReleasedView):
    """The hourly sample; schedulers that can only GET may."""

    authentication_classes = CRON_AUTHENTICATION
    permission_classes = (CronOrStaff, MayValidate, NotCrossSite)

    @documented(
        CHECK_BY_GET,
        tag="Cache",
        summary="Compare a sample of the cache with HubSpot",
        description="For schedulers that can only GET. What drifted is repaired, unless "
        "`repair=false`.",
        parameters=[ValidateAsked],
        answers={200: envelope(CHECK_BY_GET.id, ReportFields())},
    )
    def get(self, request: Request) -> Response:
        return self._run(request, request.query_params.dict())

    @documented(
        CHECK,
        tag="Cache",
        summary="Compare a sample of the cache with HubSpot, by POST",
        description="What drifted is repaired, unless `repair` is false.",
        request=ValidateAsked,
        answers={200: envelope(CHECK.id, ReportFields())},
    )
    def post(self, request: Request) -> Response:
        return self._run(request, request.data)

    def _run(self, request: Request, asked: Any) -> Response:
        options = read_validation(asked)  # what cannot be understood is no run that failed
        with running(VALIDATE_CACHE):
            return run_validation(options, who=username_of(request) or "cron")
