"""What the numbers must be, and whether they are.

Times are judged as averages alone, and where the old system was played too, as a ratio in the same
run: on a machine that is busy with something else both are slow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tests.load.figures import Figures

MAX_AVERAGE_S = 0.3
MAX_CALLS, WINDOW_S = 190, 10.0
MIN_RATIO_OF_BOOKINGS = 20
MAX_COLD_CALLS, MIN_NAIVE_COLD_CALLS = 90, 10_000
MIN_HIT_RATE = 0.95
MAX_GROWTH = 1.05
READS = ("list", "available", "credits")


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """One number: what it is of, what it must be, what it is, in words; and whether that holds."""

    what: str
    wanted: str
    found: str
    holds: bool


Judge = Callable[[Figures, Figures | None], list[Check]]


def at_most(what: str, limit: float, found: float, unit: str = "") -> Check:
    return Check(
        what=what,
        wanted=f"at most {limit:g}{unit}",
        found=f"{found:.4g}{unit}",
        holds=found <= limit,
    )


def at_least(what: str, limit: float, found: float, unit: str = "") -> Check:
    return Check(
        what=what,
        wanted=f"at least {limit:g}{unit}",
        found=f"{found:.4g}{unit}",
        holds=found >= limit,
    )


def none_of(what: str, found: Sequence[str]) -> Check:
    shown = "none" if not found else f"{len(found)}: {found[0]}"
    return Check(what=what, wanted="none", found=shown, holds=not found)


def judge(name: str, ours: Figures, naive: Figures | None) -> list[Check]:
    """Return everything that a scenario must show."""
    return [*judge_all(ours), *OWN.get(name, judge_nothing)(ours, naive)]


def judge_all(ours: Figures) -> list[Check]:
    """What holds of every scenario whose HubSpot has its limits."""
    errors = [f"{kind}, {number} times" for kind, number in ours.errors.items()]
    checks = [
        none_of("answers that nobody expects", errors),
        at_most("requests without an answer", 0, ours.unanswered),
        none_of("promises broken", ours.broken),
    ]
    if not ours.lifted:
        checks += [
            at_most("calls that HubSpot refused (429)", 0, ours.limited),
            at_most("calls in any ten seconds", MAX_CALLS, ours.most_in_window),
        ]
    return checks


def judge_nothing(_ours: Figures, _naive: Figures | None) -> list[Check]:
    return []


def judge_average(ours: Figures, _naive: Figures | None) -> list[Check]:
    """Reads there must be: an average of none would be missed by nobody."""
    reads = {what: times for what, times in ours.times.items() if what in READS}
    return [
        at_least("reads answered", 1, sum(times.answers for times in reads.values())),
        *(
            at_most(f"average of {what}, in seconds", MAX_AVERAGE_S, times.average_s)
            for what, times in reads.items()
        ),
    ]


def judge_events(ours: Figures, naive: Figures | None) -> list[Check]:
    return [
        *judge_average(ours, naive),
        at_least("events delivered", 1, ours.numbers["events delivered"]),
        at_most("events that were not taken", 0, ours.numbers["events lost"]),
        at_most("rows of lists that are not so any more", 0, ours.numbers["stale rows"]),
    ]


def judge_morning(ours: Figures, naive: Figures | None) -> list[Check]:
    """The old system is held to the most that it could have booked within HubSpot's limit, had it
    had nothing else to do, and no search been slower: more than it did."""
    if naive is None:
        return []
    best = max(naive.numbers["bookings a minute"], naive.numbers["bookings a minute at best"])
    ratio = ours.numbers["bookings a minute"] / best
    return [
        at_least("bookings a minute, to the old system's", MIN_RATIO_OF_BOOKINGS, ratio, "-fold")
    ]


def judge_cold(ours: Figures, naive: Figures | None) -> list[Check]:
    checks = [
        at_least("lists answered", 1, sum(times.answers for times in ours.times.values())),
        at_most("calls to HubSpot for all", MAX_COLD_CALLS, ours.calls),
    ]
    if naive is not None:
        found = naive.numbers["calls that all would take"]
        checks.append(at_least("calls of the old system", MIN_NAIVE_COLD_CALLS, found))
    return checks


def judge_growth(ours: Figures, _naive: Figures | None) -> list[Check]:
    return [at_most("memory, to what it was at first", MAX_GROWTH, ours.numbers["growth"], "-fold")]


def judge_memory(ours: Figures, naive: Figures | None) -> list[Check]:
    served = at_most("requests that were not served", 0, ours.numbers["not served"])
    return [served, *judge_growth(ours, naive)]


def judge_warm(ours: Figures, naive: Figures | None) -> list[Check]:
    return [
        *judge_average(ours, naive),
        at_least("answers from the cache", MIN_HIT_RATE, ours.hit_rate),
    ]


OWN: Mapping[str, Judge] = {
    "listing": judge_average,
    "availability": judge_average,
    "events": judge_events,
    "morning": judge_morning,
    "cold": judge_cold,
    "soak": judge_growth,
    "memory": judge_memory,
    "warm": judge_warm,
}
