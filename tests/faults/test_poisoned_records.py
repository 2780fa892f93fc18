"""Nobody's data stops anybody: what one record holds costs at most its own reader.

Ways of `tests.chaos.ways` stand each in a record of its own; the others' answers are compared with
those of the same portal before. Here every value and every field is tried, but not every pair,
among a handful of students; all of them at full size is `python -m tests.chaos.poison`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import orjson
import pytest
from django.db.models import F
from pytest_django import Settings

from booking_api.desk.journal.models import JournalEntry
from cache_layer import CacheConfig
from tests.api import Reply
from tests.builders import Portal
from tests.chaos.neighbours import CRON_SECRET, Answer, Deed, compare_rounds
from tests.chaos.population import settle_population
from tests.chaos.ways import KINDS, REFUSED, take_some
from tests.faults.groups import MAX_WAIT_S, DeskUnderTest, running_desk

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(90)]

EXAMS, STUDENTS = 3, 4
ONE_OF = 3
READERS = 8


@dataclass(slots=True)
class GroupedCrowd:
    """Students in this process, who write as one group, so that the calls are the same in every
    run."""

    desk: DeskUnderTest

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        content = b"" if body is None else orjson.dumps(body)
        reply = self.desk.api.send(method, path, query=query, body=content, headers=headers)
        return Answer(reply.status, reply.body)

    def ask(self, deeds: Sequence[Deed], *, at_once: bool) -> list[Answer]:
        if not at_once:
            return [deed() for deed in deeds]
        with ThreadPoolExecutor(READERS) as pool:
            return list(pool.map(lambda deed: deed(), deeds))

    def write(
        self, deeds: Sequence[Deed], ill: Sequence[Deed]
    ) -> tuple[list[Answer], list[Answer]]:
        with ThreadPoolExecutor(max(1, len(ill))) as pool:
            with self.desk.held_up():
                own = [pool.submit(deed) for deed in ill]
                group = self.desk.begin([_replying(deed) for deed in deeds])
            replies = group.wait_for_replies()
            own_answers = [each.result(MAX_WAIT_S) for each in own]
        return [Answer(reply.status, reply.body) for reply in replies], own_answers

    def settle(self) -> None:
        self.desk.wait_until_idle()

    def age_bookings(self) -> None:
        JournalEntry.objects.update(changed_at=F("changed_at") - timedelta(hours=1))


def _replying(deed: Deed) -> Any:
    def reply() -> Reply:
        answer = deed()
        return Reply(answer.status, answer.body, {})

    return reply


@pytest.fixture
def crowd(settings: Settings, portal: Portal) -> Iterator[GroupedCrowd]:
    settings.CRON_SECRET = CRON_SECRET
    portal.sandbox.configure(search_rate=1_000)
    # What one listing leaves in a cache for the next is not what is counted here.
    with running_desk(settings, portal.sandbox, cache=CacheConfig(enabled=False)) as desk:
        yield GroupedCrowd(desk)


UNCOUNTABLE = pytest.mark.xfail(
    strict=True,
    reason="a booking that HubSpot refuses to read leaves its exam uncountable: it is listed full",
)


def list_kinds() -> list[Any]:
    """Every kind of poison; `make test` takes a few of them, `make chaos` the others too."""
    soon = {"numbers", "refused links", "writes refused with 409"}
    return [
        pytest.param(
            kind,
            marks=[
                *([] if kind in soon else [pytest.mark.chaos]),
                *([UNCOUNTABLE] if kind == "refused reads" else []),
            ],
        )
        for kind in KINDS
        if kind != "nothing"
    ]


@pytest.mark.sampled
@pytest.mark.parametrize("kind", list_kinds())
def test_the_others_are_answered_as_without_the_poison(
    kind: str, crowd: GroupedCrowd, portal: Portal
) -> None:
    ways = KINDS[kind] if kind in REFUSED else take_some(KINDS[kind], ONE_OF)
    population = settle_population(portal, ways, exams=EXAMS, students=STUDENTS)

    finding = compare_rounds(population, crowd)

    assert finding.wrong == []
    assert finding.calls_are_as_before(), finding.calls
