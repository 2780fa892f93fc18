"""The cache page over Django's test client: who may do what, and what is said when it cannot be."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from pytest_django import Settings

from booking_api import composition
from cache_layer import CacheConfig
from cache_layer.models import CacheInvalidation, ValidationRun
from hubspot_sync.portal.profile import load_profile
from tests.api import Api, connected
from tests.builders import Portal, Student
from tests.cache_layer.support import no_table
from tests.sandbox import SandboxHandle
from tests.server import free_port

PAGE = "/admin/cache/cachepage/"
INVALIDATE, LOOK_UP, VALIDATE = f"{PAGE}invalidate/", f"{PAGE}look-up/", f"{PAGE}validate/"

pytestmark = pytest.mark.django_db


@pytest.fixture
def portal(sandbox: SandboxHandle) -> Portal:
    made = Portal(sandbox, load_profile("default"))
    sandbox.kind()
    return made


@pytest.fixture
def api(settings: Settings, portal: Portal) -> Iterator[Api]:
    with connected(settings, portal.sandbox) as api:
        yield api


@pytest.fixture
def alice(api: Api, portal: Portal) -> Student:
    """Alice, whose list is cached."""
    student = portal.student("alice")
    portal.booking(student, portal.exam())
    assert api.get("/api/bookings/list", **student.pair).status == 200
    return student


def browser(*permissions: str, staff: bool = True) -> Client:
    user = User.objects.create_user("olga", is_staff=staff)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def said(client: Client, method: str, path: str, **fields: Any) -> tuple[int, str]:
    """Return the status and the page's text, redirects followed."""
    response = getattr(client, method)(path, fields, follow=True)
    return response.status_code, html.unescape(response.content.decode())


def held() -> int:
    return composition.cache_host().cache.backend.size().total_entries


def test_the_index_leads_staff_to_the_page_and_nobody_else(api: Api) -> None:
    staff = browser("view_entries")
    assert f'href="{PAGE}"' in said(staff, "get", "/admin/")[1]
    assert said(staff, "get", PAGE)[0] == 200

    assert "username" in said(Client(), "get", PAGE)[1]
    User.objects.all().delete()
    assert "username" in said(browser("view_entries", staff=False), "get", PAGE)[1]


def test_the_page_shows_what_is_held_and_how_it_is_used(api: Api, alice: Student) -> None:
    _, text = said(browser("view_entries"), "get", PAGE)

    assert "locmem" in text
    assert "of at most 10000" in text
    assert "booking-pages" in text
    assert "misses</title>" in text
    assert "Everything that was loaded was stored." in text


def test_nothing_goes_before_it_was_confirmed(api: Api, alice: Student) -> None:
    before = held()

    status, text = said(browser("invalidate"), "post", INVALIDATE, scope="all")

    assert status == 200
    assert f"Remove {before} entries" in text
    assert held() == before
    assert CacheInvalidation.objects.count() == 0


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    ("scope", "named", "number"),
    [
        ("keys", "contact:{id}:details\ncontact:{email}:details", 2),
        ("pattern", "bookings:list:{id}:*", 1),
        ("family", "exams", 1),
        ("student", "{id}", 6),
        ("exam", "{exam_id}", 4),
        ("all", "", None),
    ],
)
def test_what_the_preview_counts_is_what_goes(
    scope: str, named: str, number: int | None, api: Api, alice: Student
) -> None:
    client = browser("invalidate", "view_personal_data")
    exam_id = next(
        key.split(":")[1]
        for page in composition.cache_host().cache.backend.scan_keys()
        for key in page
        if key.startswith("mockexam:")
    )
    text = named.format(id=alice.id, email=alice.email, exam_id=exam_id)
    before = held()
    expected = before if number is None else number

    _, preview = said(client, "post", INVALIDATE, scope=scope, named=text)
    _, done = said(client, "post", INVALIDATE, scope=scope, named=text, confirmed="true")

    assert f">{expected}</strong>" in preview
    assert "removed:" in done
    assert before - held() == expected
    row = CacheInvalidation.objects.get()
    assert (row.who, row.scope, row.removed) == ("olga", scope, expected)


def test_without_the_permission_nothing_goes_and_the_page_says_why(
    api: Api, alice: Student
) -> None:
    client, before = browser("view_entries"), held()

    _, page = said(client, "get", PAGE)
    status, refused = said(client, "post", INVALIDATE, scope="all", confirmed="true")

    assert "Preview" not in page
    assert (status, "cache.invalidate" in refused) == (403, True)
    assert held() == before


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    ("scope", "named", "words"),
    [
        ("keys", "nonsense", "no key of any family"),
        ("keys", " \n ", "Name at least one key"),
        ("pattern", "*", "must start with a word"),
        ("pattern", "", "Name one pattern"),
        ("family", "cats", "There is no family 'cats'"),
        ("student", "", "Name one student"),
        ("moon", "1", "no such way to name entries"),
    ],
)
def test_what_names_nothing_sensible_is_explained(
    scope: str, named: str, words: str, api: Api, alice: Student
) -> None:
    status, text = said(browser("invalidate"), "post", INVALIDATE, scope=scope, named=named)

    assert (status, words in text) == (400, True)


def test_a_form_that_is_sent_twice_is_one_removal_on_record(api: Api, alice: Student) -> None:
    client = browser("invalidate")
    asked = {"scope": "student", "named": alice.id}
    page = client.post(INVALIDATE, asked).content.decode()
    found = re.search(r'name="token" value="([^"]+)"', page)
    assert found is not None
    confirmed = {**asked, "confirmed": "true", "token": found[1]}

    for _ in range(2):
        status, text = said(client, "post", INVALIDATE, **confirmed)
        assert status == 200

    assert "had been sent before" in text
    assert CacheInvalidation.objects.get().removed > 0
    said(client, "post", INVALIDATE, **asked, confirmed="true")
    assert CacheInvalidation.objects.count() == 2, "what was asked for anew is another"


def test_a_session_from_elsewhere_removes_nothing(api: Api, alice: Student) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.create_superuser("olga"))

    assert said(client, "post", INVALIDATE, scope="all", confirmed="true")[0] == 403
    assert held() > 0


def test_a_key_is_looked_up(api: Api, alice: Student) -> None:
    seeing = browser("view_entries", "view_personal_data")

    _, text = said(seeing, "post", LOOK_UP, key=f"contact:{alice.email}:details")

    assert '"firstname": "Alice"' in text
    assert f"<code>contact:{alice.id}</code>" in text


@pytest.mark.parametrize("scope", ["pattern", "family", "student"])
def test_a_name_longer_than_any_is_refused(scope: str, api: Api) -> None:
    status, text = said(browser("invalidate"), "post", INVALIDATE, scope=scope, named="x" * 90_000)

    assert (status, "has a name of 90000 characters" in text) == (400, True)
    assert CacheInvalidation.objects.count() == 0


@pytest.mark.parametrize(
    ("key", "words"),
    [("contact:77:details", "Nothing is held under"), ("cats:1", "is no key of any family")],
)
def test_a_key_that_is_not_there_is_told_from_one_that_cannot_be(
    key: str, words: str, api: Api
) -> None:
    assert words in said(browser("view_entries"), "post", LOOK_UP, key=key)[1]


def test_a_comparison_shows_the_drift_and_is_on_record(
    api: Api, alice: Student, portal: Portal
) -> None:
    portal.sandbox.edit(portal.profile.object_types.contacts, alice.id, firstname="Alicia")

    _, text = said(browser("validate"), "post", VALIDATE, sample="100", repair="on")

    assert "2 drifted, 2 repaired" in text
    assert re.search(r"contact:#[0-9a-f]{32}:details", text)
    assert alice.email not in text
    assert "Alicia" not in text
    assert ValidationRun.objects.get().who == "olga"


def test_a_command_that_compares_family_by_family_is_on_record_with_each(
    api: Api, alice: Student, settings: Settings
) -> None:
    settings.CRON_SECRET = secret = "a-secret-of-the-scheduler"
    families = [family.name for family in composition.cache_host().cache.catalogue]
    for family in families:
        compared = api.send(
            "POST",
            "/api/cron/validate-cache-consistency",
            body=orjson.dumps({"family": family}),
            headers={"Authorization": f"Bearer {secret}"},
        )
        assert compared.status == 200, compared.body

    _, text = said(browser("view_entries"), "get", PAGE)

    assert [family for family in families if f"<td>{family}</td>" not in text] == []


@pytest.mark.parametrize("path", [INVALIDATE, LOOK_UP, VALIDATE])
def test_an_address_opened_by_hand_leads_back_to_the_page(path: str, api: Api) -> None:
    response = browser("invalidate").get(path)

    assert (response.status_code, response.headers["Location"]) == (302, PAGE)


@pytest.mark.django_db(transaction=True)  # what Redis was not told is written beside the request
def test_a_silent_redis_is_said_everywhere_and_breaks_nothing(
    settings: Settings, portal: Portal
) -> None:
    dead = CacheConfig(
        redis_url=f"redis://127.0.0.1:{free_port()}/0",
        retry_s=0.01,
        trust_s=0.2,
        key_secrets=("a",),
    )
    client = browser("view_entries", "validate", "invalidate")
    with connected(settings, portal.sandbox, cache=dead):
        shown = said(client, "get", PAGE)
        look_up = said(client, "post", LOOK_UP, key="contact:77:details")
        compared = said(client, "post", VALIDATE, sample="1")
        preview = said(client, "post", INVALIDATE, scope="all")
        done = said(client, "post", INVALIDATE, scope="all", confirmed="true")
        with no_table():
            not_done = said(client, "post", INVALIDATE, scope="all", confirmed="true")

    assert (not_done[0], "Nobody could be told" in not_done[1]) == (503, True)
    assert {shown[0], look_up[0], compared[0], preview[0], done[0]} == {200}
    assert "The backend does not answer" in shown[1]
    assert "The cache does not answer now" in look_up[1]
    assert "The cache does not answer now" in compared[1]
    assert "nobody can say how many" in preview[1]
    assert "told as soon as it does" in done[1]
    assert CacheInvalidation.objects.get().delivered is False
    assert ValidationRun.objects.get().error != ""


def test_the_records_may_be_read_and_not_written(api: Api) -> None:
    client = browser("view_cacheinvalidation", "view_validationrun", "change_cacheinvalidation")

    for model in ("cacheinvalidation", "validationrun"):
        assert client.get(f"/admin/cache/{model}/").status_code == 200
        assert client.get(f"/admin/cache/{model}/add/").status_code == 403
