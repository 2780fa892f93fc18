"""What is sent again before Django is asked is what Django would send: its bytes, its headers, its
line in the log and what it counts."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest
from pytest_django import Settings

from booking_api import composition
from booking_api.api.middleware.refusals import REFUSAL_KEY
from booking_api.api.views import warm_answers as kept
from booking_api.api.windows import SlidingWindow
from booking_api.ops.logs.request_log import RequestLog
from booking_api.ops.metrics.requests import RequestMetrics
from booking_api.pairs.right_pairs import RightPairs
from cache_layer import Cache, Cause, Count
from hubspot_sync.portal.profile import load_profile
from tests.api import Api
from tests.booking_api.cached_answers.test_given_again import (
    AVAILABLE,
    KINDS,
    ask_questions,
    questions_of,
)
from tests.both_ways import Asked, BothWays, difference, make_warm
from tests.builders import Portal
from tests.sandbox import SandboxHandle
from tests.server import Answer as ServerAnswer
from tests.server import serving

pytestmark = pytest.mark.django_db(transaction=True)

LIST = "/api/bookings/list"
MOMENTS = {"took_ms", "timestamp", "metrics"}


@pytest.fixture
def ways(api: Api) -> BothWays:
    return BothWays()


@pytest.fixture
def questions(portal: Portal) -> dict[str, Asked]:
    return ask_questions(portal)


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Callable[[], list[dict[str, Any]]]:
    """Return a function that gives the lines of requests since it was last called."""
    caplog.set_level(logging.INFO, logger="booking_api")

    def read() -> list[dict[str, Any]]:
        events = [record.msg for record in caplog.records if isinstance(record.msg, dict)]
        caplog.clear()
        return [event for event in events if event["event"] == "request"]

    return read


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_what_django_sends_and_counts(
    ways: BothWays, questions: dict[str, Asked], lines: Any, kind: str
) -> None:
    asked = questions[kind]
    make_warm(ways, asked)
    passed = ways.passed
    lines()

    by_warm, warm = difference(ways.ask, asked)
    (warm_line,) = lines()
    by_django, django = difference(ways.ask_django, asked)
    (django_line,) = lines()

    assert ways.passed == passed == 3
    assert (warm.shown, warm.timing) == (django.shown, django.timing)
    assert warm.status == 200
    own = MOMENTS | {"request_id", "traceId"}
    assert list(warm_line) == list(django_line)
    assert {k: v for k, v in warm_line.items() if k not in own} == {
        k: v for k, v in django_line.items() if k not in own
    }
    assert warm_line["metrics"] | {"responseTime": 0} == django_line["metrics"] | {
        "responseTime": 0
    }
    assert by_warm == by_django
    assert by_warm[str(Count.HITS)] > 0


@pytest.mark.parametrize("tag", ["*", "own", "weak"])
def test_so_it_is_of_what_was_not_modified(
    ways: BothWays, questions: dict[str, Asked], tag: str
) -> None:
    asked = questions["available"]
    own = dict(ways.ask(asked).headers)["ETag"]
    named = {"*": "*", "own": f'"x", {own}', "weak": f"W/{own}"}[tag]
    conditional = Asked("GET", asked.target, headers=(("if-none-match", named),))
    make_warm(ways, conditional)
    passed = ways.passed

    again, django = ways.ask(conditional), ways.ask_django(conditional)

    assert (again.status, again.body, ways.passed) == (304, b"", passed)
    assert again.shown == django.shown


@pytest.mark.parametrize("target", ["/api/bookings/lis%74", "/api/b%6fokings/list"])
def test_an_address_in_another_spelling_is_passed_on(
    ways: BothWays, questions: dict[str, Asked], target: str
) -> None:
    plain = questions["list"]
    make_warm(ways, plain)
    odd = Asked("GET", plain.target.replace(LIST, target))

    assert [ways.is_passed_on(odd) for _ in range(4)] == [True] * 4
    assert ways.ask(odd).body == ways.ask(plain).body


@pytest.mark.parametrize(
    "header",
    [
        ("cookie", "theme=dark"),
        ("x-forwarded-for", "192.0.2.1"),
        ("x-forwarded-proto", "https"),
        ("user-agent", "a\0b"),
        ("user-agent", "\xe9"),
        ("accept-encoding", "identity, " + "x" * 600),
    ],
)
def test_what_is_unusual_is_passed_on(
    ways: BothWays, questions: dict[str, Asked], header: tuple[str, str]
) -> None:
    plain = questions["list"]
    make_warm(ways, plain)
    odd = Asked(plain.method, plain.target, headers=(header,))

    assert [ways.is_passed_on(odd) for _ in range(4)] == [True] * 4
    assert not ways.is_passed_on(plain)


@pytest.mark.parametrize(
    ("more", "status"),
    [((REFUSAL_KEY, "RATE_LIMITED"), 503), (("HTTP_TRANSFER_ENCODING", "chunked"), 200)],
)
def test_what_the_server_has_refused_or_not_read_is_passed_on(
    ways: BothWays, questions: dict[str, Asked], more: tuple[str, str], status: int
) -> None:
    plain = questions["list"]
    make_warm(ways, plain)
    odd = replace(plain, more=(more,))

    assert [ways.is_passed_on(odd) for _ in range(4)] == [True] * 4
    assert (ways.ask(odd).status, ways.ask(plain).status) == (status, 200)


def test_a_body_that_is_longer_than_it_says_is_passed_on(
    ways: BothWays, questions: dict[str, Asked]
) -> None:
    plain = questions["credits"]
    make_warm(ways, plain)
    cut = replace(plain, more=(("CONTENT_LENGTH", "5"),))

    assert ways.is_passed_on(cut)
    assert ways.ask(cut).shown == ways.ask_django(cut).shown


@pytest.fixture
def much(portal: Portal) -> Asked:
    """A question whose answer is long enough to be compressed."""
    for number in range(6):
        portal.exam(in_days=3 + number)
    mock_type = portal.exam(in_days=2).mock_type
    return Asked("GET", f"{AVAILABLE}?{urlencode({'mock_type': mock_type})}")


def test_what_is_compressed_is_compressed_anew(ways: BothWays, much: Asked) -> None:
    asked = replace(much, headers=(("accept-encoding", "gzip"),))

    assert [ways.is_passed_on(asked) for _ in range(4)] == [True] * 4
    assert dict(ways.ask(asked).headers)["Content-Encoding"] == "gzip"


@pytest.mark.parametrize("holds", [(), (("if-none-match", "*"),)])
def test_who_takes_it_compressed_is_sent_no_other_head(
    ways: BothWays, much: Asked, holds: tuple[tuple[str, str], ...]
) -> None:
    plain = replace(much, headers=holds)
    packed = replace(much, headers=(*holds, ("accept-encoding", "gzip")))

    for asked in (plain, packed, plain):
        make_warm(ways, asked)
        assert ways.ask(asked).shown == ways.ask_django(asked).shown


def test_nothing_is_sent_again_once_an_entry_has_gone(
    ways: BothWays, questions: dict[str, Asked]
) -> None:
    asked = questions["list"]
    make_warm(ways, asked)
    cache = composition.services().cached.cache
    (answer,) = [each for each in kept.warm_answers._answers.values() if each.heads]

    for key in answer.stamps:
        cache.guarded_store.invalidate((), [key.text], cause=Cause.WEBHOOK)
        assert ways.is_passed_on(asked), key
        make_warm(ways, asked)
        assert not ways.is_passed_on(asked), key


def test_where_many_guesses_come_from_the_gate_is_asked(
    ways: BothWays, questions: dict[str, Asked]
) -> None:
    make_warm(ways, questions["list"])
    composition.services().pairs.look_ups.suspect("127.0.0.1", 60.0)

    assert ways.is_passed_on(questions["list"])


@pytest.mark.parametrize(
    ("kind", "hits"),
    [("available", 0), pytest.param("list", 1, id="list, whose student is let in first")],
)
def test_what_is_asked_too_often_is_refused_and_is_no_hit(
    ways: BothWays, questions: dict[str, Asked], settings: Settings, kind: str, hits: int
) -> None:
    settings.THROTTLE_RATES = {**settings.THROTTLE_RATES, "reads": (5, 60)}
    asked = questions[kind]
    make_warm(ways, asked)
    assert [ways.ask(asked).status for _ in range(2)] == [200, 200]

    counted, refused = difference(ways.ask, asked)

    assert refused.status == 429
    assert counted.get(str(Count.HITS), 0) == hits
    assert not [name for name in counted if name.startswith("reads of")]


def test_who_asks_too_often_takes_the_answer_from_nobody_else(
    ways: BothWays, questions: dict[str, Asked], settings: Settings
) -> None:
    settings.THROTTLE_RATES = {**settings.THROTTLE_RATES, "reads": (4, 60)}
    asked = questions["available"]
    make_warm(ways, asked)
    often = replace(asked, peer="192.0.2.7")

    assert [ways.ask(often).status for _ in range(6)] == [200] * 4 + [429] * 2
    assert not ways.is_passed_on(asked)


def test_what_is_not_held_counts_as_one_read(ways: BothWays, questions: dict[str, Asked]) -> None:
    asked = questions["available"]
    make_warm(ways, asked)
    cache = composition.services().cached.cache
    cache.guarded_store.flush(lambda _: True, cause=Cause.WEBHOOK)

    counted, _ = difference(ways.ask, asked)

    assert counted["reads of 127.0.0.1"] == 1


def fail(*_: object, **__: object) -> Any:
    raise RuntimeError("S4711")


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (SlidingWindow, "take"),
        (RightPairs, "note"),
        (RequestMetrics, "observe_request"),
        (RequestLog, "write"),
    ],
)
def test_where_something_fails_it_is_answered_as_django_does(
    ways: BothWays,
    questions: dict[str, Asked],
    monkeypatch: pytest.MonkeyPatch,
    owner: Any,
    name: str,
) -> None:
    plain = questions["list"]
    asked = Asked("GET", plain.target, headers=(("origin", "https://school.example"),))
    make_warm(ways, asked)
    monkeypatch.setattr(owner, name, fail)

    warm, django = ways.ask(asked), ways.ask_django(asked)

    assert warm.status == 500
    assert warm.shown == django.shown
    assert b"S4711" not in warm.body


def test_what_fails_here_alone_is_answered_and_said(
    ways: BothWays,
    questions: dict[str, Asked],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    asked = questions["credits"]
    make_warm(ways, asked)
    student_id = orjson.loads(asked.body)["student_id"]

    def fail_with_what_was_said(*_: object) -> None:
        raise RuntimeError(f"no student {student_id}")

    monkeypatch.setattr(Cache, "holds", fail_with_what_was_said)

    assert ways.ask(asked).status == 200
    assert "warm_way_failed" in caplog.text
    assert student_id not in caplog.text


def test_the_line_says_nothing_that_the_student_said(
    ways: BothWays, questions: dict[str, Asked], lines: Any
) -> None:
    asked = questions["list"]
    make_warm(ways, asked)
    student_id = asked.target.partition("student_id=")[2].partition("&")[0]
    named = Asked(asked.method, asked.target, headers=(("x-request-id", student_id),))
    passed = ways.passed
    lines()

    answer = ways.ask(named)
    (line,) = lines()

    assert ways.passed == passed
    assert dict(answer.headers)["X-Request-ID"] == student_id
    assert student_id not in str(line)


def test_who_varies_what_they_send_does_not_fill_the_memory(
    ways: BothWays, questions: dict[str, Asked]
) -> None:
    asked = questions["list"]
    make_warm(ways, asked)
    (answer,) = [each for each in kept.warm_answers._answers.values() if each.heads]
    taken = []

    for number in range(3 * kept.MAX_HEADS):
        other = Asked(
            asked.method, asked.target, headers=(("origin", f"https://{number}.example"),)
        )
        assert ways.is_passed_on(other)
        assert not ways.is_passed_on(other)
        taken.append(kept.warm_answers._bytes)

    assert len(answer.heads) == kept.MAX_HEADS
    assert taken[kept.MAX_HEADS] == pytest.approx(taken[-1], abs=100)


def test_a_server_answers_so_too(
    kind_sandbox: SandboxHandle, tmp_path_factory: pytest.TempPathFactory
) -> None:
    portal = Portal(kind_sandbox, load_profile("default"))
    questions = questions_of(portal)
    with serving(kind_sandbox, tmp_path_factory.mktemp("served")) as server:
        for kind, (method, path, query, body) in questions.items():
            target = f"{path}?{urlencode(query)}" if query else path
            answers = [
                server.send(method, target, body or None, **{"Content-Type": "application/json"})
                for _ in range(4)
            ]
            assert {answer.status for answer in answers} == {200}, kind
            own = {"x-request-id", "date", "server-timing"}
            for answer in answers:
                assert answer.body == answers[0].body
                assert headers_without(answer, own) == headers_without(answers[0], own)
            assert len({answer.headers["x-request-id"] for answer in answers}) == 4


def headers_without(answer: ServerAnswer, names: set[str]) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name not in names}
