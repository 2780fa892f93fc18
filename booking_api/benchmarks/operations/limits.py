"""What an operation may cost at most, in calls and round trips, and how it must compare with the
old system in time, within one run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from booking_api.benchmarks.operations.catalogue import OPERATIONS
from booking_api.benchmarks.operations.measurement import System

NOTHING: Final[Mapping[str, int]] = MappingProxyType({"calls": 0, "round_trips": 0})
# One call more where nobody has asked who the student is.
MAX_COUNTS: Final[Mapping[tuple[str, System], Mapping[str, int]]] = MappingProxyType(
    {
        ("list, 0 bookings", "batched"): {"calls": 2, "round_trips": 2},
        ("list, 50 bookings", "batched"): {"calls": 5},
        **{
            (f"available, {exams} exams{words}", "batched"): {"round_trips": most}
            for exams in (20, 50, 200)
            for words, most in (("", 2), (", ids known", 1), (", realtime", 3))
        },
        ("create", "batched"): {"calls": 10},
        ("create", "cached"): {"calls": 9, "round_trips": 4},
        ("create", "feed"): {"calls": 9, "round_trips": 4},
        ("cancel", "batched"): {"calls": 7, "calls_in_all": 8, "round_trips": 5},
        ("cancel", "cached"): {"calls": 6, "calls_in_all": 7, "round_trips": 3},
        ("cancel", "feed"): {"calls": 6, "round_trips": 3},
        # Five, and one for each hundred of the bookings counted, four hundred of them.
        ("webhook, 50 events", "batched"): {"calls": 0, "calls_in_all": 9},
        ("webhook, 100 events", "batched"): {"calls": 0, "calls_in_all": 9},
        ("sync_capacity, 1,000 exams", "batched"): {"calls": 230},
    }
)
# Of writes, and of counts that are to be written.
ALWAYS_ASKED: Final = frozenset({"create", "cancel"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Ratio:
    """How the medians of an operation compare: `batched` of `naive` at most, or how many times as
    fast at least."""

    operation: str
    at_most: float | None = None
    times_as_fast: float | None = None


RATIOS: Final = (
    Ratio(operation="list, 50 bookings", at_most=0.05),
    Ratio(operation="available, 20 exams, realtime", at_most=0.08),
    Ratio(operation="available, 20 exams, ids known", times_as_fast=1.0),
    Ratio(operation="available, 20 exams, realtime", times_as_fast=1.5),
    Ratio(operation="cancel", times_as_fast=2.0),
)


def max_counts(operation: str, system: System) -> Mapping[str, int]:
    """Return the limits of an operation by the names of `Cost`'s counts; what is read again costs
    nothing."""
    is_read_again = system in {"cached", "feed"} and operation in READS
    return NOTHING if is_read_again else MAX_COUNTS.get((operation, system), {})


READS: Final = frozenset(
    operation.name
    for operation in OPERATIONS
    if not operation.name.startswith(("create", "cancel", "webhook", "sync_capacity"))
)
