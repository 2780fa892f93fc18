"""What only a trial can tell of the change journal: whether it tells of records that nobody named,
and how late.

An exam, a contact and a booking of that exam are made and archived again; the journal is read on
from where it was before, until it has told of each. No offset of ours moves by it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from hubspot_sync.batching.batch import Created, CreateOutcome
from hubspot_sync.batching.raw_records import NewAssociation
from hubspot_sync.errors import FileUnreadable, NotFound, RateLimited, Refused
from hubspot_sync.portal.journal_coverage import JournalPart, covered_parts
from hubspot_sync.preflight.findings import Finding, FindingKind
from hubspot_sync.preflight.throwaway_records import ProbeEnvironment, ThrowawayRecords
from hubspot_sync.wire.call_context import CallContext
from hubspot_sync.wire.journal.change_journal import ChangeJournal
from hubspot_sync.wire.journal.subscriptions import JournalSubscriptions, Subscription

MAX_WAIT_S = 60.0
PAUSE_S = 0.5
ALL_OBJECTS = "HUBSPOT_JOURNAL_ALL_OBJECTS"


@dataclass(frozen=True, kw_only=True, slots=True)
class JournalEnvironment:
    """The journal to try, and what is known: whether subscriptions that name no objects hear of
    all."""

    journal: ChangeJournal
    subscriptions: JournalSubscriptions
    hears_of_all_objects: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class _Sought:
    """An event that is due: of a record, or of its link to another; `after_s` is when the answer to
    the write came."""

    part: JournalPart
    record_id: str
    to_id: str | None
    after_s: float

    def is_told_by(self, event: Mapping[str, Any]) -> bool:
        ends = str(event.get("fromObjectId")), str(event.get("toObjectId"))
        if self.to_id is not None:
            return event.get("type") == "association" and set(ends) == {self.record_id, self.to_id}
        return event.get("type") == "crmObject" and str(event.get("objectId")) == self.record_id


def try_journal(
    tried: JournalEnvironment, environment: ProbeEnvironment, context: CallContext
) -> tuple[Finding, ...]:
    """Make records, see whether the journal tells of them, and remove them. A refusal is a finding;
    any other HubSpotError is raised, after the records are removed."""
    samples = ThrowawayRecords(environment, context)
    try:
        there = tried.subscriptions.list_all(context.deadline)
        latest = tried.journal.read_latest(context.deadline)
        sought = _make_records(environment, samples)
        told = _follow(
            tried.journal, None if latest is None else latest.offset, sought, environment, context
        )
    except (Refused, NotFound) as error:
        words = f"cannot be tried: {error.safe_text}"
        return (_finding("a change in it", words, "told", FindingKind.UNKNOWN),)
    finally:
        left = samples.archive_all()
    findings = [_judge(each, told.get(each.part), there, environment) for each in sought]
    findings.append(_judge_all_objects(told, there, tried, environment))
    if left:
        words = f"left behind: {', '.join(left)}"
        findings.append(_finding("throw-away records", words, "removed", FindingKind.WARNING))
    return tuple(findings)


def _make_records(environment: ProbeEnvironment, samples: ThrowawayRecords) -> list[_Sought]:
    """Make an exam, a contact, and a booking of the exam; return what should be told of them."""
    clock, sought = environment.clock, list[_Sought]()

    def note(part: JournalPart, outcome: CreateOutcome, to_id: str | None = None) -> None:
        if isinstance(outcome, Created):
            sought.append(
                _Sought(part=part, record_id=outcome.record.id, to_id=to_id, after_s=clock())
            )

    exam = samples.create_exam()
    note(JournalPart.EXAMS, exam)
    note(JournalPart.CONTACTS, samples.create_contact({}))
    association_type = environment.association_types.get("bookings->mock_exams")
    if not isinstance(exam, Created) or association_type is None:
        note(JournalPart.BOOKINGS, samples.create_booking({}))
        return sought
    link = NewAssociation(
        to_id=exam.record.id, type_id=association_type.type_id, category=association_type.category
    )
    booking = samples.create_booking({}, link)
    note(JournalPart.BOOKINGS, booking)
    note(JournalPart.EXAM_BOOKINGS, booking, exam.record.id)
    return sought


def _follow(
    journal: ChangeJournal,
    offset: str | None,
    sought: Collection[_Sought],
    environment: ProbeEnvironment,
    context: CallContext,
) -> Mapping[JournalPart, float]:
    """Read on until all was told, or for a minute; return how late each was, in seconds. A file
    that cannot be read is passed over: a trial must not end on it."""
    told: dict[JournalPart, float] = {}
    clock = environment.clock
    end_s = clock() + MAX_WAIT_S
    while len(told) < len(sought) and clock() < end_s:
        try:
            entry = (
                journal.read_earliest(context.deadline)
                if offset is None
                else journal.read_next(offset, context.deadline)
            )
        except RateLimited as limited:
            environment.pause(min(limited.retry_after_s or PAUSE_S, max(0.0, end_s - clock())))
            continue
        if entry is None:
            environment.pause(PAUSE_S)
            continue
        offset = entry.offset
        try:
            events = journal.fetch_file(entry, context.deadline).events
        except FileUnreadable:
            continue
        for each in sought:
            if each.part not in told and any(each.is_told_by(event) for event in events):
                told[each.part] = clock() - each.after_s
    return told


def _judge(
    sought: _Sought,
    late_s: float | None,
    there: Collection[Subscription],
    environment: ProbeEnvironment,
) -> Finding:
    subject = f"a new record: {sought.part}"
    if late_s is not None:
        return _finding(subject, f"told after {late_s:.1f} s", "told", FindingKind.OK)
    if sought.part not in covered_parts(there, environment.profile, hears_of_all=True):
        return _finding(subject, "not subscribed to", "--apply", FindingKind.UNKNOWN)
    return _finding(subject, f"not told within {MAX_WAIT_S:.0f} s", "told", FindingKind.WARNING)


def _judge_all_objects(
    told: Collection[JournalPart],
    there: Collection[Subscription],
    tried: JournalEnvironment,
    environment: ProbeEnvironment,
) -> Finding:
    """New records cannot have been named by anybody: who was told of them hears of all."""
    subject = "a subscription that names no objects"
    objects = {JournalPart.CONTACTS, JournalPart.BOOKINGS, JournalPart.EXAMS}
    objects &= covered_parts(there, environment.profile, hears_of_all=True)
    known = tried.hears_of_all_objects
    if not objects:
        return _finding(subject, "there is none to try", "--apply", FindingKind.UNKNOWN)
    if objects <= set(told):
        wanted = "known" if known else f"{ALL_OBJECTS}=true"
        return _finding(subject, "hears of all", wanted, FindingKind.OK)
    found = "hears of some" if objects & set(told) else "was told nothing"
    verdict = FindingKind.WRONG if known else FindingKind.WARNING
    return _finding(subject, found, f"{ALL_OBJECTS}=false", verdict)


def _finding(subject: str, found: str, wanted: str, verdict: FindingKind) -> Finding:
    return Finding(
        area="change journal", subject=subject, found=found, wanted=wanted, verdict=verdict
    )
