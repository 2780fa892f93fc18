"""How fast a warm list is, against a bare Django view that returns the same bytes.

Both behind the same middleware on the same server process, asked in turns by the same client, so
that whatever else the machine does hits both alike. The ratio of the medians is the result.
"""

from __future__ import annotations

import json
import secrets
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from booking_api.benchmarks.portal_data import PortalData
from booking_api.benchmarks.processes import (
    HOST,
    ROOT,
    TOKEN,
    Address,
    end_process,
    running_api,
    running_sandbox,
)

LIST_PATH = "/api/bookings/list"
BARE_PATH = "/api/bookings/bare"
CONNECTIONS = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class Throughput:
    """Requests per second, round by round; `hubspot_calls` were made while it was measured."""

    list_per_s: tuple[float, ...]
    bare_per_s: tuple[float, ...]
    body_bytes: int
    hubspot_calls: int

    @property
    def ratio(self) -> float:
        return statistics.median(self.list_per_s) / statistics.median(self.bare_per_s)


def measure(*, rounds: int, requests: int) -> Throughput:
    """Return the measurement; raise DidNotStart, RuntimeError where an answer was not 200."""
    with tempfile.TemporaryDirectory() as folder, running_sandbox() as sandbox:
        data = PortalData(sandbox)
        student = data.add_student_with(bookings=50, exams=10)
        body_file = Path(folder) / "body.json"
        environment = server_environment(sandbox.url, Path(folder), body_file)
        with running_api(environment) as api:
            path = f"{LIST_PATH}?{urlencode(student.pair)}"
            body_file.write_bytes(fetch(api, path))
            sandbox.clear_calls()
            lists, bares = measure_rates(api, (path, BARE_PATH), rounds=rounds, requests=requests)
            if fetch(api, BARE_PATH) != fetch(api, path):
                raise RuntimeError("The two do not return the same bytes.")
            return Throughput(
                list_per_s=lists,
                bare_per_s=bares,
                body_bytes=body_file.stat().st_size,
                hubspot_calls=sandbox.calls_count(),
            )


def server_environment(sandbox_url: str, folder: Path, body_file: Path) -> dict[str, str]:
    """Return the environment of a server as in production, but for limits on one caller."""
    return {
        "DJANGO_SETTINGS_MODULE": "booking_api.benchmarks.bare.settings",
        "ENV_FILE": "",
        "DEBUG": "false",
        "SECRET_KEY": secrets.token_urlsafe(50),
        "CRON_SECRET": secrets.token_urlsafe(20),
        "HUBSPOT_BASE_URL": sandbox_url,
        "HUBSPOT_PORTAL": "default",
        "HS_PRIVATE_APP_TOKEN": TOKEN,
        "DATABASE_URL": f"sqlite:///{folder / 'db.sqlite3'}",
        "REDIS_URL": "",
        "SCHEDULER": "false",
        "CACHE_ENABLED": "true",
        "LOG_LEVEL": "INFO",
        # Still counted, as in production; only never reached.
        "THROTTLE_READS": "1000000000/hour",
        "THROTTLE_ANONYMOUS_CALLS": "",
        # No entry may expire and be loaded again in the middle of a round.
        "CACHE_TTL_CONTACTS": "3600",
        "CACHE_TTL_BOOKING_LIST": "3600",
        "CACHE_TTL_USER_CREDITS": "3600",
        "BENCHMARK_BARE_BODY": str(body_file),
    }


def fetch(api: Address, path: str) -> bytes:
    status, body = api.send("GET", path)
    if status != 200:
        raise RuntimeError(f"{path.partition('?')[0]}: {status} {body[:200]!r}")
    return body


def measure_rates(
    api: Address, paths: tuple[str, str], *, rounds: int, requests: int
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the rates of both paths, a round each in turns, after one to warm up."""
    measured: tuple[list[float], list[float]] = ([], [])
    with load_generator(api) as generator:
        for number in range(rounds + 1):
            for path, found in zip(paths, measured, strict=True):
                rate = measure_rate(generator, path, requests)
                if number > 0:
                    found.append(rate)
    return tuple(measured[0]), tuple(measured[1])


@contextmanager
def load_generator(api: Address) -> Iterator[subprocess.Popen[str]]:
    port = urlsplit(api.url).port
    process = subprocess.Popen(
        [sys.executable, "-m", "booking_api.benchmarks.load_generator", HOST, str(port)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        if process.stdin is not None:
            process.stdin.close()
        end_process(process)


def measure_rate(generator: subprocess.Popen[str], path: str, requests: int) -> float:
    if generator.stdin is None or generator.stdout is None:
        raise RuntimeError("The load generator has no pipes.")
    generator.stdin.write(f"{path} {CONNECTIONS} {requests}\n")
    generator.stdin.flush()
    result = json.loads(generator.stdout.readline())
    if result["failures"] > 0:
        raise RuntimeError(f"{path.partition('?')[0]}: {result['failures']} were not answered.")
    return float(requests / result["took_s"])
