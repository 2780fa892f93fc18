"""Nobody's data stops anybody: what one record holds costs at most its own reader.

Every way of `tests.chaos.ways` stands in a record of its own; the others' answers are compared with
those of the same portal before. The full size, each way by itself, is
`python -m tests.chaos.poison`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import orjson
import pytest
from pytest_django import Settings

from booking_api import composition
from cache_layer import Cause
from tests.api import Reply
from tests.builders import Portal
from tests.chaos.neighbours import (
    CRON_SECRET,
    MAX_CALLS_DIFFERENCE,
    Answer,
    Deed,
    find_differences,
    find_disasters,
    run_round,
)
from tests.chaos.population import find_overwritten, poison_all, settle_population
from tests.chaos.ways import KINDS
from tests.faults.groups import MAX_WAIT_S, DeskUnderTest, running_desk

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(90)]

EXAMS, STUDENTS = 3, 4


@dataclass(slots=True)
class GroupedCrowd:
    """Students in this process: they read one after the other, and write as one group, so that the
    calls are the same in every run."""

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

    def ask(self, deeds: Sequence[Deed]) -> list[Answer]:
        return [deed() for deed in deeds]

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
        composition.services().cached.cache.invalidator.invalidate_everything(cause=Cause.FORCED)


def _replying(deed: Deed) -> Any:
    def reply() -> Reply:
        answer = deed()
        return Reply(answer.status, answer.body, {})

    return reply


@pytest.fixture
def crowd(settings: Settings, portal: Portal) -> Iterator[GroupedCrowd]:
    settings.CRON_SECRET = CRON_SECRET
    portal.sandbox.configure(search_rate=1_000)
    with running_desk(settings, portal.sandbox) as desk:
        yield GroupedCrowd(desk)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "nothing"])
def test_the_others_are_answered_as_without_the_poison(
    kind: str, crowd: GroupedCrowd, portal: Portal
) -> None:
    population = settle_population(portal, KINDS[kind], exams=EXAMS, students=STUDENTS)
    well = portal.sandbox.snapshot()
    without = run_round(population, crowd, with_ill=False)
    portal.sandbox.restore_snapshot(well)
    poison_all(population)
    poisoned = portal.sandbox.snapshot()

    first = run_round(population, crowd, with_ill=True)
    overwritten = find_overwritten(population)
    portal.sandbox.restore_snapshot(poisoned)
    known = run_round(population, crowd, with_ill=False)

    assert find_differences(without, first) == []
    assert find_disasters(first) == []
    assert overwritten == []
    assert find_differences(without, known) == []
    assert known.calls == pytest.approx(without.calls, rel=MAX_CALLS_DIFFERENCE)
