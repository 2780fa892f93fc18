"""Poison one record after the other, at full size, and see who notices.

    python -m tests.chaos.poison                     # 40 exams, 500 students, SQLite; half an hour
    python -m tests.chaos.poison --exams 6 --students 12                          # minutes
    python -m tests.chaos.poison --only "exam capacity" --alone          # value by value
    python -m tests.chaos.poison --postgres postgres://postgres@127.0.0.1:5432/postgres

For each place and field a server, a database and a portal of their own; every way of poisoning the
field stands in a record of its own, with `--alone` in a portal of its own. Rounds of everybody's
deeds: before the poison, when it is met first, and once it is known. One line for each, what
differed below it, a verdict at the end. Exit status 0: all hold, 1: some do not, 2: there was not
time for all.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode, urlsplit, urlunsplit

import psycopg

from hubspot_sync.portal.profile import load_profile
from tests.builders import Portal
from tests.chaos.neighbours import (
    CRON_SECRET,
    Answer,
    Deed,
    Finding,
    compare_rounds,
    run_round,
)
from tests.chaos.population import settle_population
from tests.chaos.ways import Way, by_group
from tests.journeys.databases import made_database, manage, settings_of
from tests.sandbox import SandboxHandle, start_sandbox
from tests.server import Server, serving

AT_ONCE = 24
QUIET_S = 1.0
MAX_WAIT_S = 60.0
SHOWN = 3
# Three groups of writers more or less: how many of them share one is nobody's doing.
CALLS_BY_CHANCE = 30
# How a server is set that is to be asked often, and to share calls but no answers.
SERVER = {
    **dict.fromkeys(("THROTTLE_READS", "THROTTLE_WRITES", "THROTTLE_FAILED_PAIRS"), ""),
    "CRON_SECRET": CRON_SECRET,
    "CACHE_ENABLED": "false",
    "HUBSPOT_RATE_LIMIT": "1000000",
    "HUBSPOT_SEARCH_RATE": "1000",
}


@dataclass(slots=True)
class Rush:
    """Students before a server of its own, many at the same time."""

    server: Server
    sandbox: SandboxHandle
    pool: ThreadPoolExecutor

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        target = f"{path}?{urlencode(query)}" if query else path
        content = None if body is None else json.dumps(body).encode()
        answer = self.server.send(method, target, content, **dict(headers or {}))
        return Answer(answer.status, answer.body)

    def ask(self, deeds: Sequence[Deed], *, at_once: bool) -> list[Answer]:
        return self._do_at_once(deeds) if at_once else [deed() for deed in deeds]

    def write(
        self, deeds: Sequence[Deed], ill: Sequence[Deed]
    ) -> tuple[list[Answer], list[Answer]]:
        own = [self.pool.submit(deed) for deed in ill]
        answers = self._do_at_once(deeds)
        return answers, [each.result() for each in own]

    def _do_at_once(self, deeds: Sequence[Deed]) -> list[Answer]:
        return list(self.pool.map(lambda deed: deed(), deeds))

    def age_bookings(self) -> None:
        """The server's journal is its own: it asks for what it booked before, for ten minutes."""

    def settle(self) -> None:
        """Return once HubSpot has not been called for a while."""
        pause, until_s = threading.Event(), time.monotonic() + MAX_WAIT_S
        seen = -1
        while (now := self.sandbox.calls_count()) != seen and time.monotonic() < until_s:
            seen = now
            pause.wait(QUIET_S)


@contextmanager
def own_database(postgres: str | None, folder: Path) -> Iterator[str]:
    """The URL of a fresh, migrated database: a file, or one made in and dropped from a server."""
    if postgres is None:
        url = f"sqlite:///{folder / 'chaos.sqlite3'}"
        manage(url, "migrate", "--verbosity", "0")
        yield url
        return
    with (
        closing(psycopg.connect(postgres, autocommit=True)) as connection,
        made_database(connection, "chaos") as name,
    ):
        url = urlunsplit(urlsplit(postgres)._replace(path=f"/{name}"))
        manage(url, "migrate", "--verbosity", "0")
        yield url


def try_ways(sandbox: SandboxHandle, ways: Sequence[Way], options: argparse.Namespace) -> Finding:
    """Poison a portal in these ways, and have everybody ask before and after."""
    portal = Portal(sandbox, load_profile("default"))
    sandbox.configure(rate_limit=1_000_000, search_rate=1_000, latency_ms=options.latency_ms)
    ill_exams = sum(1 for way in ways if way.place == "exam")
    environment = {**SERVER, "HUBSPOT_API_VERSION": options.api_version}
    with (
        tempfile.TemporaryDirectory() as name,
        own_database(options.postgres, Path(name)) as url,
        serving(sandbox, Path(name), **{**settings_of(url), **environment}) as server,
        ThreadPoolExecutor(AT_ONCE) as pool,
    ):
        crowd = Rush(server, sandbox, pool)
        population = settle_population(
            portal,
            ways,
            exams=max(2, options.exams - ill_exams),
            students=max(2, options.students - len(ways)),
        )
        well = sandbox.snapshot()
        run_round(population, crowd, with_ill=False)  # so that nobody counts how it starts
        sandbox.restore_snapshot(well)
        return compare_rounds(population, crowd)


def main() -> int:
    options = _parse_options()
    portals = [
        (str(ways[0]) if len(ways) == 1 else f"{name} ({len(ways)} ways)", ways)
        for name, group in {"nothing": (), **by_group()}.items()
        if options.only in name
        for ways in ([[way] for way in group] if options.alone and group else [list(group)])
    ]
    until_s = time.monotonic() + options.minutes * 60
    failed = tried = 0
    for name, ways in portals:
        if time.monotonic() > until_s:
            break
        sandbox = start_sandbox()
        try:
            finding = try_ways(sandbox, ways, options)
        finally:
            sandbox.stop()
        tried += 1
        wrong = list(finding.wrong)
        before, at_first, once_known = finding.calls
        if not finding.calls_are_as_before(CALLS_BY_CHANCE):
            wrong.append(f"{once_known} calls once known, and {before} without")
        failed += len(wrong) > 0
        calls = f"{before} calls, {at_first} at first, {once_known} once known"
        verdict = "FAILS" if wrong else "holds"
        print(f"{verdict}  {name}: {finding.answers} answers; {calls}", flush=True)
        for sentence in wrong[:SHOWN]:
            print(f"         {sentence}", flush=True)
        if len(wrong) > SHOWN:
            print(f"         and {len(wrong) - SHOWN} more", flush=True)
    left = len(portals) - tried
    print(f"{tried - failed} of {tried} hold" + (f"; no time for {left} more" if left else ""))
    return 1 if failed else 2 if left else 0


def _parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.poison")
    parser.add_argument("--exams", type=int, default=40)
    parser.add_argument("--students", type=int, default=500)
    parser.add_argument("--only", default="", help="the part of a name: exam, credit, refused")
    parser.add_argument("--alone", action="store_true", help="every value in a portal of its own")
    parser.add_argument("--postgres", help="a server's URL; databases are made there and dropped")
    parser.add_argument("--api-version", default="2026-09")
    parser.add_argument("--latency-ms", type=float, default=5.0)
    parser.add_argument("--minutes", type=float, default=60.0, help="begin nothing after that")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
