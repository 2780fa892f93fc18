"""Limits that several processes share through Redis, and what each may send while it is away.

Redis counts by its own clock, in one step. What it said last is remembered: how many processes
there are, and how much was left. Without it a process goes on with its share, of what was left
until the window is over in which others may have used the rest, and then of the whole. Where it
does not know how many others there are, or has not heard for too long, it takes the smallest
share. A Redis that is back may remember nothing: each process tells it anew what it has sent, and
all keep to their shares until the last of them can have done so, and begin with few: the answers
tell what others have used who say nothing because they send nothing. So does one that has just
begun, which cannot know whether Redis has forgotten, until HubSpot has said how many are left: then
Redis counts in what it has not heard of.

Not locked: whoever holds the limits does that. Who goes next is `rate_budget.py`'s.
"""

from __future__ import annotations

import math
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from hubspot_sync.wire.limits.rate_windows import TRANSIT_ALLOWANCE_S, UNKNOWN_WAIT_S, cut
from hubspot_sync.wire.limits.shared_redis import SMALLEST_SHARE, Said, SharedRedis
from hubspot_sync.wire.limits.window_scripts import (
    COUNT_ANSWER,
    LOOK_AGAIN_S,
    TAKE,
    TELL,
)

COUNTED_FOR_S: Final = 60.0
"""So long after its last call a process counts as one of those that share. A serving process makes
one in a quarter of a minute, if only to see whether HubSpot is there."""
MAX_NEWS_S: Final = 0.5
"""How long it is good what Redis said was left."""
MAX_ASKED: Final = 2
KEPT_BACK: Final = 0.1
"""The part of a window that nobody uses knowingly: for the calls of those who do not know how much
is left, and for what others send at the same moment. Each server cut off from Redis or waking from
a long sleep may send a few; the chaos suite saw up to 14 beside a full window."""


@dataclass(eq=False, slots=True)
class _Sent:
    name: str
    answered_s: float | None = None


class SharedArrivals:
    """At most `amount` arrivals of several processes in any `window_s`, in Redis and by its clock.

    What `ArrivalWindow` is for one process. What a process sent that was killed counts as under way
    for `under_way_s`. `is_part` says that it is a part of a window that is kept besides, and that
    is told how many are left. `now_s` is another clock than Redis's, in seconds.
    """

    def __init__(
        self,
        name: str,
        amount: int,
        window_s: float,
        shared: SharedRedis,
        *,
        under_way_s: float,
        is_part: bool = False,
        now_s: Callable[[], float] | None = None,
    ) -> None:
        self.keys = shared.keys_of(f"{name}-{window_s:g}")
        self._amount, self._window_s, self._under_way_s = amount, window_s, under_way_s
        self._kept_back = int(amount * KEPT_BACK)
        self._is_part = is_part
        self.shared = shared
        self._now_s = now_s
        self._sent: deque[_Sent] = deque()
        self._told = shared.times_forgotten
        self._left: tuple[int, float] | None = None
        self._alone_since_s: float | None = None
        self._allowance = 0
        self._is_unsure = False
        self._used_up_at_s = -math.inf
        self._known_left: int | None = None
        self._told_left: int | None = None

    def has_room(self, calls: int = 1) -> bool:
        return have_room((self,), calls)

    def take(self) -> bool:
        return take_together((self,))

    def put_back(self) -> None:
        # Which of those under way it was is all the same: they count alike.
        sent = self._oldest_under_way()
        self._sent.remove(sent)
        self._allowance += 1
        if self._known_left is not None:
            self._known_left += 1
        self.shared.ask(lambda: self.shared.redis.zrem(self.keys[0], sent.name))

    def count_answer(self, took_s: float) -> None:  # noqa: ARG002 - the time is Redis's
        count_together((self,))

    def note_left(self, left: int) -> None:
        """HubSpot says that so many are left, for all who share it. Said before the call's end is
        counted: it may not know yet of the others under way."""
        self._told_left = left
        self.shared.has_been_told_left = self.shared.is_told = True
        left = max(0, left - self._kept_back)
        if left == 0:
            self._used_up_at_s = self.shared.clock()
        if self._alone_since_s is not None:
            others = sum(sent.answered_s is None for sent in self._sent) - 1
            self._known_left = max(0, left - others)
            if self._is_unsure:
                self._allowance, self._is_unsure = self._share_of_left(self._known_left), False
            self._allowance = min(self._allowance, self._share_of_left(left))

    def min_wait_s(self, ahead: int) -> float:  # noqa: ARG002 - Redis is asked, not reckoned
        """Others fill it too."""
        return UNKNOWN_WAIT_S

    def may_go_alone(self) -> bool:
        """Say whether one more may be sent while Redis is away."""
        return self.is_within_share() and self._may_send_alone()

    def heed(self, left: int) -> None:
        """Redis says that so many are left."""
        self._left, self._alone_since_s = (left, self.shared.clock()), None

    def note_sent(self, name: str) -> None:
        while len(self._sent) > 0 and self._age_s(self._sent[0]) > self._window_s:
            self._sent.popleft()
        self._sent.append(_Sent(name))
        self._allowance -= 1
        if self._known_left is not None:
            self._known_left -= 1

    def end_oldest(self) -> tuple[str | int, ...]:
        """Note that a call was answered; return what Redis is told of it: who, the window, how many
        HubSpot says are left, and of how many."""
        sent = self._oldest_under_way()
        sent.answered_s = self.shared.clock()
        left, self._told_left = self._told_left, None
        told = "" if left is None else left
        return sent.name, _microseconds(self._window_s), told, self._amount

    def sizes(self) -> tuple[int, int, int]:
        """Return window, amount and time under way, as Redis is told: times in microseconds."""
        window, under_way = _microseconds(self._window_s), _microseconds(self._under_way_s)
        return window, self._amount - self._kept_back, under_way

    def now(self) -> str | int:
        """Return the time in microseconds where Redis's is not meant, else nothing."""
        return "" if self._now_s is None else _microseconds(self._now_s())

    def tell_what_was_sent(self) -> None:
        """Tell a Redis that may have forgotten; raise RedisError."""
        shared, forgotten = self.shared, self.shared.times_forgotten
        if self._told != forgotten or shared.lost_at_s is not None:
            window, _, under_way = self.sizes()
            shared.run(TELL, self.keys, [self.now(), window, under_way, *self._list_sent()])
            self._told = forgotten

    def is_within_share(self) -> bool:
        """Whether this process alone has sent less than its share within the window, and has no
        more under way than may be beside a full one: others may have used it up, which HubSpot's
        answers tell. Without Redis they may be using it up at the same moment."""
        recent = sum(self._age_s(sent) <= self._window_s for sent in self._sent)
        if recent >= self.shared.share_of(self._amount):
            return False
        under_way = sum(sent.answered_s is None for sent in self._sent)
        if self.shared.lost_at_s is not None and self._kept_back > 0:
            return under_way < max(1, self.shared.share_of(self._kept_back))
        return self.shared.is_told or under_way < cut(self._amount, SMALLEST_SHARE)

    def _may_send_alone(self) -> bool:
        """Whether what others may have sent, before they too went on alone, leaves room for one."""
        shared = self.shared
        if self._alone_since_s != shared.lost_at_s:
            self._alone_since_s, self._is_unsure = shared.lost_at_s, False
            self._allowance = self._share_of_what_was_left()
            self._known_left = None
        if shared.clock() - self._used_up_at_s < LOOK_AGAIN_S:
            return False
        if self._allowance > 0:
            return True
        alone_s = shared.clock() - (self._alone_since_s or 0.0)
        return alone_s > self._window_s + TRANSIT_ALLOWANCE_S and self._is_left_for_sure()

    def _is_left_for_sure(self) -> bool:
        """Whether HubSpot has said that more are left than may have been sent since. Where it has
        said nothing yet, or nothing that still holds, one goes to hear it."""
        if self._known_left is not None and self._known_left > 0:
            return True
        return all(sent.answered_s is not None for sent in self._sent)

    def _share_of_what_was_left(self) -> int:
        if not self.shared.has_been_heard or self._left is None:
            return self.shared.share_of(self._amount)
        left, said_s = self._left
        if self.shared.clock() - said_s <= MAX_NEWS_S:
            return self._share_of_left(left)
        if self._is_part:
            return self.shared.share_of(self._amount)
        self._is_unsure = True
        return 1  # its answer says how many are left

    def _share_of_left(self, left: int) -> int:
        return 0 if left <= 0 else self.shared.share_of(left)

    def _oldest_under_way(self) -> _Sent:
        return next(sent for sent in self._sent if sent.answered_s is None)

    def _list_sent(self) -> Iterator[str | int]:
        """Yield name and age, in microseconds, of all this process sent that still counts; those
        under way will for so much longer."""
        for sent in self._sent:
            age_s = self._age_s(sent)
            if age_s <= self._window_s:
                yield sent.name
                yield _microseconds(age_s)

    def _age_s(self, sent: _Sent) -> float:
        if sent.answered_s is None:
            return -self._under_way_s
        return self.shared.clock() - sent.answered_s


@dataclass(frozen=True, slots=True)
class JointWindows:
    """Windows of one Redis that a call counts in, each with one question for all of them."""

    takes_at_once: ClassVar[bool] = True
    windows: tuple[SharedArrivals, ...]

    def has_room(self, calls: int = 1) -> bool:
        return have_room(self.windows, calls)

    def take(self) -> bool:
        return take_together(self.windows)

    def put_back(self) -> None:
        for window in self.windows:
            window.put_back()

    def count_answer(self, took_s: float) -> None:  # noqa: ARG002 - the time is Redis's
        count_together(self.windows)

    def min_wait_s(self, ahead: int) -> float:
        return max(window.min_wait_s(ahead) for window in self.windows)


def have_room(windows: Sequence[SharedArrivals], calls: int) -> bool:
    """Return whether so many more may be sent in all of these windows of one Redis. Without it,
    that is known of one alone."""
    shared = windows[0].shared
    said = shared.ask(lambda: _ask_for(windows, [""] * len(windows)))
    if said is None:
        return all(window.may_go_alone() for window in windows)
    shared.note(said)
    _heed(windows, said)
    if min(said.left) < calls:
        return False
    return not shared.holds_to_share or _are_within_share(windows)


def take_together(windows: Sequence[SharedArrivals]) -> bool:
    """Count one more in all of these windows of one Redis, in one step; return False, and count
    nothing, where there is no room for it in one of them."""
    shared = windows[0].shared
    names = [uuid.uuid4().hex for _ in windows]
    for _ in range(MAX_ASKED):
        holds_back = shared.holds_to_share and not _are_within_share(windows)
        # What its share is may have been heard too long ago: Redis is asked, or never would be.
        if holds_back and not have_room(windows, 1):
            return False
        forgotten = shared.times_forgotten
        said = shared.ask(lambda: _ask_for(windows, names))
        if said is None:
            if not all(window.may_go_alone() for window in windows):
                return False
        else:
            shared.note(said)
            _heed(windows, said)
            if not said.granted:
                return False
        if said is None or shared.times_forgotten == forgotten:
            for window, name in zip(windows, names, strict=True):
                window.note_sent(name)
            return True
        # It knew nothing of what this process has sent: it is told, and asked again.
        shared.ask(lambda: _take_back(windows, names))
    return False


def count_together(windows: Sequence[SharedArrivals]) -> None:
    """Note in all of these windows of one Redis that a call was answered."""
    told = [argument for window in windows for argument in window.end_oldest()]
    keys = [key for window in windows for key in window.keys]
    shared, now = windows[0].shared, windows[0].now()
    shared.ask(lambda: shared.run(COUNT_ANSWER, keys, [now, *told]))


def _ask_for(windows: Sequence[SharedArrivals], names: Sequence[str]) -> Said:
    """Ask whether one more may be sent; whoever has a name is counted then. Raise RedisError."""
    for window in windows:
        window.tell_what_was_sent()
    shared = windows[0].shared
    keys = [*shared.common_keys, *(key for window in windows for key in window.keys)]
    arguments: list[str | int] = [windows[0].now(), uuid.uuid4().hex, shared.process]
    arguments.append(_microseconds(COUNTED_FOR_S))
    for window, name in zip(windows, names, strict=True):
        arguments += [*window.sizes(), name]
    granted, left, processes, called = shared.run(TAKE, keys, arguments)
    return Said(bool(granted), left, processes, called)


def _are_within_share(windows: Sequence[SharedArrivals]) -> bool:
    return all(window.is_within_share() for window in windows)


def _heed(windows: Sequence[SharedArrivals], said: Said) -> None:
    for window, left in zip(windows, said.left, strict=True):
        window.heed(left)


def _take_back(windows: Sequence[SharedArrivals], names: Sequence[str]) -> None:
    for window, name in zip(windows, names, strict=True):
        window.shared.redis.zrem(window.keys[0], name)


def _microseconds(seconds: float) -> int:
    return round(seconds * 1_000_000)
