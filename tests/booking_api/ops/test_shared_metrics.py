"""/metrics of a server with several workers: nothing falls, nothing is lost, nobody else's."""

from __future__ import annotations

import os
import resource
import signal
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path

import pytest

from tests.builders import Portal
from tests.cache_layer.conftest import redis_url
from tests.manage import PRODUCTION, manage
from tests.metrics import Sample, parse_metrics
from tests.server import Server, serving
from tests.waiting import eventually

__all__ = ["redis_url"]

pytestmark = [pytest.mark.timeout(300)]

WORKERS = 4
SCRAPES = 20
SENT = 100
LISTS = "api/mock-exams/available"


def scrape(server: Server) -> dict[Sample, float]:
    answer = server.get("/metrics")
    assert answer.status == 200
    return parse_metrics(answer.body.decode())


def is_counter(name: str) -> bool:
    return name.endswith(("_total", "_count", "_sum", "_bucket"))


def fallen(
    before: Mapping[Sample, float], after: Mapping[Sample, float]
) -> dict[Sample, tuple[float, float]]:
    """The counters that are less than they were, or no longer there."""
    return {
        key: (value, after.get(key, 0.0))
        for key, value in before.items()
        if is_counter(key[0]) and after.get(key, 0.0) < value
    }


def requests_to(shown: Mapping[Sample, float], route: str) -> float:
    return sum(
        value
        for (name, labels), value in shown.items()
        if name == "mocks_request_seconds_count" and ("route", route) in labels
    )


def workers_in(shown: Mapping[Sample, float]) -> set[int]:
    """The workers whose memory is shown."""
    return {
        int(dict(labels)["worker"])
        for name, labels in shown
        if name == "mocks_process_memory_bytes"
    }


def children_of(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return [int(word) for word in text.split()]


@contextmanager
def serving_with(
    portal: Portal, folder: Path, redis_url: str, parent: Path, workers: int = WORKERS
) -> Iterator[Server]:
    folder.mkdir()
    environment = {
        "REDIS_URL": redis_url,
        "SERVER_WORKERS": str(workers),
        "PROMETHEUS_MULTIPROC_DIR": str(parent),
    }
    with serving(portal.sandbox, folder, **environment) as server:
        eventually(lambda: len(children_of(server.pid)) == workers)
        yield server


def kill_one_worker(server: Server) -> None:
    victim = children_of(server.pid)[0]
    os.kill(victim, signal.SIGKILL)
    eventually(lambda: victim not in children_of(server.pid))


@contextmanager
def asking_all_the_time(server: Server) -> Iterator[None]:
    """Requests whose answers nobody waits for: some are cut off with the worker that is killed."""
    enough = threading.Event()

    def ask() -> None:
        while not enough.is_set():
            try:
                server.get("/api/health")
            except (OSError, HTTPException):
                continue

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        enough.set()
        thread.join()


@pytest.mark.redis
@pytest.mark.chaos
def test_no_counter_falls_and_the_sums_are_what_was_sent(
    portal: Portal, tmp_path: Path, redis_url: str
) -> None:
    mock_type = portal.exam().mock_type
    parent = tmp_path / "metrics"
    parent.mkdir()
    with (
        serving_with(portal, tmp_path / "one", redis_url, parent) as server,
        serving_with(portal, tmp_path / "two", redis_url, parent, workers=1) as neighbour,
        ThreadPoolExecutor(3) as pool,
        asking_all_the_time(server),
    ):
        answers = [pool.submit(server.get, f"/{LISTS}", mock_type=mock_type) for _ in range(SENT)]
        before: dict[Sample, float] = {}
        for turn in range(SCRAPES):
            shown = scrape(server)
            assert fallen(before, shown) == {}
            before = shown
            if turn == SCRAPES // 2:
                assert {answer.result().status for answer in answers} == {200}
                kill_one_worker(server)

        eventually(lambda: len(children_of(server.pid)) == WORKERS)
        eventually(lambda: workers_in(scrape(server)) == set(children_of(server.pid)))
        assert requests_to(scrape(server), LISTS) == SENT
        assert requests_to(scrape(neighbour), LISTS) == 0
        assert len(list(parent.iterdir())) == 2

    assert list(parent.iterdir()) == []


@pytest.mark.redis
def test_what_a_killed_server_left_goes_when_the_next_one_starts(
    portal: Portal, tmp_path: Path, redis_url: str
) -> None:
    left, foreign = tmp_path / "booking-metrics-left", tmp_path / "somebody-elses"
    left.mkdir()
    (left / "counter_1.db").write_bytes(b"")
    foreign.mkdir()
    with serving_with(portal, tmp_path / "one", redis_url, tmp_path, workers=1) as server:
        assert not left.exists()
        assert foreign.exists()
        assert requests_to(scrape(server), LISTS) == 0


@pytest.mark.chaos
def test_a_folder_that_cannot_be_written_is_refused_in_a_sentence() -> None:
    # Where not even root may make a folder.
    result = manage("serve", **PRODUCTION, PROMETHEUS_MULTIPROC_DIR="/proc")

    assert result.returncode == 1
    assert result.stderr.startswith("CommandError: Cannot keep the metrics in /proc: ")
    assert "Set PROMETHEUS_MULTIPROC_DIR to a folder that can be written" in result.stderr


@pytest.mark.chaos
def test_a_folder_without_room_is_refused_in_a_sentence(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # Inherited by what is started: the system refuses larger files, as a full disk would.
    resource.setrlimit(resource.RLIMIT_FSIZE, (65_536, hard))
    try:
        result = manage("serve", **PRODUCTION, PROMETHEUS_MULTIPROC_DIR=str(tmp_path))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert result.returncode == 1
    assert "has room" in result.stderr
    assert "Traceback" not in result.stderr
    assert list(tmp_path.iterdir()) == []
