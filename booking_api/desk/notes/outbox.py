"""The outbox: notes for contacts' timelines, written with the journal, sent once, in batches.

A note has no unique property. One whose sending was cut off, or whose sender was killed, is looked
for on the timeline before it is sent again; its body has a reference no other note has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

import structlog

from booking_api.desk.errors import is_about_missing, is_final_refusal, storable_text
from booking_api.desk.journal.models import NoteState, OutboxNote
from hubspot_sync.background.backoff import backoff
from hubspot_sync.background.isolation import do_apart
from hubspot_sync.background.worker import Worker
from hubspot_sync.batching.batch import Created, CreateOutcome, NotCreated
from hubspot_sync.errors import HubSpotError
from hubspot_sync.wire.call_context import CallContext, Priority
from hubspot_sync.wire.call_log import CallMeter
from hubspot_sync.wire.deadlines import Deadline
from hubspot_sync.writing.authoritative_reads import AuthoritativeReads
from hubspot_sync.writing.portal_writes import NewNote, PortalWrites

MAX_PER_CALL: Final = 100
"""HubSpot's batch (hubspot-facts, Objects)."""
DEADLINE_S: Final = 30.0
CLAIM_DURATION: Final = timedelta(seconds=DEADLINE_S + 30)
POLL_INTERVAL_S: Final = 10.0
FIRST_RETRY_S: Final = 2
MAX_RETRY_S: Final = 900

log = structlog.get_logger(__name__)


class Outbox:
    """Sends notes in a thread of its own; several processes may, no note is two processes'."""

    def __init__(
        self, writes: PortalWrites, evidence: AuthoritativeReads, now: Callable[[], datetime]
    ) -> None:
        self._writes = writes
        self._evidence = evidence
        self._now = now
        self.worker = Worker("outbox", self.send_due)

    def send_due(self) -> float:
        """Send the notes that are due, up to a hundred; return for how many seconds to rest, none
        where any were."""
        claimed = self._claim()
        if len(claimed) == 0:
            return POLL_INTERVAL_S
        do_apart(claimed, self._deliver, self._set_aside)
        return 0.0

    def _deliver(self, notes: Sequence[OutboxNote]) -> None:
        """Send those of the notes that are not sent yet. Where that fails by our own fault, nobody
        knows which are: whoever tries again looks for them first."""
        waiting = [note for note in notes if note.state == NoteState.SENDING]
        context = CallContext(
            deadline=Deadline.after(DEADLINE_S),
            priority=Priority.BACKGROUND,
            meters=(CallMeter("desk"),),
        )
        try:
            to_send = self._mark_those_on_timelines(waiting, context)
            if len(to_send) > 0:
                outcomes = self._send(to_send, context)
                self._apply_outcomes(to_send, self._send_to_survivors(to_send, outcomes, context))
        except Exception:
            for note in waiting:
                note.perhaps_sent = True
            raise

    def _set_aside(self, note: OutboxNote, error: Exception) -> None:
        """Look at a note later that our own side cannot handle. Where not even that can be kept, it
        comes back when its claim is over."""
        log.error("note_failed", note=note.id, exc_info=error)
        do_apart([note], lambda _: self._postpone(note, error), self._report_unkept)

    def _report_unkept(self, note: OutboxNote, error: Exception) -> None:
        log.error("note_not_changed", note=note.id, exc_info=error)

    def _claim(self) -> list[OutboxNote]:
        """Take what is due. A note that is still `sending` when its claim is over was perhaps
        sent: who had claimed it was killed."""
        now = self._now()
        due = OutboxNote.objects.filter(
            state__in=(NoteState.WAITING, NoteState.SENDING), next_attempt_at__lte=now
        ).order_by("id")[:MAX_PER_CALL]
        claimed: list[OutboxNote] = []

        def claim(notes: Sequence[OutboxNote]) -> None:
            for note in notes:
                self._claim_note(note, now, claimed)

        for note in due:
            do_apart([note], claim, self._report_unkept)
        return claimed

    def _claim_note(self, note: OutboxNote, now: datetime, claimed: list[OutboxNote]) -> None:
        perhaps_sent = note.perhaps_sent or note.state == NoteState.SENDING
        updated = OutboxNote.objects.filter(
            id=note.id, state=note.state, next_attempt_at=note.next_attempt_at
        ).update(
            state=NoteState.SENDING,
            perhaps_sent=perhaps_sent,
            next_attempt_at=now + CLAIM_DURATION,
        )
        if updated == 1:
            note.state, note.perhaps_sent = NoteState.SENDING, perhaps_sent
            claimed.append(note)

    def _mark_those_on_timelines(
        self, notes: Sequence[OutboxNote], context: CallContext
    ) -> list[OutboxNote]:
        """Look on the timelines for those that were perhaps sent, and mark what is found as sent;
        return the notes to be sent. One whose timeline cannot be read is postponed."""
        doubtful = {note.contact_id for note in notes if note.perhaps_sent}
        if len(doubtful) == 0:
            return list(notes)
        timelines = self._evidence.notes_of(doubtful, context)
        to_send = []
        for note in notes:
            try:
                timeline = timelines.answered(note.contact_id) if note.perhaps_sent else None
            except HubSpotError as error:
                self._postpone(note, error)
                continue
            same = [there.id for there in timeline or () if note.reference in there.body]
            if same:
                self._update(note, NoteState.SENT, note_id=same[0])
            else:
                to_send.append(note)
        return to_send

    def _send(
        self, notes: Sequence[OutboxNote], context: CallContext
    ) -> Mapping[str, CreateOutcome]:
        new = [
            NewNote(key=str(note.id), contact_id=note.contact_id, body=note.body, at=note.noted_at)
            for note in notes
        ]
        try:
            return self._writes.create_notes(new, context)
        except HubSpotError as error:  # how to link them could not be learnt: nothing was sent
            return {new_note.key: NotCreated(error) for new_note in new}

    def _send_to_survivors(
        self,
        notes: Sequence[OutboxNote],
        outcomes: Mapping[str, CreateOutcome],
        context: CallContext,
    ) -> Mapping[str, CreateOutcome]:
        """Send those notes again, to the survivors, whose contacts have become part of others;
        return the outcomes of all."""
        refused = [
            note
            for note in notes
            if isinstance(outcome := outcomes[str(note.id)], NotCreated)
            and is_about_missing(outcome.error)
        ]
        contacts = self._evidence.contacts({note.contact_id for note in refused}, context)
        moved = []
        for note in refused:
            seen = contacts.if_found(note.contact_id)
            if seen is not None and seen.contact.id != note.contact_id:
                note.contact_id = seen.contact.id
                moved.append(note)
        if len(moved) == 0:
            return outcomes
        for note in moved:
            OutboxNote.objects.filter(id=note.id).update(contact_id=note.contact_id)
        return {**outcomes, **self._send(moved, context)}

    def _apply_outcomes(
        self, notes: Sequence[OutboxNote], outcomes: Mapping[str, CreateOutcome]
    ) -> None:
        for note in notes:
            outcome = outcomes[str(note.id)]
            if isinstance(outcome, Created):
                self._update(note, NoteState.SENT, note_id=outcome.record.id)
            elif isinstance(outcome, NotCreated) and is_final_refusal(outcome.error):
                log.error("note_refused", note=note.id, error=outcome.error.safe_text)
                self._update(note, NoteState.REFUSED, last_error=storable_text(outcome.error))
            else:
                note.perhaps_sent = note.perhaps_sent or not isinstance(outcome, NotCreated)
                self._postpone(note, outcome.error)

    def _postpone(self, note: OutboxNote, error: Exception) -> None:
        log.warning("note_not_sent", note=note.id, error=storable_text(error))
        wait = backoff(note.attempts + 1, first_s=FIRST_RETRY_S, max_s=MAX_RETRY_S)
        self._update(
            note,
            NoteState.WAITING,
            perhaps_sent=note.perhaps_sent,
            attempts=note.attempts + 1,
            next_attempt_at=self._now() + wait,
            last_error=storable_text(error),
        )

    def _update(self, note: OutboxNote, state: NoteState, **changes: object) -> None:
        OutboxNote.objects.filter(id=note.id).update(state=state, **changes)
        note.state = state
