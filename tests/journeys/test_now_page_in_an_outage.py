"""The console's front page comes while PostgreSQL is silent, and while Redis is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.journeys.databases import manage
from tests.sandbox import SandboxHandle
from tests.server import Answer, Server, serving
from tests.swallowing_proxy import SwallowingProxy, proxy_before
from tests.waiting import eventually

LOGIN = (
    "from django.contrib.auth.models import User;"
    "from django.contrib.sessions.backends.db import SessionStore;"
    "olga = User.objects.create_superuser('olga', password='x');"
    "session = SessionStore();"
    "session['_auth_user_id'] = str(olga.pk);"
    "session['_auth_user_backend'] = 'django.contrib.auth.backends.ModelBackend';"
    "session['_auth_user_hash'] = olga.get_session_auth_hash();"
    "session.create();"
    "print(session.session_key)"
)

Look = Callable[..., Answer]

pytestmark = pytest.mark.postgres


@pytest.fixture
def behind_proxies(
    sandbox_process: SandboxHandle, database_url: str, redis_url: str, tmp_path: Path
) -> Iterator[tuple[Look, SwallowingProxy, SwallowingProxy]]:
    """A superuser's looks at an API whose PostgreSQL and Redis can be made silent."""
    session = manage(database_url, "shell", "-v", "0", "-c", LOGIN).split()[-1]
    with (
        proxy_before(database_url) as (database, through),
        proxy_before(redis_url) as (redis, through_redis),
        serving(
            sandbox_process, tmp_path, DATABASE_URL=through, REDIS_URL=through_redis, DEBUG="true"
        ) as api,
    ):
        yield partial(look_at, api, session), database, redis


def look_at(api: Server, session: str, path: str = "/admin/") -> Answer:
    return api.send("GET", path, Cookie=f"sessionid={session}")


@pytest.mark.chaos
def test_the_front_page_comes_while_redis_or_postgresql_is_silent(
    behind_proxies: tuple[Look, SwallowingProxy, SwallowingProxy],
) -> None:
    look, database, redis = behind_proxies
    assert b"Everything is at work." in look().body

    redis.swallow()
    without_redis = look()
    assert without_redis.status == 200
    assert b"The cache is passed by: every read goes to HubSpot." in without_redis.body
    redis.pass_on()

    database.swallow()
    for path in ("/admin/", "/admin/now/"):
        silent = look(path)
        assert silent.status == 503
        assert b"The database does not answer." in silent.body

    database.pass_on()
    eventually(lambda: look().status == 200)
