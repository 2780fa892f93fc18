"""Secrets are guessed at full speed: the scheduler's, staff's tokens, passwords of the admin."""

from __future__ import annotations

import os
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlencode

import pytest

from tests.cache_layer.own_redis import OwnRedis
from tests.server import Answer, Server

JOB = "/api/cron/sync-capacity"
STATS = "/api/admin/cache/stats"
SECRET = "a-scheduler's-own-secret"
CSRF = "c" * 32
AT_ONCE = 25


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    """Two processes that count together, where there is a Redis; one without."""
    binary = shutil.which("redis-server")
    if binary is None:
        assert not os.environ.get("REDIS_PROMISED"), "there is no redis-server to start"
        yield {}
        return
    redis = OwnRedis(binary, tmp_path_factory.mktemp("redis"))
    redis.start()
    yield {"REDIS_URL": redis.url, "SERVER_WORKERS": "2"}
    redis.kill()


@pytest.fixture(scope="module")
def environment(shared: Mapping[str, str]) -> Mapping[str, str]:
    """Windows of an hour: on a slow machine, too, the last one comes within the first's."""
    return {
        "CRON_SECRET": SECRET,
        "TRUSTED_PROXIES": "127.0.0.1/32",
        "THROTTLE_FAILED_SECRETS": "30/hour",
        "THROTTLE_FAILED_LOGINS": "5/hour",
        **shared,
    }


def run_at_once(send: Callable[[int], Answer], number: int) -> Counter[int]:
    """Return how many answers had which status."""
    barrier = threading.Barrier(AT_ONCE)

    def send_some(worker: int) -> list[int]:
        barrier.wait(timeout=60)
        return [send(guess).status for guess in range(worker, number, AT_ONCE)]

    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        found = pool.map(send_some, range(AT_ONCE))
        return Counter(status for statuses in found for status in statuses)


def header(answer: Answer, name: str) -> str:
    """Return a header, whose name the server may write as it likes."""
    return {key.lower(): value for key, value in answer.headers.items()}[name.lower()]


def authorize(server: Server, path: str, authorization: str, client: str) -> Answer:
    headers = {"Authorization": authorization, "X-Forwarded-For": client}
    return server.send("GET", path, **headers)


def log_in(server: Server, username: str, password: str, client: str) -> Answer:
    fields = {"username": username, "password": password, "csrfmiddlewaretoken": CSRF}
    return server.send(
        "POST",
        "/admin/login/",
        urlencode(fields).encode(),
        **{
            "Content-Type": "application/x-www-form-urlencoded",
            "Cookie": f"csrftoken={CSRF}",
            "X-Forwarded-For": client,
        },
    )


@pytest.mark.parametrize(
    ("path", "scheme", "client"),
    [(JOB, "Bearer", "198.51.100.1"), (STATS, "Token", "198.51.100.2")],
)
def test_of_100_wrong_secrets_as_many_as_allowed_are_looked_at(
    path: str, scheme: str, client: str, server: Server
) -> None:
    statuses = run_at_once(
        lambda guess: authorize(server, path, f"{scheme} wrong{guess}", client), 100
    )
    last = authorize(server, path, f"{scheme} wrong", client)

    assert statuses == {401: 30, 429: 70}
    assert (last.code, int(header(last, "Retry-After")) > 0) == ("THROTTLED", True)
    # Nobody else is kept waiting, and neither is the scheduler behind the same address.
    assert authorize(server, path, f"{scheme} wrong", "198.51.100.9").status == 401
    assert authorize(server, JOB, f"Bearer {SECRET}", client).status == 200


def test_of_25_wrong_passwords_as_many_as_allowed_are_looked_at(server: Server) -> None:
    statuses = run_at_once(
        lambda guess: log_in(server, "admin", f"wrong{guess}", "198.51.100.3"), AT_ONCE
    )
    last = log_in(server, "admin", "wrong", "198.51.100.3")

    assert statuses == {200: 5, 429: 20}
    assert header(last, "Content-Type").startswith("text/html")
    assert int(header(last, "Retry-After")) > 0
    assert log_in(server, "admin", "wrong", "198.51.100.4").status == 200
