"""HubSpot's state is learnt from calls, and asked for only when there are none."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubspot_sync.errors import Unavailable
from hubspot_sync.reading.availability import (
    QUIET_IN_DOUBT_S,
    QUIET_S,
    Availability,
    AvailabilityWatch,
    State,
)
from hubspot_sync.wire.call_context import CallContext, Priority
from hubspot_sync.wire.call_log import CallRecord
from hubspot_sync.wire.verdicts import Meaning
from tests.waiting import WAIT_LIMIT_S, eventually

MAX_FAILURES = 5
ANSWERS = [
    (200, Meaning.OK),
    (207, Meaning.PARTIAL),
    (400, Meaning.REFUSED),
    (403, Meaning.REFUSED),
    (404, Meaning.MISSING),
    (409, Meaning.REFUSED),
    (423, Meaning.RETRY_AFTER),
    (429, Meaning.RETRY_AFTER),
]
FAILURES = [
    (None, None),
    (200, Meaning.RETRY),
    (302, Meaning.UNEXPECTED),
    (500, Meaning.RETRY),
    (524, Meaning.RETRY),
]
HOPELESS = [(401, Meaning.REFUSED), (429, Meaning.EXHAUSTED), (477, Meaning.EXHAUSTED)]


def record(status: int | None, meaning: Meaning | None, *, hurried: bool = False) -> CallRecord:
    return CallRecord(
        operation="batch_read",
        object_type="0-1",
        method="POST",
        status=status,
        attempt=1,
        waited_s=0.0,
        took_s=0.1,
        background=False,
        meaning=meaning,
        hurried=hurried,
    )


@dataclass(slots=True)
class Hub:
    """A watch, its clock, and what its probes come to."""

    now_s: float = 1_000.0
    day_left: bool = True
    answer: tuple[int | None, Meaning | None] | None = (200, Meaning.OK)
    probes: list[CallContext] = field(default_factory=list)
    watch: AvailabilityWatch = field(init=False)

    def __post_init__(self) -> None:
        self.watch = AvailabilityWatch(
            self._probe,
            max_failures=MAX_FAILURES,
            has_day_left=lambda: self.day_left,
            clock=lambda: self.now_s,
        )

    def _probe(self, context: CallContext) -> None:
        self.probes.append(context)
        if self.answer is None:
            raise Unavailable("The circuit is open.")
        self.hear(self.answer)

    def hear(self, answer: tuple[int | None, Meaning | None], times: int = 1) -> None:
        for _ in range(times):
            self.watch.observe_call(record(*answer))

    @property
    def state(self) -> State:
        return self.watch.look().state


@pytest.fixture
def hub() -> Iterator[Hub]:
    hub = Hub()
    yield hub
    hub.watch.worker.stop()


@pytest.mark.parametrize("answer", ANSWERS, ids=str)
def test_whatever_hubspot_says_it_is_there(hub: Hub, answer: tuple[int, Meaning]) -> None:
    hub.hear(answer)

    assert hub.watch.look() == Availability(state=State.OK, heard_s_ago=0.0)


@pytest.mark.parametrize("failure", FAILURES, ids=str)
def test_one_failure_is_no_outage_and_several_in_a_row_are(
    hub: Hub, failure: tuple[int | None, Meaning | None]
) -> None:
    hub.hear(ANSWERS[0])
    hub.hear(failure, times=MAX_FAILURES - 1)
    before = hub.state
    hub.hear(failure)

    assert (before, hub.state) == (State.OK, State.FAILED)
    hub.hear(ANSWERS[0])
    assert hub.state is State.OK


@pytest.mark.parametrize("failure", HOPELESS, ids=str)
def test_what_only_a_person_can_end_counts_at_once(hub: Hub, failure: tuple[int, Meaning]) -> None:
    hub.hear(ANSWERS[0])
    hub.hear(failure)

    assert hub.state is State.FAILED
    hub.hear(ANSWERS[0])
    assert hub.state is State.OK


@pytest.mark.parametrize("failure", FAILURES + HOPELESS, ids=str)
def test_a_hubspot_that_never_answered_is_away_at_its_first_failure(
    hub: Hub, failure: tuple[int | None, Meaning | None]
) -> None:
    hub.hear(failure)

    assert hub.state is State.FAILED


def test_a_call_that_had_no_time_says_nothing(hub: Hub) -> None:
    hub.hear(ANSWERS[0])
    hub.now_s += 3

    for _ in range(MAX_FAILURES):
        hub.watch.observe_call(record(None, None, hurried=True))

    assert hub.watch.look() == Availability(state=State.OK, heard_s_ago=3.0)


def test_our_own_day_used_up_is_an_outage_too(hub: Hub) -> None:
    hub.hear(ANSWERS[0])
    hub.day_left = False

    assert hub.state is State.FAILED


@given(st.lists(st.sampled_from(ANSWERS + FAILURES + HOPELESS), min_size=1, max_size=30))
def test_the_verdict_is_that_of_the_calls_since_the_last_answer(
    calls: list[tuple[int | None, Meaning | None]],
) -> None:
    hub = Hub()
    for call in calls:
        hub.hear(call)

    since: list[tuple[int | None, Meaning | None]] = []
    for call in calls:
        since = [] if call in ANSWERS else [*since, call]
    ever_answered = len(since) < len(calls)
    hopeless = any(call in HOPELESS for call in since)
    failed = len([call for call in since if call in FAILURES])
    away = hopeless or failed >= (MAX_FAILURES if ever_answered else 1)
    assert hub.state is (State.FAILED if away else State.OK)


def step(hub: Hub) -> float:
    return hub.watch.take_step()


def test_traffic_makes_probes_needless(hub: Hub) -> None:
    for _ in range(10):
        hub.hear(ANSWERS[0])
        rest_s = step(hub)
        assert rest_s == QUIET_S
        hub.now_s += QUIET_S - 1

    assert hub.probes == []


def test_a_quiet_hubspot_is_asked_by_the_background_once_in_a_while(hub: Hub) -> None:
    hub.hear(ANSWERS[0])
    for _ in range(4):
        hub.now_s += QUIET_S
        assert step(hub) == QUIET_S

    assert [probe.priority for probe in hub.probes] == [Priority.BACKGROUND] * 4


def test_one_in_doubt_is_asked_sooner_until_it_answers(hub: Hub) -> None:
    hub.hear(ANSWERS[0])
    hub.hear(FAILURES[0])
    hub.answer = FAILURES[0]
    rests = []
    for _ in range(MAX_FAILURES - 1):
        hub.now_s += QUIET_IN_DOUBT_S
        rests.append(step(hub))
    during = hub.state
    hub.answer = ANSWERS[0]
    hub.now_s += QUIET_IN_DOUBT_S

    assert rests == [QUIET_IN_DOUBT_S] * (MAX_FAILURES - 1)
    assert during is State.FAILED
    assert step(hub) == QUIET_S
    assert hub.state is State.OK


def test_a_probe_that_the_circuit_refuses_changes_nothing(hub: Hub) -> None:
    hub.hear(FAILURES[0])
    hub.answer = None
    hub.now_s += QUIET_IN_DOUBT_S

    assert step(hub) == QUIET_IN_DOUBT_S
    assert hub.state is State.FAILED


def test_many_who_ask_first_make_one_call(hub: Hub) -> None:
    verdicts: list[Availability] = []
    together = threading.Barrier(16)

    def ask() -> None:
        together.wait(WAIT_LIMIT_S)
        verdicts.append(hub.watch.look(wait_s=WAIT_LIMIT_S))

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_LIMIT_S)

    assert {verdict.state for verdict in verdicts} == {State.OK}
    assert len(hub.probes) == 1


def test_while_nothing_is_known_it_says_so_and_keeps_asking(hub: Hub) -> None:
    hub.answer = None

    assert hub.watch.look() == Availability(state=State.UNKNOWN, heard_s_ago=None)
    eventually(lambda: len(hub.probes) == 1)
    hub.answer = ANSWERS[0]
    assert hub.watch.look(wait_s=WAIT_LIMIT_S).state is State.OK
