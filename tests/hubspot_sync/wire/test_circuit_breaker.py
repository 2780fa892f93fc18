"""The circuit breaker: quick when HubSpot is down, one probe when it may be back."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from hubspot_sync.errors import Unavailable
from hubspot_sync.wire.circuit_breaker import CircuitBreaker, Permit


class Clock:
    def __init__(self) -> None:
        self.now_s = 50.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> CircuitBreaker:
    return CircuitBreaker(failures=3, cooldown_s=2.0, clock=clock)


def open_it(breaker: CircuitBreaker) -> None:
    for permit in [breaker.issue_permit() for _ in range(3)]:
        permit.report_failure()


def test_failures_in_a_row_open_the_circuit_and_say_when_to_come_back(
    breaker: CircuitBreaker,
) -> None:
    open_it(breaker)

    with pytest.raises(Unavailable) as refused:
        breaker.issue_permit()

    assert refused.value.retry_after_s == 2.0
    assert not refused.value.may_have_taken_effect


@pytest.mark.parametrize(
    ("status", "failure", "said"),
    [(None, "connection refused", "connection refused"), (503, "", "status 503")],
)
def test_who_is_refused_is_told_what_the_last_call_met(
    breaker: CircuitBreaker, status: int | None, failure: str, said: str
) -> None:
    for permit in [breaker.issue_permit() for _ in range(3)]:
        permit.report(status, hurried=False, failure=failure)

    with pytest.raises(Unavailable, match=said):
        breaker.refuse_while_open()


def test_looking_whether_the_circuit_is_open_takes_nobodys_turn(
    breaker: CircuitBreaker, clock: Clock
) -> None:
    open_it(breaker)
    with pytest.raises(Unavailable):
        breaker.refuse_while_open()
    clock.now_s += 2.0

    breaker.refuse_while_open()
    breaker.refuse_while_open()
    breaker.issue_permit()

    with pytest.raises(Unavailable):
        breaker.refuse_while_open()


def test_an_answer_in_between_starts_the_count_again(breaker: CircuitBreaker) -> None:
    for end in (
        Permit.report_failure,
        Permit.report_failure,
        Permit.report_answer,
        Permit.report_failure,
        Permit.report_failure,
    ):
        end(breaker.issue_permit())

    breaker.issue_permit()


def test_a_closed_circuit_holds_nobody_up(breaker: CircuitBreaker) -> None:
    assert len([breaker.issue_permit() for _ in range(100)]) == 100


def test_after_the_cool_down_one_call_alone_goes_through(
    breaker: CircuitBreaker, clock: Clock
) -> None:
    open_it(breaker)
    clock.now_s += 2.0
    everybody = threading.Barrier(8)
    permits, refusals = [], []

    def ask() -> None:
        everybody.wait(30)
        try:
            permits.append(breaker.issue_permit())
        except Unavailable as refused:
            refusals.append(refused)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert (len(permits), len(refusals)) == (1, 7)


@pytest.mark.parametrize(
    ("end", "next_one_passes"),
    [(Permit.report_answer, True), (Permit.report_failure, False), (Permit.report_unused, True)],
    ids=["answered", "failed", "never made"],
)
def test_the_probe_decides(
    breaker: CircuitBreaker, clock: Clock, end: Callable[[Permit], None], next_one_passes: bool
) -> None:
    open_it(breaker)
    clock.now_s += 2.0

    end(breaker.issue_permit())

    try:
        breaker.issue_permit()
    except Unavailable:
        assert not next_one_passes
    else:
        assert next_one_passes


def test_a_probe_that_was_never_made_leaves_the_circuit_open(
    breaker: CircuitBreaker, clock: Clock
) -> None:
    open_it(breaker)
    clock.now_s += 2.0
    breaker.issue_permit().report_unused()
    breaker.issue_permit()

    with pytest.raises(Unavailable):
        breaker.issue_permit()


def test_after_the_probe_everybody_passes_again(breaker: CircuitBreaker, clock: Clock) -> None:
    open_it(breaker)
    clock.now_s += 2.0
    breaker.issue_permit().report_answer()

    for permit in [breaker.issue_permit() for _ in range(20)]:
        permit.report_answer()


def test_calls_from_before_the_outage_do_not_speak_for_the_probe(
    breaker: CircuitBreaker, clock: Clock
) -> None:
    late = breaker.issue_permit()
    open_it(breaker)
    clock.now_s += 2.0
    breaker.issue_permit()

    late.report_answer()

    with pytest.raises(Unavailable):
        breaker.issue_permit()
