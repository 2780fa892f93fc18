"""How often wrong student pairs may be named: `THROTTLE_FAILED_PAIRS`, an amount in a period.

Wrong pairs are counted for their address; for their student id at that address; and, with
`ALL_ADDRESSES` times the amount, for their student id and for their e-mail wherever they come from.
A look-up takes a token before it begins and gives it back where the pair was right, so that no
number of guesses at once gets more look-ups than the amount. An address whose look-ups were right,
as a class's are, may have as many more at once; and one more may be for a booking, which does not
wait for the look-ups of readers.

Guesses that are refused unheard are counted, too: beyond `ALL_ADDRESSES` times the amount an
address is not even told what the cache knows, unless the pair was right from there. Else it could
try pairs as fast as it likes until one is let in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Final

from django.conf import settings

from booking_api.api.windows import SlidingWindow, Take
from booking_api.pairs.look_ups import LookUps
from booking_api.rules.students import StudentPair

ALL_ADDRESSES: Final = 10
MOST_ON_TRUST: Final = 500


@dataclass(slots=True)
class LookUpToken:
    """One look-up that may begin."""

    _undo: list[Callable[[], None]] = field(default_factory=list)

    def add(self, take: Take) -> None:
        self._undo.append(take.give_back)

    def give_back(self) -> None:
        """Count as if it had never been taken; the second time do nothing."""
        while self._undo:
            self._undo.pop()()


class GuessLimits:
    """The limits for one pair from one address."""

    def __init__(
        self, address: str, pair: StudentPair, look_ups: LookUps, *, writes: bool = False
    ) -> None:
        rate: tuple[int, int] | None = settings.THROTTLE_RATES["failed_pairs"]
        everywhere = trusted = None
        if rate is not None:
            amount, period_s = rate
            everywhere, trusted = (amount * ALL_ADDRESSES, period_s), (MOST_ON_TRUST, period_s)
        self._failed = SlidingWindow("failed_pairs", rate)
        self._failed_everywhere = SlidingWindow("failed_pairs_everywhere", everywhere)
        self._tokens = SlidingWindow("pair_look_ups", rate)
        self._right = SlidingWindow("right_look_ups", trusted)
        self._unheard = SlidingWindow("unheard_guesses", everywhere)
        self._period_s = 0 if rate is None else rate[1]
        self._address = address
        self._named_here = (address, f"{address} {pair.student_id}")
        self._named_anywhere = (f"id {pair.student_id}", f"email {pair.email}")
        self._look_ups = look_ups
        self._writes = writes

    def refused_here_s(self) -> float:
        """Return in how many seconds this address may name the pair again, 0 for now."""
        return max(self._failed.look(caller).retry_after_s for caller in self._named_here)

    def refused_everywhere_s(self) -> float:
        """Return in how many seconds addresses that nobody knows may name the pair again."""
        return max(
            self._failed_everywhere.look(caller).retry_after_s for caller in self._named_anywhere
        )

    def unheard_s(self) -> float:
        """Return in how many seconds this address is told again what the cache knows, 0 for now."""
        return self._unheard.look(self._address).retry_after_s

    def count_unheard(self) -> None:
        self._look_ups.suspect(self._address, self._period_s)
        self._unheard.add(self._address)

    def count_right(self) -> None:
        self._right.add(self._address)

    def count_wrong(self) -> None:
        for caller in self._named_here:
            self._failed.add(caller)
        for caller in self._named_anywhere:
            self._failed_everywhere.add(caller)

    @contextmanager
    def taking(self) -> Iterator[LookUpToken | None]:
        """Yield a token for one look-up, or None where the others of this address or student have
        to end first. It stays taken unless it is given back inside the block."""
        token = LookUpToken()
        address, student = self._named_here
        with ExitStack() as stack:
            of_student = self._tokens.take(student)
            if not of_student.granted:
                yield None
                return
            token.add(of_student)
            of_address = self._tokens.take(address)
            token.add(of_address)
            if not of_address.granted:
                at_most = self._right.count(address) + (1 if self._writes else 0)
                on_trust = self._look_ups.on_trust(address, at_most)
                if not stack.enter_context(on_trust):
                    token.give_back()
                    yield None
                    return
            yield token
