"""Who may use a student pair: all that one process knows of pairs, and asks HubSpot.

Where the cache holds a contact that both halves name, the pair is right and nobody is asked.
Everything else is read anew, in one call shared with others, whichever half is wrong; a wrong pair
is then remembered for a moment.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from booking_api.pairs.digests import Digests
from booking_api.pairs.look_ups import LookUps
from booking_api.pairs.right_pairs import RightPairs
from booking_api.rules.errors import AuthFailed, EmailMismatch, StudentNotFound, WrongPair
from booking_api.rules.students import StudentPair, is_theirs
from hubspot_sync.portal.records import Contact
from hubspot_sync.reading.cached_portal import FamilyReads
from hubspot_sync.reading.student_pairs import PairReads, PairRecall
from hubspot_sync.wire.call_context import CallContext

ID_KNOWN: Final = "id known"
ID_UNKNOWN: Final = "id unknown"
NOT_ASKED: Final = ""
"""What is noted of a wrong pair: whether some student has that id."""


@dataclass(frozen=True, slots=True)
class PairQuestion:
    """One request's question whether a pair is right, and what answering it may use.

    With `tells_half` the answer says which half was wrong, as the credit check's does."""

    pair: StudentPair
    reads: FamilyReads
    call: CallContext
    tells_half: bool = False


class StudentPairs:
    """One process's knowledge of pairs; `right` and `look_ups` are its memory and its bounds."""

    def __init__(
        self, pair_reads: PairReads, digests: Digests, right: RightPairs, look_ups: LookUps
    ) -> None:
        self._reads = pair_reads
        self._digests = digests
        self.right = right
        self.look_ups = look_ups

    def recall(self, question: PairQuestion) -> PairRecall:
        """Return what the cache holds; nothing is loaded and nothing raised."""
        digest = self._digests.of_pair(question.pair)
        recall = self._reads.recall(question.pair.email, digest, question.reads)
        if question.tells_half and recall.wrong == NOT_ASKED:
            return PairRecall(contact=recall.contact, ticket=recall.ticket)
        return recall

    def proves(self, question: PairQuestion, recall: PairRecall) -> Contact | None:
        """Return the contact where what is held proves the pair right."""
        contact = recall.contact
        return contact if contact is not None and is_theirs(contact, question.pair) else None

    def refusal(self, question: PairQuestion, note: str) -> WrongPair:
        """Return the answer to a wrong pair."""
        if not question.tells_half:
            return AuthFailed()
        return EmailMismatch() if note == ID_KNOWN else StudentNotFound()

    def look_up(self, question: PairQuestion, recall: PairRecall) -> Contact | None:
        """Ask HubSpot, and return the contact both halves name, or None; raise HubSpotError."""
        contact = self._reads.read_contact(
            question.pair.email, recall, question.reads, question.call
        )
        if contact is None or not is_theirs(contact, question.pair):
            return None
        self._reads.keep_contact(recall, question.pair.email, contact)
        return contact

    def explain_wrong(self, question: PairQuestion, recall: PairRecall) -> WrongPair:
        """Return the answer to a pair that was just looked up and is wrong, and remember it; raise
        HubSpotError where the answer has to say more and that could not be learnt."""
        digest = self._digests.of_pair(question.pair)
        note = NOT_ASKED
        if question.tells_half:
            known = question.reads.student_exists(question.pair.student_id, question.call)
            note = ID_KNOWN if known else ID_UNKNOWN
        self._reads.keep_wrong(recall, digest, note)
        return self.refusal(question, note)

    def forget_contact(self, contact_id: str) -> None:
        """Drop what the cache holds of a contact that turned out to be another student by now."""
        self._reads.forget_contact(contact_id)
