"""What was promised to those who booked, judged by HubSpot's records as the chaos suite judges it.

What a crowd met is told as attempts: one for each key, by its last answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tests.builders import Exam, Student
from tests.chaos.judge.facts import Cast, Facts, gather
from tests.chaos.judge.promises import (
    judge_answers,
    judge_counts,
    judge_credits,
    judge_duplicates,
    judge_notes,
    judge_seats,
    judge_webhooks,
)
from tests.chaos.judge.settling import wait_for_calm
from tests.chaos.people import front
from tests.chaos.people.students import Attempt
from tests.load.population import School
from tests.load.traffic import Deed, Diary

JUDGES = (
    judge_seats,
    judge_credits,
    judge_duplicates,
    judge_counts,
    judge_notes,
    judge_webhooks,
)
CALM_WITHIN_S = 60.0
REFUSED = (400, 403, 404, 409, 422)


def find_broken(school: School, diary: Diary, owned: Mapping[str, int]) -> list[str]:
    """Wait until all is calm and return every promise that is broken, a sentence each. `owned` is
    what each student had at the beginning, credits and bookings together."""
    facts, _ = wait_for_calm(
        school.portal.sandbox, lambda: look(school, diary, owned), CALM_WITHIN_S
    )
    return judge_all(school, facts)


def judge_all(school: School, facts: Facts) -> list[str]:
    verdicts = [judge(facts) for judge in JUDGES]
    # Nobody was told of what was booked before.
    before = {booking.id for booking in school.bookings}
    new = [booked for booked in facts.booked if booked.id not in before]
    verdicts.append(judge_answers(replace(facts, booked=new)))
    return [f"{each.promise}: {sentence}" for each in verdicts for sentence in each.broken]


def look(school: School, diary: Diary, owned: Mapping[str, int]) -> Facts:
    cast = Cast(students=school.students, exams=school.exams, owned=dict(owned))
    attempts = attempts_of(diary.deeds, school.students, school.exams)
    return gather(school.portal, cast, attempts, front.Diary(), ())


def attempts_of(
    deeds: Sequence[Deed], students: Sequence[Student], exams: Sequence[Exam]
) -> list[Attempt]:
    """Return what became of each key, as its student was told."""
    student_of = {student.student_id: student for student in students}
    exam_of = {exam.id: exam for exam in exams}
    found: dict[str, Attempt] = {}
    for deed in deeds:
        if deed.what == "create":
            attempt = found.setdefault(
                deed.key, Attempt(student_of[deed.student_id], exam_of[deed.offer_id], deed.key)
            )
            _note_create(attempt, deed)
        elif deed.what == "cancel":
            attempt = found[deed.key]
            attempt.cancel_asked = True
            if deed.is_served:
                attempt.outcome = "cancelled"
    return list(found.values())


def _note_create(attempt: Attempt, deed: Deed) -> None:
    attempt.code = deed.code
    if deed.is_served:
        attempt.outcome, attempt.record_id, attempt.booked_once = "booked", deed.record_id, True
    elif deed.status in REFUSED and deed.code != "REQUEST_IN_PROGRESS":
        attempt.outcome = "refused"
