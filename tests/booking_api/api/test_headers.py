"""What every answer tells a browser."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import User
from django.test import Client

NOTHING = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
POLICY = "Content-Security-Policy"


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


@pytest.mark.parametrize("path", ["/", "/api/docs"])
def test_our_own_pages_run_no_script_that_stands_in_them(path: str) -> None:
    pages = [Client().get(path) for _ in range(2)]
    nonces = []
    for page in pages:
        rules = directives(page.headers[POLICY])
        assert rules["script-src"] == "'self'"
        nonce = re.fullmatch(r"'self' 'nonce-([\w+/=]{22,})'", rules["style-src"])
        assert nonce is not None, rules
        assert f'nonce="{nonce[1]}"' in page.content.decode()
        nonces.append(nonce[1])
        assert not re.search(r"<script>|\son\w+=|javascript:|\sstyle=", page.content.decode())

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
