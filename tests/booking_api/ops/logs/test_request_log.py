"""Each request's line, most of which is written once: it is what the logger of all lines writes."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import structlog
from django.conf import settings
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from booking_api.ops import redaction
from booking_api.ops.logs.configuration import configure
from booking_api.ops.logs.request_line import ServedRequest, describe_request
from booking_api.ops.logs.request_log import (
    CALLS,
    REQUEST_ID,
    TIMESTAMP,
    RequestLog,
    write_timestamp,
)

NAME = "booking_api.tests"
SECRET = "correct-horse-battery"


def served(**given: Any) -> ServedRequest:
    usual: dict[str, Any] = {
        "request_id": "0123456789abcdef0123456789abcdef",
        "method": "GET",
        "route": "api/bookings/list",
        "action": "list",
        "status": 200,
        "took_s": 0.00123,
        "hubspot_calls": 0,
        "cache": "hit",
        "items": 50,
    }
    return ServedRequest(**(usual | given))


class Lines:
    """What is written of requests: by the log of requests, and as any event is."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self._request_log = RequestLog(NAME)
        self._log = structlog.get_logger(NAME)

    def written(self, request: ServedRequest, said: Any = ()) -> str:
        write_in_request(self._request_log.write, request, said)
        return self._capsys.readouterr().err

    def written_as_any(self, request: ServedRequest, said: Any = ()) -> str:
        write_in_request(
            lambda each: self._log.info("request", **describe_request(each)), request, said
        )
        return self._capsys.readouterr().err


@pytest.fixture
def usual_logging() -> Iterator[None]:
    yield
    configure(settings.LOGGING)


@pytest.fixture
def open_lines(
    usual_logging: None,  # set up again when capsys has given stderr back, which it closes
    capsys: pytest.CaptureFixture[str],
) -> Callable[..., Lines]:
    """Return a function that sets up logging, to be called in the test: what a fixture opens is
    closed by then."""

    def open_(format_: str = "json", level: str = "INFO") -> Lines:
        configure({"level": level, "format": format_, "secrets": [SECRET]})
        return Lines(capsys)

    return open_


def write_in_request(
    write: Callable[[ServedRequest], None], request: ServedRequest, said: Any
) -> None:
    bound = structlog.contextvars.bound_contextvars(request_id=request.request_id)
    with bound, redaction.Masking(lambda: [said]):
        write(request)


def timeless(line: str) -> str:
    """Return the line with another time in it, which has as many letters."""
    shown = json.loads(line)["timestamp"]
    return line.replace(shown, "T" * len(shown))


OpenLines = Callable[..., Lines]
words = st.sampled_from(
    ["", "hit", "GET", "list", "S4711", "100%", "%(items)s", 'say "so"', "back\\slash", "é", "\n"]
) | st.text(max_size=30)
requests = st.builds(
    served,
    request_id=words | st.from_regex(r"[A-Za-z0-9._-]{1,128}", fullmatch=True),
    method=words,
    route=words | st.sampled_from(["api/bookings/<id>", "api/x?email=ada@example.org"]),
    action=words,
    status=st.integers(100, 599),
    took_s=st.floats(0, 1e6),
    hubspot_calls=st.integers(0, 300),
    cache=words,
    items=st.integers(0, 10**6),
    failure_code=words | st.just("EXAM_FULL"),
)


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(request=requests, said=st.lists(words, max_size=3))
@example(request=served(route=CALLS), said=[])
@example(request=served(action=f"x{REQUEST_ID}", cache=TIMESTAMP), said=[TIMESTAMP])
def test_a_line_is_what_any_event_is_made_into(
    open_lines: OpenLines, request: ServedRequest, said: list[str]
) -> None:
    lines = open_lines()

    assert timeless(lines.written(request, said)) == timeless(lines.written_as_any(request, said))


@given(now_us=st.integers(0, 7 * 10**15))
@example(now_us=10**12)
@example(now_us=10**12 + 1)
def test_a_time_is_written_as_structlog_writes_it(now_us: int) -> None:
    moment = datetime.fromtimestamp(0, UTC) + timedelta(microseconds=now_us)

    assert write_timestamp(now_us) == moment.isoformat().replace("+00:00", "Z")


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (served(request_id="S4711"), "S4711"),
        (served(request_id=f"is-{SECRET}"), ""),
        (served(method=SECRET), ""),
        (served(cache="Ada"), "ada"),
        (served(route="to/ada@example.org"), ""),
        (served(request_id="pat-eu1-0123"), ""),
        (served(request_id="a" * 40), ""),
    ],
)
def test_what_may_not_be_logged_is_masked(
    open_lines: OpenLines, request_: ServedRequest, said: str
) -> None:
    lines = open_lines()

    line = lines.written(request_, said)

    assert redaction.HIDDEN in line or "<secret>" in line or "<e-mail>" in line
    assert timeless(line) == timeless(lines.written_as_any(request_, said))


def test_a_line_of_a_kind_that_was_kept_is_looked_through_for_what_its_request_says(
    open_lines: OpenLines,
) -> None:
    lines = open_lines()

    assert '"cache": "hit"' in lines.written(served())
    assert '"cache": "<hidden>"' in lines.written(served(), "Hit")
    assert '"cache": "hit"' in lines.written(served())


def test_other_handlers_get_the_event_as_of_any_line(open_lines: OpenLines) -> None:
    lines, records = open_lines(), list[logging.LogRecord]()
    handler, logger = logging.Handler(), logging.getLogger(NAME)
    handler.emit = records.append  # type: ignore[method-assign, assignment]
    logger.addHandler(handler)
    try:
        line = lines.written(served())
    finally:
        logger.removeHandler(handler)

    (record,) = records
    assert (record.name, record.levelname) == (NAME, "INFO")
    assert record.msg == json.loads(line)


def test_nothing_is_written_of_requests_above_their_level(open_lines: OpenLines) -> None:
    assert open_lines(level="WARNING").written(served()) == ""


def test_on_the_console_a_line_is_one_for_people(open_lines: OpenLines) -> None:
    lines = open_lines(format_="console")

    line, other = lines.written(served()), lines.written_as_any(served())

    assert "took_ms=1.2" in line
    assert line.partition(" ")[2] == other.partition(" ")[2]
