"""Which failures are tried again, and after how long."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubspot_sync.errors import RateLimited, Unavailable
from hubspot_sync.wire.deadlines import Deadline
from hubspot_sync.wire.retries import (
    MAX_JITTER,
    MAX_WAIT_S,
    AttemptFailed,
    Completion,
    RetryPolicy,
    parse_count,
    parse_retry_after_s,
)

POLICY = RetryPolicy(max_attempts=4, random=lambda: 0.0)


def failed(
    done: Completion, *, wait_s: float = 0.5, retry_after_s: float | None = None
) -> AttemptFailed:
    return AttemptFailed(done, Unavailable("no", retry_after_s=retry_after_s), wait_s=wait_s)


@pytest.mark.parametrize(
    ("done", "repeatable", "again"),
    [
        (Completion.NO, True, True),
        (Completion.NO, False, True),
        (Completion.PERHAPS, True, True),
        (Completion.PERHAPS, False, False),
        (Completion.POINTLESS, True, False),
        (Completion.POINTLESS, False, False),
    ],
)
def test_what_may_be_tried_again(done: Completion, repeatable: bool, again: bool) -> None:
    wait_s = POLICY.next_wait_s(failed(done), repeatable=repeatable, attempt=1)

    assert (wait_s is not None) is again


@pytest.mark.parametrize(
    ("attempt", "wait_s"), [(1, 0.5), (2, 1.0), (3, 2.0), (4, None), (5, None)]
)
def test_waits_double_and_attempts_end(attempt: int, wait_s: float | None) -> None:
    assert POLICY.next_wait_s(failed(Completion.NO), repeatable=True, attempt=attempt) == wait_s


@given(st.integers(1, 5_000), st.floats(0, 1), st.floats(0.01, 100))
def test_no_wait_is_endless(attempt: int, chance: float, wait_s: float) -> None:
    policy = RetryPolicy(max_attempts=10_000, random=lambda: chance)

    found = policy.next_wait_s(
        failed(Completion.NO, wait_s=wait_s), repeatable=True, attempt=attempt
    )

    assert found is not None
    assert 0 < found <= MAX_WAIT_S * (1 + MAX_JITTER)


@given(st.floats(0, 1), st.floats(0.1, 60))
def test_retry_after_is_a_minimum_and_jitter_only_adds(chance: float, retry_after_s: float) -> None:
    policy = RetryPolicy(max_attempts=4, random=lambda: chance)
    refused = AttemptFailed(
        Completion.NO, RateLimited("no", retry_after_s=retry_after_s), wait_s=0.1
    )

    wait_s = policy.next_wait_s(refused, repeatable=False, attempt=1)

    assert wait_s is not None
    assert retry_after_s <= wait_s <= retry_after_s * (1 + MAX_JITTER)


def attempts_until(error: Exception, deadline: Deadline) -> int:
    """Return how often a call that always fails is made."""
    made = 0
    try:
        for attempt in POLICY.attempts(repeatable=True, deadline=deadline):
            with attempt:
                made += 1
                raise error
    except type(error):
        return made
    raise AssertionError("The failure was swallowed.")


def test_a_wait_that_would_end_after_the_deadline_is_not_begun() -> None:
    deadline = Deadline(at_s=100.0, clock=lambda: 90.0)

    assert attempts_until(failed(Completion.NO, retry_after_s=10.0), deadline) == 1


def test_attempts_are_bounded() -> None:
    deadline = Deadline(at_s=100.0, clock=lambda: 0.0)

    assert attempts_until(failed(Completion.PERHAPS, wait_s=0.001), deadline) == POLICY.max_attempts


def test_an_error_that_is_nobodys_answer_is_not_tried_again() -> None:
    assert attempts_until(ZeroDivisionError(), Deadline.after(10)) == 1


def test_the_text_that_is_logged_quotes_nobody() -> None:
    refused = Unavailable("alice@example.org is not a valid address", status=503)

    assert "alice" not in repr(AttemptFailed(Completion.PERHAPS, refused, wait_s=0.1))


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7.0), (" 10 ", 10.0), ("0.5", 0.5), ("0", 0.0), ("86400", 86_400.0)],
)
def test_a_retry_after_in_seconds_is_believed(header: str, seconds: float) -> None:
    assert parse_retry_after_s(header) == seconds


@pytest.mark.parametrize(
    "header",
    [
        "",
        "inf",
        "nan",
        "-1",
        "1e9",
        "1_0",
        "\u0667",
        "90001",
        "9" * 400,
        "Wed, 25 Nov 2026 21:00:00 GMT",
    ],
)
def test_an_absurd_one_is_not(header: str) -> None:
    assert parse_retry_after_s(header) is None


@pytest.mark.parametrize(
    ("header", "count"),
    [("190", 190), ("0", 0), ("", None), ("-3", None), ("\u0667", None), ("9" * 5_000, None)],
    ids=lambda value: str(value)[:5],
)
def test_a_count_that_is_absurd_says_nothing(header: str, count: int | None) -> None:
    """Python reads no number of so many digits: the answer beside it would be lost."""
    assert parse_count(header) == count
