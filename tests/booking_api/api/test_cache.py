"""The cache for staff over HTTP: numbers, removal, comparison."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from pytest_django import Settings
from rest_framework.authtoken.models import Token

from booking_api import composition
from cache_layer import CacheConfig
from cache_layer.models import CacheInvalidation, ValidationRun
from cache_layer.operating.host import cache_host
from tests.api import Api, Reply, connected
from tests.builders import Portal
from tests.server import free_port

STATS = "/api/admin/cache/stats"
INVALIDATE = "/api/admin/cache/invalidate"
VALIDATE = "/api/admin/cache/validate"
LIST = "/api/bookings/list"

pytestmark = pytest.mark.django_db


def staff(*permissions: str) -> User:
    """Return Olga, who holds these permissions, or all of the cache's where none is named."""
    user = User.objects.create_user("olga", password="a long one", is_staff=True)
    mine = permissions or ("view_entries", "validate", "invalidate", "view_personal_data")
    user.user_permissions.set(Permission.objects.filter(codename__in=mine))
    return user


def as_user(user: User) -> Api:
    client = Client(raise_request_exception=False)
    client.force_login(user)
    return Api(client)


def warm(api: Api, portal: Portal) -> Any:
    """Alice's bookings are listed, and so cached."""
    alice = portal.student("alice")
    portal.booking(alice, portal.exam())
    assert api.get(LIST, **alice.pair).status == 200
    return alice


def removed(reply: Reply) -> int:
    return int(reply.data["removed"])


def test_the_numbers_are_the_contracts(api: Api, portal: Portal) -> None:
    alice = warm(api, portal)
    api.get(LIST, **alice.pair)

    data = as_user(staff()).get(STATS).data

    assert data["enabled"] is True
    assert data["available"] is True
    assert data["backend"] == "locmem"
    assert data["maxSize"] == 10_000
    assert data["rolloutPercentage"] == 100
    assert data["totalKeys"] == sum(data["keysByType"].values()) > 0
    by_word: Counter[str] = Counter()
    for name, family in data["byFamily"].items():
        by_word[cache_host().cache.catalogue.family(name).first_word] += family["entries"]
    assert data["keysByType"] == by_word
    assert data["keysByType"]["bookings"] == 1
    assert {"contact", "booking", "mockexam", "mockexams"} <= data["keysByType"].keys()
    assert data["hits"] > 0
    assert data["misses"] > 0
    assert data["hitRate"] == pytest.approx(
        data["hits"] / (data["hits"] + data["misses"]), abs=0.001
    )
    assert data["estimatedHitRate"] == f"{data['hitRate']:.0%}"
    assert data["byFamily"]["booking-pages"]["hits"] == 1
    assert data["memoryBytes"] == sum(family["bytes"] for family in data["byFamily"].values()) > 0
    assert data["memoryBytes"] < data["usedBytes"] < data["maxBytes"] == 128 * 1024 * 1024
    assert data["evictions"] == {}


@pytest.mark.parametrize(
    ("method", "path"), [("GET", STATS), ("POST", INVALIDATE), ("POST", VALIDATE)]
)
def test_only_staff_are_let_in(method: str, path: str, api: Api) -> None:
    nobody = api.send(method, path, body=b"{}")
    student = as_user(User.objects.create_user("a-student")).send(method, path, body=b"{}")

    assert (nobody.status, nobody.code) == (401, "AUTH_FAILED")
    assert (student.status, student.code) == (403, "ACCESS_DENIED")


def test_a_token_of_staff_is_as_good_as_a_session(api: Api) -> None:
    token = Token.objects.create(user=staff())

    assert api.get(STATS, headers={"Authorization": f"Token {token.key}"}).status == 200


def test_a_session_without_the_csrf_token_changes_nothing(api: Api, portal: Portal) -> None:
    warm(api, portal)
    client = Client(enforce_csrf_checks=True, raise_request_exception=False)
    client.force_login(staff())

    reply = Api(client).post(INVALIDATE, all=True)

    assert (reply.status, reply.code) == (403, "ACCESS_DENIED")
    assert composition.cache_host().cache.backend.size().total_entries > 0


def test_staff_without_the_permission_remove_nothing(api: Api, portal: Portal) -> None:
    warm(api, portal)

    reply = as_user(staff("view_entries", "validate")).post(INVALIDATE, all=True)

    assert (reply.status, reply.code) == (403, "ACCESS_DENIED")
    assert "cache.invalidate" in reply.body["error"]
    assert composition.cache_host().cache.backend.size().total_entries > 0


def test_everything_goes_and_is_on_record(api: Api, portal: Portal) -> None:
    warm(api, portal)
    held = composition.cache_host().cache.backend.size()

    reply = as_user(staff()).post(INVALIDATE, all=True, reason="the portal was restored")

    assert reply.data == {
        "scope": "all",
        "removed": held.total_entries,
        "byFamily": dict(held.entries),
        "delivered": True,
    }
    row = CacheInvalidation.objects.get()
    assert (row.who, row.reason, row.scope) == ("olga", "the portal was restored", "all")
    assert (row.removed, row.delivered) == (held.total_entries, True)


def test_one_student_is_removed_and_the_others_stay(api: Api, portal: Portal) -> None:
    alice = warm(api, portal)
    charlie = portal.student("charlie")
    api.get(LIST, **charlie.pair)
    olga = as_user(staff())

    assert removed(olga.post(INVALIDATE, contact_id=alice.id)) > 0

    assert api.get(LIST, **charlie.pair).headers["Server-Timing"].endswith('desc="hit"')
    portal.sandbox.clear_calls()
    api.get(LIST, **alice.pair)
    assert portal.sandbox.calls_count() > 0
    assert CacheInvalidation.objects.get().scope == "student"


def test_an_exam_takes_the_pages_that_show_it_along(api: Api, portal: Portal) -> None:
    alice, exam = portal.student("alice"), portal.exam()
    portal.booking(alice, exam)
    api.get(LIST, **alice.pair)

    by_family = as_user(staff()).post(INVALIDATE, mock_exam_id=exam.id).data["byFamily"]

    assert by_family["booking-pages"] == 1
    assert by_family["exams"] == 1


def test_keys_patterns_and_families_are_removed(api: Api, portal: Portal) -> None:
    alice = warm(api, portal)
    olga = as_user(staff())

    key = f"contact:{alice.id}:credits:all"
    assert olga.post(INVALIDATE, keys=[key]).data["byFamily"] == {"credits": 1}
    pattern = olga.post(INVALIDATE, pattern=f"bookings:list:{alice.id}:*")
    assert pattern.data["byFamily"] == {"booking-pages": 1}
    assert set(olga.post(INVALIDATE, family="contacts").data["byFamily"]) == {"contacts"}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "exactly one"),
        ({"all": True, "family": "exams"}, "exactly one"),
        ({"all": False}, "Only true"),
        ({"keys": ["nonsense"]}, "'nonsense'"),
        ({"keys": []}, "keys"),
        ({"pattern": "*"}, "must start with a word"),
        ({"pattern": "contact:{id}"}, "characters no key contains"),
        ({"family": "cats"}, "There is no family 'cats'"),
        ({"contact_id": "7; drop"}, "contact_id"),
    ],
)
def test_what_names_nothing_sensible_is_refused_in_a_sentence(
    body: dict[str, Any], said: str, api: Api, portal: Portal
) -> None:
    warm(api, portal)

    reply = as_user(staff()).post(INVALIDATE, **body)

    assert (reply.status, reply.code) == (400, "VALIDATION_ERROR")
    assert said in reply.body["error"]
    assert CacheInvalidation.objects.count() == 0
    assert composition.cache_host().cache.backend.size().total_entries > 0


def test_a_comparison_finds_and_repairs_what_drifted(api: Api, portal: Portal) -> None:
    alice = warm(api, portal)
    types = portal.profile.object_types
    portal.sandbox.edit(types.contacts, alice.id, firstname="Alicia")
    olga = as_user(staff())

    found = olga.post(VALIDATE, all=True).data

    assert found["complete"] is True
    assert found["drifted"] == found["repaired"] > 0
    assert {drift["family"] for drift in found["drifts"]} >= {"contacts"}
    assert {"firstname"} == {d["difference"] for d in found["drifts"] if d["family"] == "contacts"}
    assert "Alicia" not in str(found)
    assert alice.email not in str(found)
    assert olga.post(VALIDATE, all=True).data["drifted"] == 0
    latest = ValidationRun.objects.last()
    assert latest is not None
    assert (latest.who, latest.drifted) == ("olga", found["drifted"])


def test_a_comparison_may_only_look(api: Api, portal: Portal) -> None:
    alice = warm(api, portal)
    portal.sandbox.edit(portal.profile.object_types.contacts, alice.id, firstname="Alicia")
    olga = as_user(staff())

    looked = olga.post(VALIDATE, all=True, repair=False, family="contacts").data

    assert looked["drifted"] > looked["repaired"] == 0
    assert set(looked["byFamily"]) == {"contacts"}
    assert olga.post(VALIDATE, all=True, family="contacts").data["drifted"] == looked["drifted"]


def test_a_comparison_without_hubspot_says_so(api: Api, portal: Portal) -> None:
    warm(api, portal)
    portal.sandbox.fault("status", path=".*", status=401)

    found = as_user(staff()).post(VALIDATE, all=True).data

    assert found["complete"] is False
    assert found["unknown"] == found["sampled"] > 0
    assert found["drifted"] == 0


@pytest.mark.django_db(transaction=True)  # what Redis was not told is written beside the request
def test_a_silent_redis_is_told_from_an_empty_cache(settings: Settings, portal: Portal) -> None:
    dead = CacheConfig(
        redis_url=f"redis://127.0.0.1:{free_port()}/0",
        retry_s=0.01,
        trust_s=0.2,
        key_secrets=("a",),
    )
    olga = as_user(staff())
    with connected(settings, portal.sandbox, cache=dead):
        stats = olga.get(STATS).data
        removal = olga.post(INVALIDATE, all=True)
        after = olga.get(STATS).data
        comparison = olga.post(VALIDATE)

    assert (stats["available"], stats["totalKeys"], stats["undelivered"]) == (False, 0, False)
    assert (removal.data["delivered"], removal.data["removed"]) == (False, 0)
    assert after["undelivered"] is True
    assert (comparison.status, comparison.code) == (503, "HUBSPOT_UNAVAILABLE")
    assert int(comparison.headers["Retry-After"]) > 0
