"""The gate before everything that is a student's: who does not prove to be one gets no further.

Whether a pair is right is asked before anything is stored, waits or is decided. The order:

1. A contact in the cache proves the pair: in, unless the address has tried far too many.
2. A pair that this process knows to have been right from this address is looked up without limits;
   where a booking is to be made or changed, one that any process knows, from the desk's share.
3. Where wrong pairs were named too often, only a pair that was right from this address before goes
   on; everybody else is told to wait.
4. A pair that was found to be wrong a moment ago is wrong.
5. Anything else is looked up, within the limits on guesses and on look-ups at once; one pair by one
   request at a time.

Both kinds of wrong pair, an e-mail nobody has and a student id that is not its owner's, go the same
way: one look in the cache and one call, or none. HubSpot failing is no answer about a pair: it is
passed on, and nothing is counted or remembered.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

from rest_framework.exceptions import Throttled
from rest_framework.request import Request

from booking_api import composition
from booking_api.api.context import RequestContext, context_of
from booking_api.api.guess_limits import GuessLimits, LookUpToken
from booking_api.api.proxies import client_address
from booking_api.pairs.look_ups import RETRY_AFTER_S, NoRoom
from booking_api.pairs.student_pairs import PairQuestion, StudentPairs
from booking_api.queries.query_context import QueryContext
from booking_api.rules.errors import WrongPair
from booking_api.rules.students import StudentPair
from hubspot_sync.errors import HubSpotError
from hubspot_sync.portal.records import Contact
from hubspot_sync.reading.student_pairs import PairRecall
from hubspot_sync.wire.call_context import Priority

LOOK_AGAIN_S: Final = 0.05
"""Other processes' look-ups end unheard."""
ANSWER_MARGIN_S: Final = 0.5


@dataclass(frozen=True, kw_only=True, slots=True)
class Admitted:
    """A student, and what their queries ask with."""

    pair: StudentPair
    contact: Contact
    query: QueryContext


def admit_student(request: Request, pair: StudentPair, *, tells_half: bool = False) -> Admitted:
    """Let a student in.

    Raises AuthFailed, or with `tells_half` StudentNotFound or EmailMismatch; Throttled; and
    HubSpotError. Until it has returned, the response says nothing of what the request cost.
    """
    context = context_of(request)
    context.hides_cost = True
    query = composition.query_context(context.call_context(), pair.email)
    context.built_from = query.reads.built_from
    question = PairQuestion(pair, query.reads, query.call, tells_half)
    services = composition.services()
    gate = _Gate(services.pairs, question, client_address(request))
    contact = gate.admit()
    services.seen.note(contact.id)
    context.is_authenticated = True
    context.hides_cost = False
    looked_up = frozenset({contact.id} if gate.has_looked_up else ())
    return Admitted(pair=pair, contact=contact, query=_as_student(query, context, looked_up))


def turn_away(request: Request, admitted: Admitted) -> None:
    """Take an admission back that rested on what the cache held: the desk read that the pair is
    right no more. The next request is not let in by it."""
    context = context_of(request)
    context.is_authenticated = False
    context.hides_cost = True
    pairs, address = composition.services().pairs, client_address(request)
    pairs.forget_contact(admitted.contact.id)
    pairs.right.forget(address, admitted.pair)
    GuessLimits(address, admitted.pair, pairs.look_ups).count_wrong()


def _as_student(
    query: QueryContext, context: RequestContext, looked_up: frozenset[str]
) -> QueryContext:
    """Return what the queries ask with once the caller is known."""
    call = replace(context.call_context(), looked_up=looked_up)
    return replace(query, call=call, fan_out=composition.services().client.fan_out_for(call))


class _Gate:
    """One request at the gate. `_is_known` says whether its pair was right from here before,
    `has_looked_up` whether HubSpot was asked for it."""

    def __init__(self, pairs: StudentPairs, question: PairQuestion, address: str) -> None:
        self._pairs = pairs
        self._question = question
        self._address = address
        self._is_known = False
        self.has_looked_up = False

    @cached_property
    def _limits(self) -> GuessLimits:
        """What most requests, whose pair the cache proves, never ask."""
        look_ups, pair = self._pairs.look_ups, self._question.pair
        return GuessLimits(self._address, pair, look_ups, writes=self._writes)

    def admit(self) -> Contact:
        contact = self._pairs.proves(self._question, self._pairs.recall(self._question))
        if contact is None:
            contact = self._find_out()
        else:
            self._check_that_it_is_no_guess()
        self._pairs.right.note(self._address, self._question.pair)
        return contact

    def _check_that_it_is_no_guess(self) -> None:
        """Raise Throttled where the pair was never right from here and very many were refused: who
        tries so many is not told which one the cache holds."""
        if not self._pairs.look_ups.is_suspected(self._address):
            return
        wait_s = self._limits.unheard_s()
        if wait_s > 0 and not self._pairs.right.was_right(self._address, self._question.pair):
            self._limits.count_unheard()
            raise Throttled(wait_s)

    def _find_out(self) -> Contact:
        if self._writes:
            # Without the database nothing can be booked: then HubSpot is not asked either.
            self._is_known = self._pairs.right.find_right(self._address, self._question.pair)
        self._check_limits()
        if self._is_known:
            return self._look_up()
        try:
            deadline = self._question.call.deadline
            with self._pairs.look_ups.enter(self._address, deadline, writes=self._writes):
                return self._look_up()
        except NoRoom:
            raise Throttled(RETRY_AFTER_S) from None

    @property
    def _writes(self) -> bool:
        return self._question.call.priority is Priority.UNPROVEN_WRITER

    def _check_limits(self) -> None:
        """Learn whether the pair was right from here, where that may be needed; raise Throttled
        where it was not, and too many were wrong."""
        pair, right = self._question.pair, self._pairs.right
        self._is_known = self._is_known or right.holds(self._address, pair)
        if self._is_known:
            return
        wait_s = self._limits.refused_here_s()
        if wait_s == 0:
            wait_s = self._limits.refused_everywhere_s()
            if wait_s == 0 or right.was_half_right(self._address, pair):
                return
        self._is_known = right.was_right(self._address, pair)
        if not self._is_known:
            self._limits.count_unheard()
            raise Throttled(wait_s)

    def _look_up(self) -> Contact:
        """Look the pair up, as soon as nobody else does and the limits allow it. What others find
        out meanwhile, about this pair or in the name of this address, may settle it."""
        while True:
            contact = self._try_look_up()
            if contact is not None:
                return contact
            if self._question.call.deadline.remaining_s() < ANSWER_MARGIN_S:
                raise Throttled(RETRY_AFTER_S)
            self._pairs.look_ups.wait_for_others(LOOK_AGAIN_S)
            self._check_limits()
            crowds = self._pairs.look_ups.crowds(self._address, writes=self._writes)
            if not self._is_known and crowds:
                raise NoRoom

    def _try_look_up(self) -> Contact | None:
        """Return the contact, or None where others have to be waited for."""
        with self._pairs.look_ups.alone(self._question.pair, writes=self._writes) as is_alone:
            # Again: whoever was looking it up until now has told the cache.
            recall = self._pairs.recall(self._question)
            contact = self._pairs.proves(self._question, recall)
            if contact is not None:
                return contact
            if recall.wrong is not None:
                raise self._count_wrong(recall)
            if not is_alone and recall.ticket is not None:
                return None
            with nullcontext(LookUpToken()) if self._is_known else self._limits.taking() as token:
                return None if token is None else self._look_up_once(recall, token)

    def _look_up_once(self, recall: PairRecall, token: LookUpToken) -> Contact:
        question = self._question
        if self._writes and self._is_known:
            question = replace(question, call=replace(question.call, priority=Priority.DESK))
        try:
            with self._pairs.look_ups.asking():
                contact = self._pairs.look_up(question, recall)
        except HubSpotError:
            token.give_back()
            raise
        if contact is None:
            raise self._count_wrong(recall)
        token.give_back()
        if not self._is_known:
            self._limits.count_right()
        self.has_looked_up = True
        return contact

    def _count_wrong(self, recall: PairRecall) -> WrongPair:
        """Count a wrong pair against guessing, and return the answer to it; raise HubSpotError
        where the answer could not be learnt."""
        self._limits.count_wrong()
        if self._is_known:
            self._pairs.right.forget(self._address, self._question.pair)
        if recall.wrong is not None:
            return self._pairs.refusal(self._question, recall.wrong)
        with self._pairs.look_ups.asking():
            return self._pairs.explain_wrong(self._question, recall)
