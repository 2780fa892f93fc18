"""Several processes, one budget, in Redis; and what happens without it."""

from __future__ import annotations

import itertools
import os
import threading
import time
import uuid
from dataclasses import dataclass, field
from itertools import product
from urllib.parse import urlsplit

import pytest
from redis import Redis
from redis.commands.core import Script
from redis.exceptions import RedisError

from hubspot_sync.config import HubSpotConfig
from hubspot_sync.errors import RateLimited
from hubspot_sync.wire.call_context import Priority
from hubspot_sync.wire.deadlines import Deadline
from hubspot_sync.wire.limits.portal_day import PortalDay
from hubspot_sync.wire.limits.rate_budget import RateBudget, build_rate_budget
from hubspot_sync.wire.limits.shared_redis import SharedRedis
from hubspot_sync.wire.limits.shared_windows import KEPT_BACK, JointWindows, SharedArrivals
from tests.cuttable import Cuttable
from tests.hubspot_sync.budgets import most_in_a_window

NOTHING_KEPT = {"desk_share": 0.0, "reserved_share": 0.0, "anonymous_share": 1.0}
REDIS_URL = os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379/9")


@pytest.fixture
def redis_url() -> str:
    """The Redis for tests; skips without one, unless the environment promised it."""
    try:
        with Redis.from_url(REDIS_URL, socket_connect_timeout=0.5) as redis:
            redis.ping()
    except RedisError:
        if os.environ.get("REDIS_PROMISED"):
            raise
        pytest.skip("no Redis at TEST_REDIS_URL")
    return REDIS_URL


def budgets(
    redis_url: str,
    *,
    requests_per_window: int = 6,
    window_s: float = 60.0,
    searches: int = 5,
    **shares: float,
) -> tuple[RateBudget, RateBudget]:
    """The budgets of two processes that have been there for a while: six calls in a window too long
    to end before a test does."""
    ahead_s = 0.0
    config = HubSpotConfig(
        token=uuid.uuid4().hex,
        requests_per_window=requests_per_window,
        window_s=window_s,
        searches_per_second=searches,
        **shares,
    )
    one, other = (
        build_rate_budget(
            config,
            clock=lambda: time.monotonic() + ahead_s,
            day=PortalDay(),
            redis_url=redis_url,
        )
        for _ in "ab"
    )
    for part, priority in product((one, other), Priority):
        part.acquire(Deadline.after(30), priority=priority, search=True).report_unused()
    ahead_s = 1_000.0
    return one, other


def taken_now(part: RateBudget, most: int, priority: Priority = Priority.DESK) -> int:
    """How many slots it gives at once: to one whose deadline is ever near, and never passed."""
    near = Deadline(at_s=0.05, clock=lambda: 0.0)
    for taken in range(most):
        try:
            part.acquire(near, priority=priority, search=False).report_answer(0.0)
        except RateLimited:
            return taken
    return most


@pytest.mark.redis
def test_two_processes_together_send_no_more_than_one_may(redis_url: str) -> None:
    one, other = budgets(redis_url)

    assert taken_now(one, 4) + taken_now(other, 6) == 6


@pytest.mark.redis
@pytest.mark.parametrize(
    ("priority", "most"),
    [
        (Priority.UNPROVEN_WRITER, 5),
        (Priority.PEOPLE, 5),
        (Priority.UNPROVEN, 4),
        (Priority.ANONYMOUS, 3),
    ],
    ids=str,
)
def test_two_processes_together_leave_others_what_is_reserved(
    redis_url: str, priority: Priority, most: int
) -> None:
    one, other = budgets(redis_url)

    assert taken_now(one, 2, priority) + taken_now(other, 6, priority) == most
    assert taken_now(other, 6) == 6 - most


@pytest.mark.redis
def test_a_slot_comes_free_for_whoever_waits_in_another_process(redis_url: str) -> None:
    """The window is one of two seconds, and three with the transit allowed."""
    one, other = budgets(redis_url, window_s=2.0)
    taken_now(one, 6)

    slot = other.acquire(Deadline.after(30), priority=Priority.DESK, search=False)

    assert slot.waited_s > 0.0


@pytest.mark.redis
def test_another_token_has_another_budget(redis_url: str) -> None:
    taken_now(budgets(redis_url)[0], 6)

    assert taken_now(budgets(redis_url)[0], 6) == 6


@pytest.mark.redis
def test_a_search_that_waits_uses_up_no_calls(redis_url: str) -> None:
    """It asks every tenth of a second, and of its two budgets only that of all calls has room."""
    one, other = budgets(redis_url, requests_per_window=30, searches=1)

    for _ in range(2):
        one.acquire(Deadline.after(30), priority=Priority.DESK, search=True).report_answer(0.0)

    kept_back = int(30 * KEPT_BACK)
    assert taken_now(other, 40) == 28 - kept_back


@dataclass(slots=True)
class Processes:
    """Two, with five searches a second together, by one clock."""

    redis_url: str
    now_s: float = 1_000.0
    name: str = field(default_factory=lambda: uuid.uuid4().hex)

    def shared(self, redis: Redis) -> SharedRedis:
        return SharedRedis(redis, lambda: self.now_s, name=self.name, window_s=1.0)

    def window(self, amount: int = 5, *, name: str = "search") -> SharedArrivals:
        redis = Redis.from_url(self.redis_url)
        return SharedArrivals(
            *(name, amount, 1.0, self.shared(redis)),
            under_way_s=13.0,
            now_s=lambda: self.now_s,
        )

    def settled_windows(self, amount: int = 5) -> tuple[SharedArrivals, SharedArrivals]:
        """Those of two that have been there for a while."""
        one, other = self.window(amount), self.window(amount)
        for each in (one, other):
            each.has_room()
        self.now_s += 100
        return one, other


@pytest.mark.redis
def test_the_searches_of_two_processes_are_used_in_full(redis_url: str) -> None:
    """A window of one second has no second of transit besides."""
    processes = Processes(redis_url)
    one, other = processes.settled_windows()
    begun_s, sent = processes.now_s, list[float]()

    for turn in range(1_000):
        processes.now_s = begun_s + turn / 100
        for each in (one, other):
            if each.has_room() and each.take():
                each.count_answer(0.0)
                sent.append(processes.now_s)

    assert len(sent) >= 45
    assert most_in_a_window(sent, 1.0) <= 5


@pytest.mark.redis
def test_room_for_several_is_what_all_processes_leave(redis_url: str) -> None:
    one, other = Processes(redis_url).settled_windows(5)
    assert one.take()
    assert one.take()

    assert other.has_room(3)
    assert not other.has_room(4)


@pytest.mark.redis
def test_what_is_under_way_in_one_process_counts_in_the_other(redis_url: str) -> None:
    """However long it takes; and for a second after its answer, as HubSpot may count it then."""
    processes = Processes(redis_url)
    one, other = processes.settled_windows(2)
    assert one.take()
    assert one.take()

    processes.now_s += 9
    one.count_answer(9.0)
    one.put_back()

    assert other.take()
    assert not other.has_room()
    assert not other.take()
    processes.now_s += 1.1
    assert other.has_room()


@pytest.mark.redis
def test_a_process_that_was_killed_holds_its_searches_for_as_long_as_a_call_takes(
    redis_url: str,
) -> None:
    processes = Processes(redis_url)
    assert processes.window(1).take()
    left = processes.window(1)

    processes.now_s += 13.0
    assert not left.has_room()
    processes.now_s += 1.1
    assert left.take()


def test_a_process_that_never_saw_redis_takes_the_smallest_share(
    caplog: pytest.LogCaptureFixture,
) -> None:
    config = HubSpotConfig(token="token", requests_per_window=160, window_s=60.0)
    url = "redis://127.0.0.1:1/0"
    alone = build_rate_budget(config, clock=time.monotonic, day=PortalDay(), redis_url=url)

    assert taken_now(alone, 30) == 10
    assert [record.message for record in caplog.records] == ["hubspot.shared_budget_lost"]


@pytest.mark.redis
@pytest.mark.parametrize("priority", [Priority.DESK, Priority.PEOPLE, Priority.ANONYMOUS], ids=str)
@pytest.mark.parametrize("shares", [{}, NOTHING_KEPT], ids=["shares", "nothing kept for anybody"])
def test_one_that_lost_redis_goes_on_once_it_hears_what_is_left(
    redis_url: str, shares: dict[str, float], priority: Priority
) -> None:
    """It had not asked for a while, and the window in which others may send lasts a minute."""
    address = urlsplit(redis_url)
    with Cuttable(address.hostname or "", address.port or 6379) as proxy:
        url = address._replace(netloc=f"127.0.0.1:{proxy.port}").geturl()
        one, _ = budgets(url, requests_per_window=160, **shares)
        proxy.cut()

        first = one.acquire(Deadline.after(30), priority=priority, search=False)
        first.report_answer(0.0, 159)

        assert taken_now(one, 4, priority) == 4


@pytest.mark.redis
def test_one_beyond_the_smallest_share_asks_a_redis_that_is_back(redis_url: str) -> None:
    """An answer finds it; how many share it was heard too long ago to go by."""
    address = urlsplit(redis_url)
    with Cuttable(address.hostname or "", address.port or 6379) as proxy:
        url = address._replace(netloc=f"127.0.0.1:{proxy.port}").geturl()
        processes = Processes(url)
        one, _ = processes.settled_windows(amount=60)
        one.has_room()
        proxy.cut()
        for _ in range(9):
            one.has_room()
            processes.now_s += 5.0
        one.has_room()
        processes.now_s += 4.9
        for _ in range(5):
            assert one.take()
            one.note_left(50)
            one.count_answer(0.0)
        assert one.take()

        proxy.mend()
        processes.now_s += 0.2
        one.count_answer(0.0)

        assert one.take()


class BrokenClient(Exception):
    """No error of Redis's."""


@pytest.mark.redis
def test_a_question_that_fails_oddly_leaves_nothing_counted(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _ = budgets(redis_url)

    def fail(*_: object, **__: object) -> None:
        raise BrokenClient

    with monkeypatch.context() as broken:
        broken.setattr(Script, "__call__", fail)
        for _ in range(10):
            with pytest.raises(BrokenClient):
                one.acquire(Deadline.after(30), priority=Priority.DESK, search=False)

    assert taken_now(one, 5) > 0


@pytest.mark.redis
@pytest.mark.parametrize(
    ("priority", "search"), [(Priority.DESK, True), (Priority.ANONYMOUS, False)], ids=str
)
def test_a_call_asks_redis_twice_however_many_windows_it_counts_in(
    redis_url: str, priority: Priority, *, search: bool
) -> None:
    config = HubSpotConfig(token=uuid.uuid4().hex)
    budget = build_rate_budget(config, clock=time.monotonic, day=PortalDay(), redis_url=redis_url)
    # The first call of a process hears what this Redis is called.
    budget.acquire(Deadline.after(30), priority=priority, search=search).report_answer(
        0.0, left=100
    )

    with Redis.from_url(redis_url) as client, client.monitor() as monitor:
        budget.acquire(Deadline.after(30), priority=priority, search=search).report_answer(0.0)
        end = uuid.uuid4().hex
        client.echo(end)
        asked = itertools.takewhile(
            lambda command: end not in command, (said["command"] for said in monitor.listen())
        )
        of_budget = [each for each in asked if config.budget_name in each]

    assert sum(each.startswith("EVALSHA") for each in of_budget) == 2


@pytest.mark.redis
def test_what_one_window_refuses_counts_in_none(redis_url: str) -> None:
    processes = Processes(redis_url)
    small, large = processes.settled_windows(amount=3)[0], processes.window(amount=5, name="large")
    large.has_room()
    processes.now_s += 100
    both = JointWindows((small, large))

    taken = [both.take() for _ in range(6)]

    assert taken == [True] * 3 + [False] * 3
    assert [large.take() for _ in range(4)] == [True, True, False, False]


def test_a_budget_opens_no_connection_and_starts_no_thread_before_it_is_used() -> None:
    before = set(threading.enumerate())

    build_rate_budget(
        HubSpotConfig(), clock=time.monotonic, day=PortalDay(), redis_url="redis://127.0.0.1:1/0"
    )

    assert set(threading.enumerate()) <= before


@pytest.mark.redis
def test_a_token_that_is_used_no_more_leaves_no_key_for_good(redis_url: str) -> None:
    config = HubSpotConfig(token=uuid.uuid4().hex)
    budget = build_rate_budget(config, clock=time.monotonic, day=PortalDay(), redis_url=redis_url)

    budget.acquire(Deadline.after(30), priority=Priority.DESK, search=True).report_answer(0.1)

    with Redis.from_url(redis_url) as client:
        left_s = {key: client.ttl(key) for key in client.scan_iter(f"*{config.budget_name}*")}
    assert len(left_s) > 0
    assert {key for key, left in left_s.items() if left == -1} == set()
