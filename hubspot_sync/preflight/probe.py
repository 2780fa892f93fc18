"""What only a trial can tell, on throw-away records that are archived afterwards.

Three things the booking desk relies on and no document promises: that a unique value may be used
again once it has been cleared (a cancelled booking gives its seat back), how long an association
made together with a record takes to show, and what a contact's history says of a credit and its
mark. The records carry no student and no exam of the school's, are not active, and their names
begin with `preflight-`.
"""

from __future__ import annotations

from collections.abc import Sequence

from hubspot_sync.batching.batch import Created, Unclear
from hubspot_sync.batching.raw_records import NewAssociation, RawRecord
from hubspot_sync.preflight.findings import Finding, FindingKind
from hubspot_sync.preflight.throwaway_records import ProbeEnvironment, ThrowawayRecords
from hubspot_sync.wire.call_context import CallContext

MAX_LAG_S = 15.0
PAUSE_BETWEEN_READS_S = 0.2


def probe(environment: ProbeEnvironment, context: CallContext) -> tuple[Finding, ...]:
    """Run the trials and remove their records. Raises HubSpotError where HubSpot cannot be asked;
    what was made by then is removed all the same."""
    samples = ThrowawayRecords(environment, context)
    try:
        reuse = _try_reuse_of_cleared_value(environment, samples, context)
        lag = _measure_association_lag(environment, samples, context)
        proof = _try_marked_credit(environment, samples, context)
    finally:
        left = samples.archive_all()
    removal = Finding(
        area="trial",
        subject="throw-away records",
        found=f"left behind: {', '.join(left)}" if left else "removed",
        wanted="removed",
        verdict=FindingKind.WARNING if left else FindingKind.OK,
    )
    return reuse, lag, proof, removal


def _try_reuse_of_cleared_value(
    environment: ProbeEnvironment, samples: ThrowawayRecords, context: CallContext
) -> Finding:
    """Sell a seat, try to sell it again, give it back, sell it again."""
    seat_key = environment.profile.booking_properties["seat_key"]
    seat = {seat_key: f"preflight-{environment.mark}"}
    first = samples.create_booking(seat)
    if not isinstance(first, Created):
        return _reuse_finding(f"no trial possible: {first.error.message}", FindingKind.UNKNOWN)
    if isinstance(samples.create_booking(seat), Created):
        return _reuse_finding("taken twice without clearing", FindingKind.WRONG)
    bookings = environment.profile.object_types.bookings
    cleared = {first.record.id: {seat_key: ""}}
    environment.batch.update(bookings, cleared, context=context).require_complete()
    again = samples.create_booking(seat)
    if isinstance(again, Created):
        return _reuse_finding("may be used again", FindingKind.OK)
    verdict = FindingKind.UNKNOWN if isinstance(again, Unclear) else FindingKind.WRONG
    return _reuse_finding(f"not taken again: {again.error.message}", verdict)


def _measure_association_lag(
    environment: ProbeEnvironment, samples: ThrowawayRecords, context: CallContext
) -> Finding:
    """Make an exam, then a booking with the exam inline, and read the exam's bookings until it
    shows: the direction in which seats are counted."""
    association_type = environment.association_types.get("bookings->mock_exams")
    if association_type is None:
        return _lag_finding("the portal shows no association type for it", FindingKind.UNKNOWN)
    exam = samples.create_exam()
    if not isinstance(exam, Created):
        return _lag_finding(f"no trial possible: {exam.error.message}", FindingKind.UNKNOWN)
    started_s = environment.clock()
    link = NewAssociation(
        to_id=exam.record.id, type_id=association_type.type_id, category=association_type.category
    )
    booking = samples.create_booking({}, link)
    if not isinstance(booking, Created):
        return _lag_finding(f"no trial possible: {booking.error.message}", FindingKind.UNKNOWN)
    types = environment.profile.object_types
    made_s = environment.clock()
    reads = 0
    while environment.clock() - started_s < MAX_LAG_S:
        reads += 1
        linked = environment.batch.read_associations(
            types.mock_exams, types.bookings, [exam.record.id], context=context
        ).require_complete()
        if booking.record.id in linked.found.get(exam.record.id, ()):
            return _judge_lag(reads, environment.clock() - made_s)
        environment.pause(PAUSE_BETWEEN_READS_S)
    return _lag_finding(f"not shown after {MAX_LAG_S:.0f} s", FindingKind.WARNING)


def _judge_lag(reads: int, after_s: float) -> Finding:
    """A lag is survived, because the desk's journal fills the gap; so a warning and no more."""
    if reads == 1:
        return _lag_finding("shown at once", FindingKind.OK)
    return _lag_finding(f"shown after {after_s:.1f} s", FindingKind.WARNING)


def _try_marked_credit(
    environment: ProbeEnvironment, samples: ThrowawayRecords, context: CallContext
) -> Finding:
    """Write a credit and its mark together, then the same credit with another mark: the history
    should have both marks, and say of the first when the credit came."""
    profile = environment.profile
    credit, marker = profile.credit_properties[0], profile.credit_marker
    if marker is None:
        return _proof_finding("the profile names no property for it", FindingKind.UNKNOWN)
    contact = samples.create_contact({credit: "2"})
    if not isinstance(contact, Created):
        return _proof_finding(f"no trial possible: {contact.error.message}", FindingKind.UNKNOWN)
    contacts, record_id = profile.object_types.contacts, contact.record.id
    marks = [f"{environment.mark}.{turn}" for turn in (1, 2)]
    for mark in marks:
        change = {record_id: {credit: "1", marker: mark}}
        written = environment.batch.update(contacts, change, context=context)
        if (error := written.unknown.get(record_id)) is not None:
            return _proof_finding(f"not written: {error.safe_text}", FindingKind.WARNING)
    read = environment.batch.read(
        contacts, [record_id], properties=[], with_history=[credit, marker], context=context
    ).require_complete()
    if record_id not in read.found:
        return _proof_finding("the contact is not to be read", FindingKind.UNKNOWN)
    return _judge_proof(read.found[record_id], credit, marker, marks)


def _judge_proof(record: RawRecord, credit: str, marker: str, marks: Sequence[str]) -> Finding:
    times = {version.value: version.at for version in record.history.get(marker, ())}
    charged = [version for version in record.history.get(credit, ()) if version.value == "1"]
    if not all(times.get(mark) for mark in marks):
        return _proof_finding("the history lacks a mark", FindingKind.WARNING)
    if len(charged) == 0:
        return _proof_finding("the history lacks the credit", FindingKind.WARNING)
    first = charged[-1]
    source = f"{first.source_type} {first.source_id}"
    if first.at != times[marks[0]]:
        said = f"the credit at {first.at}, its mark at {times[marks[0]]}, by {source}"
        return _proof_finding(said, FindingKind.WARNING)
    return _proof_finding(f"both at one time, by {source}", FindingKind.OK)


def _proof_finding(found: str, verdict: FindingKind) -> Finding:
    return Finding(
        area="trial",
        subject="the mark of a credit",
        found=found,
        wanted="in the history, with the credit",
        verdict=verdict,
    )


def _reuse_finding(found: str, verdict: FindingKind) -> Finding:
    return Finding(
        area="trial",
        subject="a unique value that was cleared",
        found=found,
        wanted="may be used again",
        verdict=verdict,
    )


def _lag_finding(found: str, verdict: FindingKind) -> Finding:
    return Finding(
        area="trial",
        subject="an association made with its record",
        found=found,
        wanted="shown at once",
        verdict=verdict,
    )
