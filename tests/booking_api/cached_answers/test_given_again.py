"""An answer that was given before is given again while the entries it was made of are held, and
nobody can tell it from one that was made anew."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from datetime import time, timedelta
from typing import Any, cast

import orjson
import pytest
from pytest_django import Settings

from booking_api import composition
from booking_api.api.context import Reuse
from booking_api.api.views import warm_answers
from booking_api.api.views.warm_answers import Question, WarmAnswer, WarmAnswers
from booking_api.ops.metrics import render_metrics
from cache_layer import CacheConfig, Cause, Count, Key, KeyPattern
from hubspot_sync.portal.profile import load_profile
from hubspot_sync.reading.tags import contact_tag, exam_tag
from tests.api import Api, Reply, connected
from tests.builders import Portal, Student
from tests.sandbox import SandboxHandle

pytestmark = pytest.mark.django_db(transaction=True)

AVAILABLE = "/api/mock-exams/available"
CREDITS = "/api/mock-exams/validate-credits"
OWN_TO_EACH = {"X-Request-ID", "Server-Timing"}


def questions_of(portal: Portal) -> dict[str, tuple[str, str, dict[str, Any], bytes]]:
    """Return a question of each kind about alice and her one booking."""
    alice = portal.student("alice")
    exam = portal.exam(in_days=3, start=time(9), end=time(12, 1), total_bookings=1)
    booking = portal.booking(alice, exam)
    for_type = {"mock_type": exam.mock_type}
    return {
        "list": ("GET", "/api/bookings/list", alice.pair, b""),
        "second page": ("GET", "/api/bookings/list", {**alice.pair, "page": "2"}, b""),
        "booking": ("GET", f"/api/bookings/{booking.id}", alice.pair, b""),
        "named booking": ("GET", f"/api/bookings/{booking.booking_id}", alice.pair, b""),
        "available": ("GET", AVAILABLE, for_type, b""),
        "credits": ("POST", CREDITS, {}, orjson.dumps({**alice.pair, **for_type})),
    }


KINDS = ["list", "second page", "booking", "named booking", "available", "credits"]


def ask(api: Api, question: tuple[str, str, dict[str, Any], bytes]) -> Reply:
    method, path, query, body = question
    return api.send(method, path, query=query, body=body)


def headers_of(reply: Reply) -> dict[str, str]:
    return {name: value for name, value in reply.headers.items() if name not in OWN_TO_EACH}


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[WarmAnswer]:
    """What has been given again."""
    answers: list[WarmAnswer] = []
    original = warm_answers.describe_to_log

    def note(known: WarmAnswer, context: Any) -> None:
        answers.append(known)
        original(known, context)

    monkeypatch.setattr(warm_answers, "describe_to_log", note)
    return answers


@pytest.mark.parametrize("kind", KINDS)
def test_whoever_asks_again_gets_the_same(
    api: Api, portal: Portal, given: list[WarmAnswer], kind: str
) -> None:
    question = questions_of(portal)[kind]
    cold, warm = ask(api, question), ask(api, question)

    hits = composition.services().cached.cache.counters.snapshot().total(Count.HITS)
    again = ask(api, question)

    assert len(given) == 1
    assert (again.status, again.body) == (warm.status, warm.body) == (cold.status, cold.body)
    assert headers_of(again) == headers_of(warm) == headers_of(cold)
    assert again.headers["Server-Timing"] == warm.headers["Server-Timing"]
    assert composition.services().cached.cache.counters.snapshot().total(Count.HITS) > hits


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_given_again_once_an_entry_of_it_has_gone(
    api: Api, portal: Portal, given: list[WarmAnswer], kind: str
) -> None:
    question = questions_of(portal)[kind]
    for _ in range(3):
        ask(api, question)
    cache = composition.services().cached.cache
    answer = given.pop()

    for key in answer.stamps:
        cache.guarded_store.invalidate((), [key.text], cause=Cause.WEBHOOK)
        reply = ask(api, question)
        assert given == [], key
        assert reply.status == 200
        for _ in range(2):
            ask(api, question)
        given.clear()


def test_the_entry_that_takes_another_s_place_is_another(
    api: Api, portal: Portal, given: list[WarmAnswer]
) -> None:
    alice = portal.student("alice", credits=3)
    asked = (
        "POST",
        CREDITS,
        {},
        orjson.dumps({**alice.pair, "mock_type": portal.first_type.value}),
    )
    before = [ask(api, asked).data["available_credits"] for _ in range(3)]
    assert len(given) == 1
    portal.sandbox.edit("contacts", alice.id, **dict.fromkeys(alice.credits, "1"))
    composition.services().pairs.forget_contact(alice.id)
    api.get("/api/bookings/list", **alice.pair)

    after = ask(api, asked).data["available_credits"]

    assert (before, after) == ([3, 3, 3], 1)


def test_an_entry_that_others_had_loaded_anew_is_another(
    api: Api, portal: Portal, given: list[WarmAnswer]
) -> None:
    """All its keys are held again, one of them with what is true now."""
    exam = portal.exam(in_days=3, capacity=5)
    asked = {"mock_type": exam.mock_type}
    before = [api.get(AVAILABLE, **asked).data[0]["capacity"] for _ in range(3)]
    assert len(given) == 1
    portal.sandbox.edit(portal.profile.object_types.mock_exams, exam.id, capacity="6")
    cache = composition.services().cached.cache
    cache.guarded_store.invalidate({exam_tag(exam.id)}, (), cause=Cause.WEBHOOK)
    api.get(AVAILABLE, include_capacity="false", **asked)

    assert (before, api.get(AVAILABLE, **asked).data[0]["capacity"]) == ([5, 5, 5], 6)


@pytest.mark.parametrize("kind", ["list", "booking", "named booking", "credits"])
def test_a_pair_that_is_right_no_more_is_given_nothing(
    api: Api, portal: Portal, given: list[WarmAnswer], kind: str
) -> None:
    questions = questions_of(portal)
    contact_id = ask(api, questions["credits"]).data["contact_id"]
    for _ in range(3):
        assert ask(api, questions[kind]).status == 200
    assert len(given) > 0
    given.clear()
    portal.sandbox.edit("0-1", contact_id, student_id="S4711")
    cache = composition.services().cached.cache
    cache.guarded_store.invalidate({contact_tag(contact_id)}, (), cause=Cause.WEBHOOK)

    reply = ask(api, questions[kind])

    assert reply.code in {"AUTH_FAILED", "STUDENT_NOT_FOUND", "EMAIL_MISMATCH"}
    assert given == []


def test_counts_to_be_corrected_are_told_each_time(
    api: Api, portal: Portal, given: list[WarmAnswer]
) -> None:
    exam = portal.exam(in_days=3, total_bookings=4)
    for _ in range(3):
        rows = api.get(AVAILABLE, mock_type=exam.mock_type, realtime="true").data
        assert [row["total_bookings"] for row in rows] == [0]

    assert given == []


@pytest.mark.parametrize(
    "changes", [{"email": "bob@example.org"}, {"student_id": "S0"}, {"email": ""}]
)
def test_another_pair_is_not_given_it(
    api: Api, portal: Portal, given: list[WarmAnswer], changes: dict[str, str]
) -> None:
    alice = portal.student("alice")
    for _ in range(3):
        api.get("/api/bookings/list", **alice.pair)
    given.clear()

    reply = api.get("/api/bookings/list", **{**alice.pair, **changes})

    assert reply.status in {400, 401}
    assert given == []


def test_where_many_guesses_come_from_the_gate_is_asked_each_time(
    api: Api, portal: Portal, given: list[WarmAnswer]
) -> None:
    alice = portal.student("alice")
    for _ in range(3):
        api.get("/api/bookings/list", **alice.pair)
    given.clear()
    composition.services().pairs.look_ups.suspect("127.0.0.1", 60.0)

    assert api.get("/api/bookings/list", **alice.pair).status == 200
    assert given == []


def test_who_holds_no_answer_is_given_one_after_those_who_do(
    api: Api, portal: Portal, given: list[WarmAnswer]
) -> None:
    asked = {"mock_type": portal.first_type.value}
    held = {"If-None-Match": "*"}
    statuses = [api.get(AVAILABLE, headers=held, **asked).status for _ in range(3)]
    replies = [api.get(AVAILABLE, **asked) for _ in range(2)]
    other = api.get(AVAILABLE, headers={"If-None-Match": '"other"'}, **asked)
    again = api.get(AVAILABLE, headers=held, **asked)

    assert statuses == [304] * 3
    assert [reply.status for reply in (*replies, other, again)] == [200, 200, 200, 304]
    assert replies[0].body == replies[1].body == other.body
    assert len(given) == 4


def test_each_check_of_credits_is_counted(api: Api, portal: Portal) -> None:
    question = questions_of(portal)["credits"]
    counted = []
    for _ in range(4):
        assert ask(api, question).status == 200
        page = render_metrics().decode()
        lines = [line for line in page.splitlines() if line.startswith("mocks_credit_checks_total")]
        counted.append(sum(float(line.rpartition(" ")[2]) for line in lines))

    assert [each - counted[0] for each in counted] == [0, 1, 2, 3]


def test_what_is_asked_too_often_is_refused_as_ever(
    api: Api, portal: Portal, settings: Settings
) -> None:
    settings.THROTTLE_RATES = {**settings.THROTTLE_RATES, "reads": (4, 60)}
    questions = questions_of(portal)

    for kind in ("list", "available"):
        statuses = [ask(api, questions[kind]).status for _ in range(6)]
        assert statuses == [200] * 4 + [429] * 2


@pytest.mark.parametrize("cache", [CacheConfig(enabled=False), CacheConfig(rollout_percentage=0)])
def test_what_is_not_cached_is_made_anew(
    settings: Settings, kind_sandbox: SandboxHandle, given: list[WarmAnswer], cache: CacheConfig
) -> None:
    portal = Portal(kind_sandbox, load_profile("default"))
    alice: Student = portal.student("alice")
    with connected(settings, kind_sandbox, cache=cache) as api:
        for _ in range(3):
            api.get("/api/bookings/list", **alice.pair)

    assert given == []


def test_a_client_that_takes_no_json_is_refused_still(api: Api, portal: Portal) -> None:
    alice = portal.student("alice")
    for _ in range(3):
        api.get("/api/bookings/list", **alice.pair)

    refused = api.get("/api/bookings/list", headers={"Accept": "text/csv"}, **alice.pair)

    assert refused.status == 406


@pytest.mark.parametrize(
    "padded",
    [
        lambda pad: {"headers": {"Accept": f"application/json, x/{pad}"}},
        lambda pad: {"headers": {"Content-Type": f"application/json; x={pad}"}},
        lambda pad: {"query": {"x": pad}},
    ],
    ids=["accept", "content type", "query"],
)
def test_a_question_of_many_bytes_is_answered_and_not_remembered(
    api: Api, portal: Portal, given: list[WarmAnswer], padded: Callable[[str], dict[str, Any]]
) -> None:
    for size in (warm_answers.MAX_QUESTION_CHARS, 10):
        asked = padded("y" * size)
        query = {"mock_type": portal.first_type.value, **asked.pop("query", {})}
        for _ in range(3):
            assert api.send("GET", AVAILABLE, query=query, **asked).status == 200
        assert len(given) == (0 if size > 10 else 2)


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
def test_all_that_is_kept_takes_no_more_memory_than_it_may(
    monkeypatch: pytest.MonkeyPatch, stamps: int, size: int
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
        answers.keep(Question("POST", "/api", *parts, body), answer, services)
    del answer

    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(answers._answers) > 1
    assert taken < warm_answers.MAX_BYTES * 1.1


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
