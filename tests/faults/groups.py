"""Requests served as one group: the desk is held up until all of them wait."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from pytest_django import Settings
from requests import PreparedRequest

from booking_api import composition
from booking_api.desk.config import DeskConfig
from hubspot_sync.errors import RateLimited
from hubspot_sync.wire.call_context import Priority
from hubspot_sync.wire.deadlines import Deadline
from hubspot_sync.wire.limits.rate_budget import Slot
from tests.api import Api, Reply, connected
from tests.faults.rest import ForwardClock, wait_for_queue, wait_until_idle
from tests.faults.watched_sender import WatchedSender
from tests.sandbox import SandboxHandle
from tests.waiting import eventually

MAX_WAIT_S = 40.0

Deed = Callable[[], Reply]


@dataclass(slots=True)
class Group:
    """Requests under way in threads of their own, in the order of the deeds."""

    threads: list[threading.Thread]
    replies: list[Reply | None]

    def wait_for_replies(self) -> list[Reply]:
        for thread in self.threads:
            thread.join(MAX_WAIT_S)
        assert None not in self.replies, "a request was never answered"
        return [reply for reply in self.replies if reply is not None]


@dataclass(frozen=True, slots=True)
class Stuck:
    """A call that is not sent before it is told to."""

    reached: threading.Event = field(default_factory=threading.Event)
    told: threading.Event = field(default_factory=threading.Event)

    def wait_for_it(self) -> None:
        """Return once the call is about to be sent."""
        assert self.reached.wait(MAX_WAIT_S)

    def go_on(self) -> None:
        self.told.set()


@dataclass(slots=True)
class DeskUnderTest:
    """The API in this process and its desk, whose clock the test puts forward."""

    api: Api
    clock: ForwardClock = field(default_factory=ForwardClock)
    sender: WatchedSender = field(default_factory=WatchedSender)
    let_go: Callable[[], None] = lambda: None
    """Lets a desk that is held up go on before its block ends."""

    @contextmanager
    def held_up(self) -> Iterator[None]:
        """The desk serves nobody inside the block."""
        begun, over = threading.Event(), threading.Event()

        def hold(_: object) -> None:
            begun.set()
            over.wait(MAX_WAIT_S)

        composition.services().booking.desk.run(hold)
        assert begun.wait(MAX_WAIT_S)
        self.let_go = over.set
        try:
            yield
        finally:
            over.set()

    @contextmanager
    def stuck(self, path: str) -> Iterator[Stuck]:
        """Inside the block the first call to `path` waits; it goes on at the end at the latest."""
        first, call = threading.Lock(), Stuck()

        @contextmanager
        def hold(request: PreparedRequest) -> Iterator[None]:
            if request.path_url.endswith(path) and first.acquire(blocking=False):
                call.reached.set()
                assert call.told.wait(MAX_WAIT_S)
            yield

        with self.sender.watched(hold):
            try:
                yield call
            finally:
                call.go_on()

    def begin(self, deeds: Sequence[Deed]) -> Group:
        """Have the deeds' requests arrive one after the other; the desk is to be held up."""
        replies: list[Reply | None] = [None] * len(deeds)

        def do(place: int, deed: Deed) -> None:
            replies[place] = deed()

        threads = [threading.Thread(target=do, args=each) for each in enumerate(deeds)]
        for number, thread in enumerate(threads, start=1):
            thread.start()
            wait_for_queue(number)
        return Group(threads, replies)

    def begin_one(self, deed: Deed) -> Group:
        """Have the deed's request made in a thread of its own; the desk serves it at once."""
        replies: list[Reply | None] = [None]

        def do() -> None:
            replies[0] = deed()

        thread = threading.Thread(target=do)
        thread.start()
        return Group([thread], replies)

    def outlast(self, deed: Deed, call: Stuck | None = None) -> Reply:
        """Have the deed's request made, and its deadline pass while it waits for the desk: once the
        call is about to be sent, where one is named."""
        group = self.begin_one(deed)
        if call is not None:
            call.wait_for_it()
        self.pass_deadlines()
        (reply,) = group.wait_for_replies()
        return reply

    def outlast_turn(self, deed: Deed) -> Reply:
        """Have the deed's request made, and its deadline pass once the desk has had a turn at it:
        what could not be done is put off, and what waits for another request was passed over."""
        group, desk = self.begin_one(deed), composition.services().booking.desk
        eventually(lambda: len(desk._queue.waited_for) > 0)
        for _ in range(2):  # the first one may belong to a round that began before
            desk.run(lambda _: None).result(MAX_WAIT_S)
        self.pass_deadlines()
        (reply,) = group.wait_for_replies()
        return reply

    def pass_deadlines(self) -> None:
        """Let go who waits for the desk. No deadline is short in earnest: a slow machine would pass
        it before it waits."""
        queue = composition.services().booking.desk._queue
        eventually(lambda: len(queue.waited_for) > 0)
        queue.release(queue.waited_for)

    def wait_until_idle(self) -> None:
        """Return once the group under way is done, and nothing is left to do."""
        services = composition.services()
        services.booking.desk.run(lambda _: None).result(MAX_WAIT_S)
        left = wait_until_idle(services, self.clock, hurry=True)
        assert len(left) == 0, left


@contextmanager
def running_desk(
    settings: Settings, sandbox: SandboxHandle, config: DeskConfig | None = None, **hubspot: object
) -> Iterator[DeskUnderTest]:
    """An API before the sandbox whose calls are made once only, unless told otherwise."""
    settings.DESK = config or DeskConfig()
    settings.THROTTLE_RATES = dict.fromkeys(settings.THROTTLE_RATES)
    chosen = {"max_attempts": 1, "breaker_failures": 1_000, "requests_per_window": 100_000}
    with connected(settings, sandbox, **{**chosen, **hubspot}) as api:
        desk = DeskUnderTest(api)
        composition.use_clocks(desk.clock.clocks)
        composition.use_sender(desk.sender)
        try:
            yield desk
        finally:
            composition.use_clocks(composition.REAL_TIME)
            composition.use_sender(None)


def use_up_everything(*, but: int = 0) -> None:
    """Take all calls that this process may make now, but for so many."""
    budget = composition.services().client.rate_budget
    slots: list[Slot] = []
    while True:
        try:
            slots.append(budget.acquire(Deadline.after(0), priority=Priority.DESK, search=False))
        except RateLimited:
            break
    for number, slot in enumerate(slots):
        if number < but:
            slot.report_unused()
        else:
            slot.report_answer(0.0)
