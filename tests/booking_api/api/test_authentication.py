"""Staff and the scheduler, told from everybody else."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.http import HttpRequest
from pytest_django import Settings
from rest_framework.authtoken.models import Token
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory
from rest_framework.views import APIView

from booking_api.api.authentication import CRON_AUTHENTICATION
from booking_api.api.context import META_KEY, RequestContext
from booking_api.api.permissions import CronOrStaff
from hubspot_sync.wire.deadlines import Deadline

SECRET = "a-scheduler's-own-secret"


class Job(APIView):
    authentication_classes = CRON_AUTHENTICATION
    permission_classes = (CronOrStaff,)

    def post(self, request: Request) -> Response:
        return Response({"done": True})


@pytest.fixture(autouse=True)
def secret(settings: Settings) -> None:
    settings.CRON_SECRET = SECRET


def called(authorization: str | None = None) -> Any:
    headers = {} if authorization is None else {"Authorization": authorization}
    request: HttpRequest = APIRequestFactory().post("/", headers=headers)
    request.META[META_KEY] = RequestContext(request_id="r", deadline=Deadline.after(1))
    return Job.as_view()(request)


def test_the_scheduler_is_let_in_by_its_secret() -> None:
    assert called(f"Bearer {SECRET}").data == {"done": True}


def test_of_several_secrets_each_is_taken_and_nothing_between_them(settings: Settings) -> None:
    settings.CRON_SECRET = f"a-newer-secret-than-that, {SECRET},"

    for secret in ("a-newer-secret-than-that", SECRET):
        assert called(f"Bearer {secret}").data == {"done": True}
    for secret in (settings.CRON_SECRET, "", ","):
        assert called(f"Bearer {secret}").status_code == 401


@pytest.mark.parametrize("header", ["Bearer wrong", "Bearer ", "Bearer é", None, "Basic eDp5"])
def test_nobody_is_let_in_by_anything_else(header: str | None) -> None:
    reply = called(header)

    assert (reply.status_code, reply.data["code"]) == (401, "AUTH_FAILED")


def test_without_a_secret_an_empty_one_is_not_right(settings: Settings) -> None:
    settings.CRON_SECRET = ""

    assert called("Bearer ").status_code == 401


@pytest.mark.django_db
@pytest.mark.parametrize(("is_staff", "status"), [(True, 200), (False, 403)])
def test_a_token_lets_in_staff_alone(is_staff: bool, status: int) -> None:
    user = User.objects.create_user("somebody", is_staff=is_staff)

    assert called(f"Token {Token.objects.create(user=user).key}").status_code == status
