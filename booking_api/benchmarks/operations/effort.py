"""How long each operation is repeated, and how far away HubSpot is meanwhile."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from booking_api.benchmarks.operations.catalogue import Operation
from booking_api.benchmarks.operations.measurement import Sample


@dataclass(frozen=True, kw_only=True, slots=True)
class Effort:
    """An operation is repeated for `repeat_s`, at least `least` times where that takes no more than
    `patience_s`, at most `most` times or as often as it can be. Unless `limited`, HubSpot's limits
    are lifted: where nothing but calls is counted."""

    latency_ms: float = 100.0
    repeat_s: float = 0.8
    patience_s: float = 20.0
    least: int = 3
    most: int = 20
    limited: bool = True

    def times(self, operation: Operation) -> int:
        return min(operation.times, self.most)


@dataclass(slots=True)
class Repetitions:
    """The numbers of the repetitions to make; whoever makes one adds its sample."""

    effort: Effort
    most: int
    samples: list[Sample] = field(default_factory=list)

    def __iter__(self) -> Iterator[int]:
        started_s = time.monotonic()
        for number in range(self.most):
            passed_s = time.monotonic() - started_s
            is_enough = number >= self.effort.least and passed_s > self.effort.repeat_s
            is_long = number > 0 and passed_s > self.effort.patience_s
            if is_enough or is_long:
                return
            yield number
            # Another try would bring no answer either, and take as long.
            if self.samples[-1].failure != "":
                return
