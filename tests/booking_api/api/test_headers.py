"""What every answer tells a browser, and which answers are compressed."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from pytest_django import Settings

from tests.api import Api
from tests.builders import Portal

pytestmark = pytest.mark.django_db

NOTHING = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
POLICY = "Content-Security-Policy"
INLINE = r"<script>|\son\w+=|javascript:|\sstyle="
LIBRARIES_STATIC_FILES = ["admin", "rest_framework", "drf_spectacular_sidecar", "vendor"]
GZIP = {"Accept-Encoding": "br, gzip"}


def directives(policy: str) -> dict[str, str]:
    pairs = (part.strip().partition(" ") for part in policy.split(";"))
    return {name: sources for name, _, sources in pairs}


@pytest.mark.parametrize(
    "path",
    [
        "/api/health",
        "/api/schema",
        "/api/bookings/list",
        "/api/nothing/here",
        "/metrics",
        "/api/mock-exams/available?mock_type=ballet",
    ],
)
@pytest.mark.django_db
def test_an_answer_that_is_no_page_may_do_nothing(path: str) -> None:
    answer = Client().get(path)

    assert answer.headers[POLICY] == NOTHING
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "camera=()" in answer.headers["Permissions-Policy"]


@pytest.mark.parametrize("path", ["/", "/api/docs", "/admin/login/"])
@pytest.mark.django_db
def test_a_page_loads_from_here_alone_and_is_framed_by_nobody(path: str) -> None:
    rules = directives(Client().get(path).headers[POLICY])

    assert rules["default-src"] == rules["frame-ancestors"] == rules["base-uri"] == "'none'"
    assert rules["form-action"] == rules["connect-src"] == "'self'"
    sources = " ".join(rules.values())
    assert not re.search(r"https?:|\*|'strict-dynamic'", sources), sources


@pytest.mark.django_db
def test_nothing_stands_in_the_front_page_but_what_it_says() -> None:
    page = Client().get("/")

    rules = directives(page.headers[POLICY])
    assert rules["script-src"] == rules["style-src"] == "'self'"
    assert not re.search(INLINE, page.content.decode())
    assert "<style" not in page.content.decode()


def test_the_documentation_runs_no_script_that_stands_in_it() -> None:
    pages = [Client().get("/api/docs") for _ in range(2)]
    nonces = []
    for page in pages:
        rules = directives(page.headers[POLICY])
        assert rules["script-src"] == "'self'"
        nonce = re.fullmatch(r"'self' 'nonce-([\w+/=]{22,})'", rules["style-src"])
        assert nonce is not None, rules
        assert f'nonce="{nonce[1]}"' in page.content.decode()
        nonces.append(nonce[1])
        assert not re.search(INLINE, page.content.decode())

    assert nonces[0] != nonces[1]


@pytest.mark.django_db
def test_the_admin_is_kept_by_no_cache_and_its_cookies_from_scripts_and_other_sites() -> None:
    User.objects.create_superuser("olga", password="a long enough one")
    pair = {"username": "olga", "password": "a long enough one"}
    page, client = Client().get("/admin/login/"), Client()

    logged_in = client.post("/admin/login/?next=/admin/", pair)

    cookie = logged_in.cookies["sessionid"]
    assert (cookie["httponly"], cookie["samesite"]) == (True, "Lax")
    assert page.cookies["csrftoken"]["samesite"] == "Lax"
    for answer in (page, client.get("/admin/"), client.get("/admin/auth/user/")):
        assert answer.status_code == 200
        assert {"no-store", "private"} <= set(answer.headers["Cache-Control"].split(", "))


@pytest.mark.parametrize("path", ["/api/schema", "/api/schema/", "/metrics"])
@pytest.mark.django_db
def test_what_is_public_and_long_is_compressed_for_who_takes_it(path: str) -> None:
    plain, packed = Client().get(path), Client().get(path, headers=GZIP)

    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in plain.headers["Vary"]
    assert "Accept-Encoding" in packed.headers["Vary"]
    assert int(packed.headers["Content-Length"]) == len(packed.content)
    assert len(packed.content) < len(plain.content) / 2
    assert len(gzip.decompress(packed.content)) > 1_024


@pytest.mark.parametrize("refusal", ["gzip;q=0", "br, GZIP ; q=0.0", "gzip;q=0, *", "identity"])
def test_whoever_refuses_compression_gets_none(refusal: str) -> None:
    answer = Client().get("/api/schema", headers={"Accept-Encoding": refusal})

    assert "Content-Encoding" not in answer.headers
    assert "Accept-Encoding" in answer.headers["Vary"]


def test_the_available_exams_are_compressed_and_a_students_list_is_not(
    api: Api, portal: Portal
) -> None:
    alice = portal.student("alice")
    exams = [portal.exam(in_days=day) for day in range(2, 14)]
    portal.bookings(alice, exams)

    public = api.client.get("/api/mock-exams/available?mock_type=clinical", headers=GZIP)
    own = api.get("/api/bookings/list", headers=GZIP, **alice.pair)

    assert public.headers["Content-Encoding"] == "gzip"
    assert len(json.loads(gzip.decompress(public.content))["data"]) == len(exams)
    assert own.status == 200
    assert "Content-Encoding" not in own.headers


@pytest.mark.django_db
def test_what_has_a_secret_in_it_or_is_short_is_not_compressed() -> None:
    for path in ("/admin/login/", "/admin/login/?next=/api/schema", "/", "/api/health"):
        answer = Client().get(path, headers=GZIP)

        assert answer.status_code == 200
        assert "Content-Encoding" not in answer.headers, path


def test_static_files_are_stored_compressed_too(settings: Settings, tmp_path: Path) -> None:
    settings.STATIC_ROOT = tmp_path

    call_command("collectstatic", "--noinput", verbosity=0, ignore_patterns=LIBRARIES_STATIC_FILES)

    style = tmp_path / "booking_api/console.css"
    packed = style.with_name(f"{style.name}.gz")
    assert gzip.decompress(packed.read_bytes()) == style.read_bytes()
