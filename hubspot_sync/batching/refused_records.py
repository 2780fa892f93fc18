"""Records that HubSpot refuses for what they hold, and how their neighbours get through.

One such record refuses its whole batch. The first time it is found by halving, which costs a call
for each halving. Then it is known for ten minutes, and goes out in a call of its own, beside the
others' one.

What refuses many and accepts nobody is the request's fault, or the portal's: then nobody is
remembered, for sending everybody apart would not help.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from hubspot_sync.errors import HubSpotError, NotFound, Refused
from hubspot_sync.wire.deadlines import Monotonic
from hubspot_sync.wire.endpoints import Operation

KEPT_S: Final = 600.0
MAX_KEPT: Final = 1_000
"""More than this are not one record's fault any more; the oldest are forgotten first."""
MAX_REFUSED_READS: Final = 8
"""After so many records of a read refused one by one, and none accepted, no more are tried."""
FORBIDDEN: Final = 403
MIN_REFUSED_BY_PORTAL: Final = 2 * MAX_REFUSED_READS
"""So many refused, and none accepted, is not the records' fault."""

R = TypeVar("R")


@dataclass(frozen=True, kw_only=True, slots=True)
class CallKind:
    """What was refused: an operation on a type, or on a pair, or by a property. What refuses a
    record's update does not refuse its reading."""

    operation: Operation
    object_type: str
    detail: str = ""


class RefusedRecords:
    """Who was refused lately; safe to share between threads. Times are `clock`'s, in seconds."""

    def __init__(self, clock: Monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._until_s: OrderedDict[tuple[CallKind, str], float] = OrderedDict()

    def known_among(self, kind: CallKind, names: Collection[str]) -> frozenset[str]:
        """Return those of the names that were refused in the last ten minutes."""
        with self._lock:
            self._drop_old()
            # Mostly nobody was: then a hundred names need not be looked for.
            if not self._until_s:
                return frozenset()
            return frozenset(name for name in names if (kind, name) in self._until_s)

    def learn(self, kind: CallKind, *, refused: Collection[str], accepted: Collection[str]) -> None:
        """Remember who was refused, and forget who was accepted; "" is nobody's name."""
        by_portal = len(accepted) == 0 and len(refused) >= MIN_REFUSED_BY_PORTAL
        with self._lock:
            if self._until_s:
                for name in {*refused, *accepted}:
                    self._until_s.pop((kind, name), None)
            if not by_portal:
                until_s = self._clock() + KEPT_S
                self._until_s.update({(kind, name): until_s for name in refused if name != ""})
            self._drop_old()

    def _drop_old(self) -> None:
        """The first was remembered first, so it ends first."""
        while self._until_s:
            oldest = next(iter(self._until_s))
            if len(self._until_s) <= MAX_KEPT and self._until_s[oldest] > self._clock():
                return
            del self._until_s[oldest]


@dataclass(kw_only=True, slots=True)
class Sent(Generic[R]):
    """What became of the parts of a batch, which keys were refused each for itself, and which went
    through."""

    parts: list[R] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    accepted: list[str] = field(default_factory=list)


def send_around_culprits(
    keys: Sequence[str],
    send: Callable[[Sequence[str]], R],
    fail: Callable[[Sequence[str], HubSpotError], R],
    *,
    statuses: Collection[int],
    max_refused_first: int | None = None,
    common: Collection[str] = (),
) -> Sent[R]:
    """Send a batch; where HubSpot refuses it whole with one of `statuses`, find the culprits and
    let the others through. After `max_refused_first` culprits and nobody accepted, the rest is
    taken for refused too. A refusal for one of the properties `common` to all is nobody's own.

    Keys before `start` are done with. After a `refusal`, `keys[start:end]` is the shortest part
    that is known to hold a culprit.

    1. While nothing is suspected, all that is left goes out as one call.
    2. Of a suspected part, the first half goes. Accepted: the culprit is in the other half, which
       need not be tried whole. Refused: it is in this one.
    3. Down to one key, that is the culprit and gets the refusal.
    4. Where one was, more may follow: what is tried after it starts with one key, and doubles with
       each success.

    One culprit among n costs log2(n) calls and one for the keys behind it, on top of the first;
    n culprits cost about 2n.
    """
    sent: Sent[R] = Sent()
    start, end, max_half = 0, 0, len(keys)
    refusal: HubSpotError | None = None
    while start < len(keys):
        if refusal is not None and end - start == 1:
            sent.refused.append(keys[start])
            hopeless = len(sent.accepted) == 0 and len(sent.refused) == max_refused_first
            end = len(keys) if hopeless else end
            sent.parts.append(fail(keys[start:end], refusal))
            start, max_half, refusal = end, 1, None
            continue
        stop = len(keys) if refusal is None else start + min(max_half, (end - start) // 2)
        try:
            sent.parts.append(send(keys[start:stop]))
            sent.accepted.extend(keys[start:stop])
            start, max_half = stop, 2 * max_half
        except HubSpotError as error:
            if _may_be_one_record(error, statuses) and not _names_any(error, common):
                end, refusal = stop, error
            else:
                sent.parts.append(fail(keys[start:stop], error))
                start, refusal = stop, None
    return sent


def _names_any(error: HubSpotError, names: Collection[str]) -> bool:
    return isinstance(error, Refused) and not set(names).isdisjoint(error.property_names)


def _may_be_one_record(error: HubSpotError, statuses: Collection[int]) -> bool:
    """A 403 that names a property is about what was written, any other about our token."""
    if isinstance(error, Refused) and error.status == FORBIDDEN and len(error.property_names) > 0:
        return True
    return isinstance(error, Refused | NotFound) and error.status in statuses
