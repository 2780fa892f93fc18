"""The periodic jobs by HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.contrib.auth.models import Permission, User
from pytest_django import Settings

from booking_api.api.views import cron
from cache_layer.models import ValidationRun
from tests.api import Api
from tests.builders import Portal

JOB = "/api/cron/validate-cache-consistency"
SECRET = "a-scheduler's-own-secret"
BEARER = {"Authorization": f"Bearer {SECRET}"}

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def secret(settings: Settings) -> None:
    settings.CRON_SECRET = SECRET


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_hourly_sample_repairs_and_is_on_record(method: str, api: Api, portal: Portal) -> None:
    alice = portal.student("alice")
    api.get("/api/bookings/list", **alice.pair)
    portal.sandbox.edit(portal.profile.object_types.contacts, alice.id, credits_osce="1")

    found = api.send(method, JOB, headers=BEARER).data

    assert found["drifted"] == found["repaired"] > 0
    assert "credits.credits_osce 5 → 1" in {drift["difference"] for drift in found["drifts"]}
    assert ValidationRun.objects.get().who == "cron"


@pytest.mark.parametrize("authorization", [None, "Bearer wrong"])
def test_nobody_else_starts_it(authorization: str | None, api: Api) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}

    reply = api.get(JOB, headers=headers)

    assert (reply.status, reply.code) == (401, "AUTH_FAILED")
    assert ValidationRun.objects.count() == 0


@pytest.mark.parametrize(
    ("comes_from", "status"),
    [(None, 200), ("none", 200), ("same-origin", 200), ("same-site", 403), ("cross-site", 403)],
)
def test_no_link_on_another_site_starts_it_with_a_session(
    comes_from: str | None, status: int, api: Api
) -> None:
    olga = User.objects.create_user("olga", is_staff=True)
    olga.user_permissions.add(Permission.objects.get(codename="validate"))
    api.client.force_login(olga)
    headers = {} if comes_from is None else {"Sec-Fetch-Site": comes_from}

    assert api.get(JOB, headers=headers).status == status
    assert ValidationRun.objects.count() == (1 if status == 200 else 0)


def test_a_query_says_how_much_and_of_what(api: Api, portal: Portal) -> None:
    alice = portal.student("alice")
    api.get("/api/bookings/list", **alice.pair)

    found = api.get(JOB, headers=BEARER, family="contacts", sample=1, repair="false").data

    assert found["byFamily"].keys() == {"contacts"}
    assert found["sampled"] == 1


@pytest.mark.parametrize("query", [{"sample": "0"}, {"family": "cats"}, {"sample": "1"}])
def test_what_cannot_be_understood_is_no_run_that_failed(
    query: dict[str, str], api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[str] = []

    @contextmanager
    def running(job: str) -> Iterator[None]:
        runs.append(job)
        yield

    monkeypatch.setattr(cron, "running", running)

    status = api.get(JOB, headers=BEARER, **query).status

    assert runs == (["validate cache"] if status == 200 else [])


@pytest.mark.parametrize("query", [{"sample": "0"}, {"sample": "x"}, {"family": "cats"}])
def test_what_cannot_be_meant_is_refused(query: dict[str, str], api: Api) -> None:
    reply = api.get(JOB, headers=BEARER, **query)

    assert (reply.status, reply.code) == (400, "VALIDATION_ERROR")
