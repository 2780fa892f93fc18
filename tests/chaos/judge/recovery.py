"""How soon after each fault somebody's booking was made again.

A time says something of a fault only where nothing else keeps people from booking meanwhile: no
other fault that hinders them is under way, or has not been recovered from, and nobody can have had
to wait for HubSpot's budget. That is decided by the faults' own times and by the call log, so that
nobody has to choose which times count.
"""

from __future__ import annotations

import bisect
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.chaos.judge.rates import WINDOW_S, find_most_in_window
from tests.chaos.judge.verdicts import Verdict
from tests.chaos.people.front import Deed

CREATE = "batch_create"
BUDGET = "HubSpot's budget"


@dataclass(frozen=True, slots=True)
class Happened:
    """A fault as it was: begun and lifted (monotonic seconds), and from when recovery counts. The
    next booking is promised within `max_recovery_s`, where that is said. One that `hinders` may
    keep everybody from booking until it is recovered from."""

    name: str
    begun_s: float
    lifted_s: float
    counts_from_s: float
    max_recovery_s: float | None = None
    hinders: bool = False


@dataclass(frozen=True, slots=True)
class Recovery:
    """How long the next booking took, None where none came; `beside` are the other faults that kept
    people from booking in the time that is promised, or until then."""

    happened: Happened
    took_s: float | None
    beside: Sequence[str] = ()

    @property
    def counts(self) -> bool:
        return self.happened.max_recovery_s is not None and not self.beside


def time_recoveries(
    happened: Sequence[Happened],
    deeds: Sequence[Deed],
    calls: Sequence[Mapping[str, Any]],
    bookings_type: str,
    share: int,
) -> list[Recovery]:
    """Time all faults of a run: from when a fault counts to the first answer to a create for whose
    booking HubSpot was asked since. So neither a booking that was made before, and is answered
    now, nor one that is answered again is a recovery. One server may have to wait for its `share`
    of the budget where as many calls came within a window."""
    ahead_s = time.time() - time.monotonic()  # the sandbox's clock is the wall's
    sent = sorted(float(call["at"]) - ahead_s for call in calls)
    asked = sorted(
        float(call["at"]) - ahead_s
        for call in calls
        if call["operation"].endswith(CREATE) and call["object_type"] == bookings_type
    )
    answered = sorted(deed.ended_s for deed in deeds if deed.what == "create" and deed.is_served)
    taken = [_time_next(each, asked, answered) for each in happened]
    return [
        Recovery(each, took_s, _list_beside(each, happened, taken, sent, share))
        for each, took_s in zip(happened, taken, strict=True)
    ]


def _time_next(
    happened: Happened, asked: Sequence[float], answered: Sequence[float]
) -> float | None:
    first = bisect.bisect_left(asked, happened.counts_from_s)
    if first == len(asked):
        return None
    after = bisect.bisect_left(answered, asked[first])
    return None if after == len(answered) else answered[after] - happened.counts_from_s


def _list_beside(
    one: Happened,
    happened: Sequence[Happened],
    taken: Sequence[float | None],
    sent: Sequence[float],
    share: int,
) -> list[str]:
    """Return what hindered it besides, by the time from its counting to what is promised of it."""
    until_s = one.counts_from_s + (one.max_recovery_s or 0.0)
    most = find_most_in_window([at for at in sent if one.counts_from_s - WINDOW_S < at < until_s])
    budget = [BUDGET] if most >= share else []
    return budget + [
        other.name
        for other, took_s in zip(happened, taken, strict=True)
        if other is not one
        and other.hinders
        and other.begun_s < until_s
        and _recovered_s(other, took_s) > one.counts_from_s
    ]


def _recovered_s(happened: Happened, took_s: float | None) -> float:
    recovered_s = math.inf if took_s is None else happened.counts_from_s + took_s
    return max(recovered_s, happened.lifted_s)


def judge_recoveries(recoveries: Sequence[Recovery], worked_until_s: float = math.inf) -> Verdict:
    """Each fault's next booking comes in the time that is promised of it; nobody books any more
    after `worked_until_s`."""
    counting = [
        each
        for each in recoveries
        if each.counts and each.happened.counts_from_s + _limit_s(each) <= worked_until_s
    ]
    broken = [
        f"{each.happened.name}: "
        + ("none" if each.took_s is None else f"after {each.took_s:.1f} s")
        + f", not {_limit_s(each):.0f} s"
        for each in counting
        if each.took_s is None or each.took_s > _limit_s(each)
    ]
    return Verdict("the next booking is soon made", len(counting), broken)


def judge_timing(recoveries: Sequence[Recovery]) -> Verdict:
    """What was done only to be timed is timed: beside nothing that takes its time's meaning."""
    broken = [
        f"{each.happened.name}: beside {', '.join(each.beside)}"
        for each in recoveries
        if each.happened.max_recovery_s is not None and not each.counts
    ]
    return Verdict("each time that is promised is judged", len(recoveries), broken)


def _limit_s(recovery: Recovery) -> float:
    limit_s = recovery.happened.max_recovery_s
    return math.inf if limit_s is None else limit_s
