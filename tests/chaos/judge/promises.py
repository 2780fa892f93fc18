"""Each promise as a function of the facts: how often it was tried, and every time it was broken."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from tests.chaos.judge.facts import Facts
from tests.chaos.judge.rates import find_most_in_window
from tests.chaos.judge.verdicts import Verdict
from tests.chaos.people.front import LOST
from tests.chaos.people.students import Attempt

FAILURES = 500
MAX_REQUEST_S, MAX_WEBHOOK_S = 25.0, 5.0
TRANSIT_S = 0.5
"""What the machine between the two may take of it."""


Judge = Callable[[Facts], Verdict]


def judge_seats(facts: Facts) -> Verdict:
    taken = Counter(one.exam_id for one in facts.booked)
    broken = [
        f"exam {exam.id} has {taken[exam.id]} bookings for {exam.capacity} seats"
        for exam in facts.cast.exams
        if taken[exam.id] > exam.capacity
    ]
    return Verdict("no exam is oversold", len(facts.attempts), broken)


def judge_credits(facts: Facts) -> Verdict:
    booked = Counter(one.contact_id for one in facts.booked)
    broken = []
    for student in facts.cast.students:
        had, has = facts.cast.owned[student.id], facts.credits[student.id]
        if has + booked[student.id] != had:
            word = "lost" if has + booked[student.id] < had else "doubled"
            broken.append(
                f"{student.student_id}: {word}: {has} credits and {booked[student.id]} bookings,"
                f" of {had}"
            )
    tried = sum(1 for one in facts.attempts if one.booked_once)
    return Verdict("no credit is lost or doubled", tried, broken)


def judge_duplicates(facts: Facts) -> Verdict:
    found = Counter((one.contact_id, one.exam_id) for one in facts.booked)
    broken = [f"{pair} is booked {n} times" for pair, n in found.items() if n > 1]
    return Verdict("nobody is booked twice", len(facts.attempts), broken)


def judge_answers(facts: Facts) -> Verdict:
    """A booking stands where the last answer says so, linked to both, and nowhere else."""
    records = {one.id: one for one in facts.booked}
    told = {one.record_id: one for one in facts.attempts if one.outcome == "booked"}
    broken = []
    for one in facts.attempts:
        if one.outcome == "unclear":
            broken.append(f"{_name(one)}: nobody could say what became of it ({one.code})")
        elif one.outcome == "booked" and one.record_id not in records:
            broken.append(f"{_name(one)}: was answered as booked, and does not stand")
        elif one.cancel_asked and one.outcome != "cancelled":
            broken.append(f"{_name(one)}: could not be cancelled")
    for record in facts.booked:
        if record.id not in told:
            broken.append(f"booking {record.id} ({record.key}) stands, and nobody was told so")
        ends = (record.linked_contacts, record.linked_exams)
        if ends != (frozenset({record.contact_id}), frozenset({record.exam_id})):
            broken.append(f"booking {record.id} is linked to {ends}")
    return Verdict("what was answered is so", len(facts.attempts), broken)


def judge_counts(facts: Facts) -> Verdict:
    taken = Counter(one.exam_id for one in facts.booked)
    broken = [
        f"exam {exam.id} counts {facts.totals[exam.id]}, has {taken[exam.id]}"
        for exam in facts.cast.exams
        if facts.totals[exam.id] != taken[exam.id]
    ]
    return Verdict("stored counts are right once it is calm", len(facts.cast.exams), broken)


def judge_reads(facts: Facts) -> Verdict:
    broken = list(facts.diary.stale)
    return Verdict("no read is older than an acknowledged write", facts.diary.compared, broken)


def judge_notes(facts: Facts) -> Verdict:
    """One note for each booking that was made, one for each that was cancelled."""
    wanted: dict[str, Counter[str]] = {}
    for one in facts.attempts:
        notes = wanted.setdefault(one.booking_name, Counter())
        notes["Mock exam booked"] += one.booked_once
        notes["Mock exam cancelled"] += one.booked_once and one.outcome == "cancelled"
    broken = [
        f"{named}: {facts.notes.get(named, Counter())[title]} notes '{title}', not {number}"
        for named, notes in wanted.items()
        for title, number in notes.items()
        if facts.notes.get(named, Counter())[title] != number
    ]
    tried = sum(notes.total() for notes in wanted.values())
    return Verdict("every note is there, and once", tried, broken)


def judge_webhooks(facts: Facts) -> Verdict:
    """None is given up by HubSpot, or still on its way. That each had its effect show the reads
    and the counts."""
    counts = facts.webhooks
    broken = [f"{counts[word]} {word}" for word in ("failed", "pending") if counts[word] > 0]
    delivered = sum(1 for deed in facts.diary.deeds if deed.what == "webhook" and deed.is_served)
    return Verdict("no webhook is given up", counts["delivered"] + delivered, broken)


def judge_times(facts: Facts, max_request_s: float = MAX_REQUEST_S) -> Verdict:
    """Of requests at servers that were there all the time."""
    limits = {"webhook": MAX_WEBHOOK_S}
    deeds = [deed for deed in facts.diary.deeds if not deed.away]
    broken = [
        f"{deed.what} at server {deed.server} took {deed.took_s:.1f} s ({deed.status} {deed.code})"
        for deed in deeds
        if deed.took_s > limits.get(deed.what, max_request_s) + TRANSIT_S
    ]
    promise = f"no request takes over {max_request_s:.0f} s, no webhook over {MAX_WEBHOOK_S:.0f} s"
    return Verdict(promise, len(deeds), broken)


def judge_rate(facts: Facts) -> Verdict:
    most = find_most_in_window(float(call["at"]) for call in facts.calls)
    broken = [f"{most} calls in 10 s"] if most > facts.max_calls else []
    promise = f"{facts.max_calls} calls in any 10 s at most (most: {most})"
    return Verdict(promise, len(facts.calls), broken)


def judge_served(facts: Facts, from_s: float) -> Verdict:
    """Of requests that were sent since then, in monotonic seconds."""
    deeds = [
        deed for deed in facts.diary.deeds if deed.begun_s >= from_s and deed.what != "webhook"
    ]
    broken = [
        f"{deed.what} at server {deed.server} was answered {deed.status} {deed.code}"
        for deed in deeds
        if deed.status == LOST or deed.status >= FAILURES
    ]
    return Verdict("nobody is told to come back once it is over", len(deeds), broken)


def judge_errors(facts: Facts) -> Verdict:
    """Nobody is answered that the fault is ours, in a way that nobody foresaw."""
    broken = [
        f"{deed.what} at server {deed.server} was answered {deed.status} {deed.code}"
        for deed in facts.diary.deeds
        if deed.code == "INTERNAL_ERROR"
    ]
    return Verdict("no answer is INTERNAL_ERROR", len(facts.diary.deeds), broken)


def _name(one: Attempt) -> str:
    return f"{one.key} for exam {one.exam.id}"


def judge_work(facts: Facts) -> Verdict:
    """A run in which nobody could book has tried nothing of the rest."""
    booked = sum(1 for one in facts.attempts if one.booked_once)
    return Verdict("somebody could book", len(facts.attempts), [] if booked else ["nobody"])


PROMISES: Sequence[Judge] = (
    judge_seats,
    judge_credits,
    judge_duplicates,
    judge_answers,
    judge_counts,
    judge_reads,
    judge_notes,
    judge_webhooks,
    judge_times,
    judge_rate,
    judge_errors,
)
SETTLING: Sequence[Judge] = (
    judge_credits,
    judge_duplicates,
    judge_counts,
    judge_notes,
    judge_webhooks,
)
"""What may take a while once all is calm; the others are so from the beginning, or never."""
