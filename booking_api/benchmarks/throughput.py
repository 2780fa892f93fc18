"""How fast warm answers are, against bare Django views that return the same bytes.

One view stands behind our own middleware, on the way that an answer of the API takes; the other
behind what `startproject` puts before every view. All are served by the same kind of server and
asked in turns by the same client, so that whatever else the machine does hits them alike. The ratio
of the medians is the result. Beside it: what 304 saves, and what a cold list costs ourselves.
"""

from __future__ import annotations

import json
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode, urlsplit
from urllib.request import urlopen

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
AVAILABLE = "/api/mock-exams/available?mock_type=clinical"
BARE_PATH = "/api/bookings/bare"
OURS = "booking_api.benchmarks.bare.settings"
DJANGO_S = "booking_api.benchmarks.bare.django_settings"
CONNECTIONS = 8
COLD_LISTS = 21
"""The first of them opens the connections, and is left out."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Throughput:
    """Requests per second, round by round: of a warm list, of the bare view behind our middleware
    and behind Django's own, of the available exams in full and as 304. `hubspot_calls` were made
    while they were measured. `cold_list_ms` is our own processor time for each cold list of 50
    bookings."""

    list_per_s: tuple[float, ...]
    bare_per_s: tuple[float, ...]
    django_per_s: tuple[float, ...]
    available_per_s: tuple[float, ...]
    not_modified_per_s: tuple[float, ...]
    body_bytes: int
    hubspot_calls: int
    cold_list_ms: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """A warm list to the bare view behind our middleware."""
        return statistics.median(self.list_per_s) / statistics.median(self.bare_per_s)

    @property
    def ratio_to_django(self) -> float:
        """A warm list to the bare view behind Django's middleware."""
        return statistics.median(self.list_per_s) / statistics.median(self.django_per_s)

    @property
    def ratio_of_not_modified(self) -> float:
        """A 304 to the full answer."""
        return statistics.median(self.not_modified_per_s) / statistics.median(self.available_per_s)

    @property
    def cold_list(self) -> float:
        """Our own processor time for a cold list, in milliseconds: the median."""
        return statistics.median(self.cold_list_ms)


@dataclass(frozen=True, slots=True)
class Target:
    """What is asked of which load generator, with which entity tag."""

    generator: subprocess.Popen[str]
    path: str
    tag: str = ""


def measure(*, rounds: int, requests: int) -> Throughput:
    """Return the measurement; raise DidNotStart, RuntimeError where an answer was not 200."""
    with tempfile.TemporaryDirectory() as folder, running_sandbox() as sandbox:
        data = PortalData(sandbox)
        student = data.add_student_with(bookings=50, exams=10)
        path = f"{LIST_PATH}?{urlencode(student.pair)}"
        body_file = Path(folder) / "body.json"
        environment = server_environment(sandbox.url, Path(folder), body_file)
        migrate(environment)
        with (
            running_api(environment) as api,
            running_api(environment | {"DJANGO_SETTINGS_MODULE": DJANGO_S}) as django,
        ):
            body_file.write_bytes(fetch(api, path))
            tag = fetch_tag(api, AVAILABLE)
            sandbox.clear_calls()
            with load_generator(api) as ours, load_generator(django) as theirs:
                rates = measure_rates(
                    (
                        Target(ours, path),
                        Target(ours, BARE_PATH),
                        Target(theirs, BARE_PATH),
                        Target(ours, AVAILABLE),
                        Target(ours, AVAILABLE, tag),
                    ),
                    rounds=rounds,
                    requests=requests,
                )
            if not fetch(api, BARE_PATH) == fetch(django, BARE_PATH) == fetch(api, path):
                raise RuntimeError("They do not return the same bytes.")
            calls = sandbox.calls_count()
        return Throughput(
            list_per_s=rates[0],
            bare_per_s=rates[1],
            django_per_s=rates[2],
            available_per_s=rates[3],
            not_modified_per_s=rates[4],
            body_bytes=body_file.stat().st_size,
            hubspot_calls=calls,
            cold_list_ms=measure_cold_lists(data, environment),
        )


def migrate(environment: Mapping[str, str]) -> None:
    """Make the tables, as a deployment does: what works in the background would else report their
    absence all the time, and be measured doing it. Raise CalledProcessError."""
    subprocess.run(
        [sys.executable, "manage.py", "migrate", "--verbosity", "0"],
        cwd=ROOT,
        env={**os.environ, **environment},
        check=True,
    )


def measure_cold_lists(data: PortalData, environment: Mapping[str, str]) -> tuple[float, ...]:
    """Return our own processor time for a list of 50 bookings that nothing is held of, in
    milliseconds, for one student after the other; raise RuntimeError where one was not answered."""
    students = [data.add_student_with(bookings=50, exams=10) for _ in range(COLD_LISTS)]
    asked = "".join(f"{LIST_PATH}?{urlencode(student.pair)}\n" for student in students)
    process = subprocess.run(
        [sys.executable, "-m", "booking_api.benchmarks.cold_list"],
        cwd=ROOT,
        env={**os.environ, **environment},
        input=asked,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=False,
    )
    if process.returncode != 0:
        raise RuntimeError(f"The cold lists ended with {process.returncode}.")
    return tuple(json.loads(process.stdout)[1:])


def server_environment(sandbox_url: str, folder: Path, body_file: Path) -> dict[str, str]:
    """Return the environment of a server as in production, but for limits on one caller."""
    return {
        "DJANGO_SETTINGS_MODULE": OURS,
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
        "LOG_FORMAT": "json",
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


def fetch_tag(api: Address, path: str) -> str:
    with urlopen(f"{api.url}{path}") as response:  # noqa: S310 - our own server
        return str(response.headers["ETag"])


def measure_rates(
    targets: Sequence[Target], *, rounds: int, requests: int
) -> list[tuple[float, ...]]:
    """Return the rates of each target, a round each in turns, after one to warm up."""
    measured: list[list[float]] = [[] for _ in targets]
    for number in range(rounds + 1):
        for target, found in zip(targets, measured, strict=True):
            rate = measure_rate(target, requests)
            if number > 0:
                found.append(rate)
    return [tuple(rates) for rates in measured]


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


def measure_rate(target: Target, requests: int) -> float:
    generator, path = target.generator, target.path
    if generator.stdin is None or generator.stdout is None:
        raise RuntimeError("The load generator has no pipes.")
    generator.stdin.write(f"{path} {CONNECTIONS} {requests} {target.tag}\n")
    generator.stdin.flush()
    result = json.loads(generator.stdout.readline())
    if result["failures"] > 0:
        raise RuntimeError(f"{path.partition('?')[0]}: {result['failures']} were not answered.")
    return float(requests / result["took_s"])
