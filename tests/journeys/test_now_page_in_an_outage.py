"""The console's front page comes while PostgreSQL is silent, and while Redis is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journeys.databases import manage
from tests.sandbox import SandboxHandle
from tests.server import Answer, Server, serving
from tests.swallowing_proxy import SwallowingProxy, proxy_before
from tests.waiting import eventually

SESSION = "0123456789abcdef0123456789abcdef"
LOGIN = (
    "from django.contrib.auth.models import User;"
    "from django.contrib.sessions.backends.db import SessionStore;"
    "olga = User.objects.create_superuser('olga', password='x');"
    f"session = SessionStore({SESSION!r});"
    "session['_auth_user_id'] = str(olga.pk);"
    "session['_auth_user_backend'] = 'django.contrib.auth.backends.ModelBackend';"
    "session['_auth_user_hash'] = olga.get_session_auth_hash();"
    "session.save(must_create=True)"
)

pytestmark = pytest.mark.postgres


@pytest.fixture
def behind_proxies(
    sandbox_process: SandboxHandle, database_url: str, redis_url: str, tmp_path: Path
) -> Iterator[tuple[Server, SwallowingProxy, SwallowingProxy]]:
    """An API whose PostgreSQL and Redis can be made silent, and a superuser's session."""
    manage(database_url, "shell", "-c", LOGIN)
    with (
        proxy_before(database_url) as (database, through),
        proxy_before(redis_url) as (redis, through_redis),
        serving(
            sandbox_process, tmp_path, DATABASE_URL=through, REDIS_URL=through_redis, DEBUG="true"
        ) as api,
    ):
        yield api, database, redis


def look(api: Server, path: str = "/admin/") -> Answer:
    return api.send("GET", path, Cookie=f"sessionid={SESSION}")


def test_the_front_page_comes_while_redis_or_postgresql_is_silent(
    behind_proxies: tuple[Server, SwallowingProxy, SwallowingProxy],
) -> None:
    api, database, redis = behind_proxies
    assert b"Everything is at work." in look(api).body

    redis.swallow()
    without_redis = look(api)
    assert without_redis.status == 200
    assert b"The cache is passed by: every read goes to HubSpot." in without_redis.body
    redis.pass_on()

    database.swallow()
    for path in ("/admin/", "/admin/now/"):
        silent = look(api, path)
        assert silent.status == 503
        assert b"The database does not answer." in silent.body

    database.pass_on()
    eventually(lambda: look(api).status == 200)
