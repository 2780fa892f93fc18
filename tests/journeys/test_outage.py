"""HubSpot goes away while the API serves, and comes back."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from hubspot_sync.portal.profile import load_profile
from tests.builders import Portal
from tests.sandbox import start_sandbox
from tests.server import Server, free_port, serving

LIST = "/api/bookings/list"
TRIES = 100


def tried_until(server: Server, pair: dict[str, str], status: int) -> bool:
    """Return whether a try, a tenth of a second apart, is answered so before the tries run out."""
    pause = threading.Event()
    for _ in range(TRIES):
        if server.get(LIST, **pair).status == status:
            return True
        pause.wait(0.1)
    return False


@pytest.mark.chaos
@pytest.mark.timeout(90)
def test_an_outage_is_answered_at_once_and_ends_by_itself(tmp_path: Path) -> None:
    port = free_port()
    sandbox = start_sandbox(port=port)
    profile = load_profile("default")
    pair = Portal(sandbox, profile).student("alice").pair
    with serving(sandbox, tmp_path, CACHE_ENABLED="false") as server:
        assert server.get(LIST, **pair).status == 200
        sandbox.kill()
        during = [server.get(LIST, **pair) for _ in range(20)]

        alive = server.get("/api/health")
        ready = server.get("/api/ready")
        sandbox = start_sandbox(port=port)
        Portal(sandbox, profile).student("alice")
        back = tried_until(server, pair, 200)
        sandbox.stop()

    assert {(answer.status, answer.code) for answer in during} == {(503, "HUBSPOT_UNAVAILABLE")}
    assert all(answer.body["retryAfter"] >= 1 for answer in during)
    assert alive.status == 200
    assert (ready.status, ready.code) == (503, "HUBSPOT_UNAVAILABLE")
    assert back
