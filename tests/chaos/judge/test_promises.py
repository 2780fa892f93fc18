"""The chaos suite's judge: each promise is seen to be broken by the one fact that breaks it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.builders import Exam, Portal, Student
from tests.chaos.faults.catalogue import CATALOGUE, plan_faults
from tests.chaos.judge.facts import Booked, Cast, Facts
from tests.chaos.judge.promises import PROMISES, Judge
from tests.chaos.judge.promises import judge_answers as answers
from tests.chaos.judge.promises import judge_counts as counts
from tests.chaos.judge.promises import judge_credits as credit
from tests.chaos.judge.promises import judge_duplicates as duplicates
from tests.chaos.judge.promises import judge_errors as errors
from tests.chaos.judge.promises import judge_notes as notes
from tests.chaos.judge.promises import judge_rate as rate
from tests.chaos.judge.promises import judge_reads as reads
from tests.chaos.judge.promises import judge_seats as seats
from tests.chaos.judge.promises import judge_times as times
from tests.chaos.judge.promises import judge_webhooks as webhooks
from tests.chaos.judge.promises import judge_work as work
from tests.chaos.judge.recovery import (
    Happened,
    Recovery,
    judge_recoveries,
    judge_timing,
    time_recoveries,
)
from tests.chaos.people.front import Deed, Diary
from tests.chaos.people.students import Attempt

STUDENT = Student(
    id="1", student_id="S1", email="s@x.org", firstname="S", lastname="T", credits={"c": 5}
)
EXAM = Exam(
    id="5",
    mock_type="clinical",
    day=date(2026, 12, 1),
    start_time="09:00",
    end_time="13:00",
    location="Room 000000",
    capacity=1,
    total_bookings=0,
)
BOOKED = Booked(
    id="9",
    contact_id="1",
    exam_id="5",
    key="k",
    linked_contacts=frozenset({"1"}),
    linked_exams=frozenset({"5"}),
)
DEED = Deed(what="create", server=0, begun_s=0.0, ended_s=1.0, status=201)


def well() -> Facts:
    """One student with one booking, as everything promises."""
    attempt = Attempt(STUDENT, EXAM, "k", "booked", "9", booked_once=True)
    return Facts(
        portal=cast(Portal, SimpleNamespace()),
        cast=Cast(students=[STUDENT], exams=[EXAM], owned={"1": 5}),
        booked=[BOOKED],
        credits={"1": 4},
        totals={"5": 1},
        notes={"clinical-S1-2026-12-01": Counter({"Mock exam booked": 1})},
        calls=[{"at": float(number)} for number in range(300)],
        webhooks={"pending": 0, "failed": 0, "delivered": 3},
        attempts=[attempt],
        diary=Diary(deeds=[DEED], compared=4),
    )


def attempted(**changes: Any) -> Callable[[Facts], Facts]:
    def change(facts: Facts) -> Facts:
        return replace(facts, attempts=[replace(facts.attempts[0], **changes)])

    return change


def with_deed(**changes: Any) -> Callable[[Facts], Facts]:
    return lambda facts: replace(facts, diary=Diary(deeds=[replace(DEED, **changes)]))


SECOND = replace(BOOKED, id="10", key="k2")


BREAKS: dict[str, tuple[Judge, Callable[[Facts], Facts]]] = {
    "a seat sold twice": (
        seats,
        lambda facts: replace(facts, booked=[BOOKED, replace(SECOND, contact_id="2")]),
    ),
    "a credit lost": (credit, lambda facts: replace(facts, credits={"1": 3})),
    "a credit doubled": (credit, lambda facts: replace(facts, credits={"1": 5})),
    "booked twice": (duplicates, lambda facts: replace(facts, booked=[BOOKED, SECOND])),
    "booked and not there": (answers, lambda facts: replace(facts, booked=[])),
    "refused and there": (answers, attempted(outcome="refused")),
    "never told": (answers, attempted(outcome="unclear")),
    "never cancelled": (answers, attempted(cancel_asked=True)),
    "linked to nothing": (
        answers,
        lambda facts: replace(facts, booked=[replace(BOOKED, linked_exams=frozenset())]),
    ),
    "a count wrong": (counts, lambda facts: replace(facts, totals={"5": 0})),
    "an old read": (reads, lambda facts: replace(facts, diary=Diary(stale=["old"]))),
    "no note": (notes, lambda facts: replace(facts, notes={})),
    "no note of a cancel": (notes, attempted(outcome="cancelled")),
    "a webhook given up": (
        webhooks,
        lambda facts: replace(facts, webhooks={"pending": 0, "failed": 1, "delivered": 0}),
    ),
    "a slow request": (times, with_deed(ended_s=26.0)),
    "a slow webhook": (times, with_deed(what="webhook", ended_s=6.0)),
    "200 calls in 10 s": (
        rate,
        lambda facts: replace(facts, calls=[{"at": number / 20} for number in range(200)]),
    ),
    "nobody who booked": (work, attempted(booked_once=False)),
    "an error of ours": (errors, with_deed(status=500, code="INTERNAL_ERROR")),
}


@pytest.mark.parametrize("name", BREAKS)
def test_what_breaks_a_promise_is_seen(name: str) -> None:
    judge, change = BREAKS[name]
    assert [each(well()).broken for each in (*PROMISES, work)] == [[]] * (len(PROMISES) + 1)
    assert judge(well()).tried > 0

    assert not judge(change(well())).holds


def test_a_request_at_a_server_that_was_frozen_is_not_timed() -> None:
    assert times(with_deed(ended_s=26.0, away=True)(well())).holds


def test_a_seed_makes_the_same_plan_and_ten_of_a_minute_have_every_fault() -> None:
    plans = [plan_faults(seed, 60, with_redis=True) for seed in range(1, 11)]

    assert plans[0] == plan_faults(1, 60, with_redis=True) != plans[1]
    assert {each.fault.name for plan in plans for each in plan} == {
        fault.name for fault in CATALOGUE
    }
    assert all(each.begins_s + each.lasts_s <= 60 for plan in plans for each in plan)
    assert not any(each.fault.needs_redis for each in plan_faults(1, 60, with_redis=False))


BOOKINGS = "2-1"


def recoveries(
    *happened: Happened, asked: float = 14.0, answered: float = 15.0, reads: int = 0
) -> list[Recovery]:
    """Time these faults where one booking was made, at these moments."""
    ahead_s = time.time() - time.monotonic()
    call = {"at": ahead_s + asked, "operation": "crm.batch_create", "object_type": BOOKINGS}
    other = {"at": ahead_s + 8.0, "operation": "crm.batch_read", "object_type": BOOKINGS}
    others = [other] * reads
    deeds = [replace(DEED, ended_s=ended_s) for ended_s in (9.9, 10.5, answered)]
    return time_recoveries(happened, deeds, [call, *others], BOOKINGS, 10)


KILL = Happened("kill", 10.0, 11.0, 10.0, max_recovery_s=4.0, hinders=True)


def test_the_next_booking_counts_that_was_made_after_the_fault() -> None:
    [kill] = recoveries(KILL)

    assert kill.took_s == pytest.approx(5.0, abs=0.01)
    assert not judge_recoveries([kill]).holds
    assert judge_recoveries(recoveries(KILL, asked=13.0, answered=13.9)).holds
    assert not judge_recoveries(recoveries(KILL, asked=9.0)).holds


def test_a_fault_is_not_judged_beside_another_that_hinders() -> None:
    before = Happened("silence", 2.0, 9.0, 9.0, hinders=True)
    over = Happened("silence", 2.0, 9.0, 9.0)
    beside = Happened("silence", 13.0, 14.0, 13.0, hinders=True)
    after = Happened("silence", 14.5, 16.0, 16.0, hinders=True)

    assert [recoveries(KILL, each)[0].counts for each in (before, beside)] == [False, False]
    assert [recoveries(KILL, each)[0].counts for each in (over, after)] == [True, True]
    assert judge_recoveries(recoveries(KILL, before)).tried == 0
    assert not judge_timing(recoveries(KILL, before)).holds
    assert judge_timing(recoveries(KILL, over)).holds
    assert [recoveries(KILL, asked=14.9, reads=number)[0].counts for number in (9, 10)] == [
        True,
        False,
    ]
    assert judge_recoveries(recoveries(KILL), worked_until_s=13.0).tried == 0
