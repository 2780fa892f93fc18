"""Answers that are given again are bounded in number, bytes and time, and are one process's."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from datetime import timedelta
from typing import cast

import orjson
import pytest

from booking_api import composition
from booking_api.api.context import Reuse
from booking_api.api.middleware.warm_way import CIRCUMSTANCES
from booking_api.api.views import warm_answers
from booking_api.api.views.warm_answers import Head, Question, WarmAnswer, WarmAnswers
from cache_layer import Key, KeyPattern
from tests.api import Api

pytestmark = pytest.mark.django_db(transaction=True)


class Seconds:
    """A clock that is set."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


def make_answer(kept_at_s: float, size: int = 10) -> WarmAnswer:
    return WarmAnswer(
        body=b"x" * size,
        body_bytes=size,
        content_type="application/json",
        headers=(),
        items=1,
        said=None,
        stamps={},
        reuse=Reuse(),
        kept_at_s=kept_at_s,
    )


@pytest.mark.sampled(2)
@pytest.mark.parametrize("stamps", [0, 5, 300])
@pytest.mark.parametrize("size", [0, 20_000])
@pytest.mark.parametrize("heads", [0, warm_answers.MAX_HEADS])
def test_all_that_is_kept_takes_no_more_memory_than_it_may(
    monkeypatch: pytest.MonkeyPatch, stamps: int, size: int, heads: int
) -> None:
    """304s to questions about many exams have no body, and questions may be all of their size."""
    monkeypatch.setattr(warm_answers, "MAX_BYTES", 1_000_000)
    answers, services = WarmAnswers(), cast(composition.Services, object())
    tracemalloc.start()

    for number in range(200):
        parts = (f"{number:{warm_answers.MAX_QUESTION_CHARS}}" for _ in range(3))
        body = b"[%b]" % b",".join([b"[[]]"] * 100)
        answer = replace(
            make_answer(warm_answers.time.monotonic(), size),
            said=orjson.loads(body),
            stamps={
                Key(f"exam:{number}{each}:details", {"id": f"{number}{each}"}): (
                    "a",
                    number + 1_000,
                )
                for each in range(stamps)
            },
        )
        question = Question("POST", "/api", *parts, body)
        answers.keep(question, answer, services)
        for each in range(heads):
            circumstances = tuple(f"{number} {each} {name}" for name in CIRCUMSTANCES)
            answers.keep_head(question, answer, circumstances, make_head(f"{number} {each}"))
    del answer

    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(answers._answers) > 1
    assert taken < warm_answers.MAX_BYTES * 1.1


def make_head(own: str) -> Head:
    """Return a head with as many headers as ours have, three of them its own."""
    headers = [("Content-Length", own), ("ETag", f"{own:40}"), ("X-Allow", f"{own:80}")]
    shared = [("X-Shared", "x")] * 15
    return Head(f"200 {own}", (*headers, *shared), 12, "api/bookings/list", "list")


def question_number(number: int) -> Question:
    return Question("GET", "/api/bookings/list", str(number), "", "", b"")


def test_answers_are_bounded_in_number_bytes_and_time(api: Api) -> None:
    clock, services = Seconds(), composition.services()
    answers = WarmAnswers(clock)
    found = lambda number: answers.find(question_number(number), services)  # noqa: E731

    for number in range(warm_answers.MAX_ANSWERS + 1):
        answers.keep(question_number(number), make_answer(clock()), services)
    assert found(0) is None
    assert found(1) is not None

    large = warm_answers.MAX_BYTES // 5
    for number in range(5):
        answers.keep(question_number(number), make_answer(clock(), large), services)
    assert [found(number) is not None for number in range(5)] == [False, True, True, True, True]

    clock.now_s += timedelta(seconds=warm_answers.KEEP_S).total_seconds()
    assert found(4) is None
    answers.keep(question_number(9), make_answer(clock()), services)
    assert list(answers._answers) == [question_number(9)]


def test_the_head_of_an_answer_that_is_kept_no_more_takes_nothing(api: Api) -> None:
    answers, services = WarmAnswers(), composition.services()
    former, latter = (make_answer(warm_answers.time.monotonic()) for _ in range(2))
    answers.keep(question_number(1), former, services)
    answers.keep(question_number(1), latter, services)
    taken = answers._bytes

    answers.keep_head(question_number(1), former, ("a",), make_head("a"))
    assert answers._bytes == taken

    answers.drop(question_number(1))
    answers.keep_head(question_number(1), latter, ("a",), make_head("a"))
    assert answers._bytes == 0


def test_one_answer_alone_does_not_fill_all(api: Api) -> None:
    answers, services = WarmAnswers(), composition.services()
    pattern = KeyPattern("booking:{booking_id}")
    stamps = {pattern.build({"booking_id": str(number)}): ("g", number) for number in range(6_000)}
    small = make_answer(warm_answers.time.monotonic())

    answers.keep(question_number(1), small, services)
    answers.keep(question_number(2), replace(small, stamps=stamps), services)

    assert answers.find(question_number(1), services) is not None
    assert answers.find(question_number(2), services) is None


def test_another_process_state_knows_no_answer(api: Api) -> None:
    answers, before = WarmAnswers(), composition.services()
    answers.keep(question_number(1), make_answer(warm_answers.time.monotonic()), before)
    assert answers.find(question_number(1), before) is not None

    composition.close()

    assert answers.find(question_number(1), composition.services()) is None
