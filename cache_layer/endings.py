"""How entries end, and why a key that was held is held no more.

A backend tells of each entry that goes, with its age. What a process has seen end it remembers for
a while, by nothing but a number made of the key: so a miss has a reason. In a shared backend
another process may have seen it; then the reason is not known here, and the miss counts as cold.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from cache_layer.recent import Recent

MAX_REMEMBERED: Final = 10_000
"""Some 600 KiB; of these the half that ended first is forgotten together."""
MAX_TOLD_PER_STEP: Final = 1_000
"""Of a step that ends more, no backend tells all."""


class Ended(StrEnum):
    """Why an entry ended."""

    EXPIRED = "expired"
    EVICTED = "evicted"
    INVALIDATED = "invalidated"
    REPLACED = "replaced"


class MissReason(StrEnum):
    """Why a key was not served from the cache; an entry that ended says so itself (`Ended`)."""

    COLD = "cold"  # never seen to be held
    TOO_OLD = "too old"  # for the reader, who builds an entry from it
    UNREADABLE = "unreadable"
    BYPASS = "bypass"  # the cache was not asked


@dataclass(frozen=True, slots=True)
class Ending:
    """An entry that is gone, or was replaced; `age_s` is what it came to."""

    key: str
    family: str
    cause: Ended
    age_s: float


EndingsObserver = Callable[[Sequence[Ending]], None]


class Endings:
    """What this process knows of entries that ended; safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._causes: Recent[int, Ended] = Recent(MAX_REMEMBERED)
        self._observers: list[EndingsObserver] = []

    def observe(self, observer: EndingsObserver) -> None:
        self._observers.append(observer)

    def note(self, endings: Sequence[Ending]) -> None:
        """Remember these, and tell the observers."""
        with self._lock:
            for ending in endings:
                self._causes.hold(hash(ending.key), ending.cause)
        for observer in self._observers:
            observer(endings)

    def reason_of(self, key: str) -> str:
        """Return why a key is not held: how its last entry ended, else that it is cold."""
        return self.reasons_of([key])[0]

    def reasons_of(self, keys: Sequence[str]) -> list[str]:
        """Return the same of many keys, in their order."""
        with self._lock:
            return [self._causes.get(hash(key)) or MissReason.COLD for key in keys]
