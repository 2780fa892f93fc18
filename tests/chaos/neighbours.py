"""What the well students ask in a round, and what of the answers must be as without the poison.

A round is: the list of exams, everybody's own list, a booking each, their lists again, a recount of
everything, and the cancels. Left out of the comparison is what is about an ill exam, which rightly
shows its own trouble; that a booking in it is listed at all is compared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from tests.builders import Exam, Student
from tests.chaos.population import Ill, Population, find_overwritten, poison_all

# Once it is known which records HubSpot refuses.
MAX_CALLS_DIFFERENCE = 0.10
CRON_SECRET = "the-poisoners-cron-secret"
LIST = "/api/bookings/list"
AVAILABLE = "/api/mock-exams/available"
RECOUNT = "/api/mock-exams/sync-capacity"
OF_THE_MOMENT = frozenset(
    {
        *("id", "booking_record_id", "idempotency_key", "request_id", "created_at"),
        *("cancelled_at", "updated_at"),
    }
)


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: Any


Deed = Callable[[], Answer]


class Crowd(Protocol):
    """How the students of a round reach the API."""

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer: ...

    def ask(self, deeds: Sequence[Deed], *, at_once: bool) -> list[Answer]:
        """Have students read, at the same time or one after the other."""
        ...

    def write(
        self, deeds: Sequence[Deed], ill: Sequence[Deed]
    ) -> tuple[list[Answer], list[Answer]]:
        """Have the well and the ill ones write, all at the same time."""
        ...

    def settle(self) -> None:
        """Return once nothing is left to do in the background."""
        ...

    def age_bookings(self) -> None:
        """Let what was booked be so long ago that nobody asks whether HubSpot shows it: HubSpot was
        put back to before."""
        ...


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of a portal's poison: what is wrong, a sentence each; calls without the poison,
    when it was met first, and once it was known; how many answers were compared."""

    wrong: Sequence[str]
    calls: tuple[int, int, int]
    answers: int

    def calls_are_as_before(self, by_chance: int = 0) -> bool:
        """Whether they differ by no more than they may, and by so many that chance may cost."""
        without, _, known = self.calls
        return abs(known - without) <= MAX_CALLS_DIFFERENCE * without + by_chance


@dataclass(slots=True)
class Round:
    """What came of it: comparable answers by what was asked, the ill ones' own, and the calls."""

    answers: dict[str, object] = field(default_factory=dict)
    own: list[tuple[Ill, Answer]] = field(default_factory=list)
    calls: int = 0


def compare_rounds(population: Population, crowd: Crowd) -> Finding:
    """Have a round without the poison, one that meets it, and one where it is known."""
    sandbox = population.portal.sandbox
    well = sandbox.snapshot()
    without = run_round(population, crowd, with_ill=False)
    sandbox.restore_snapshot(well)
    crowd.age_bookings()
    poison_all(population)
    poisoned = sandbox.snapshot()
    first = run_round(population, crowd, with_ill=True)
    overwritten = find_overwritten(population)
    sandbox.restore_snapshot(poisoned)
    crowd.age_bookings()
    put_counts_right(crowd)
    known = run_round(population, crowd, with_ill=False)
    wrong = [
        *(f"at first, {each}" for each in find_differences(without, first)),
        *find_disasters(first),
        *overwritten,
        *(f"once known, {each}" for each in find_differences(without, known)),
    ]
    return Finding(wrong, (without.calls, first.calls, known.calls), 2 * len(without.answers))


def run_round(population: Population, crowd: Crowd, *, with_ill: bool) -> Round:
    """Everybody's deeds, one kind after the other. Where the ill ones take part all read at the
    same time and share calls; else one after the other, because who shares calls by chance is
    never twice alike, and calls are to be compared."""
    told = Round()
    ill = population.ill if with_ill else ()
    sandbox = population.portal.sandbox
    sandbox.clear_calls()
    _look(population, crowd, told)
    _list_all(population, crowd, told, "before", at_once=with_ill)
    own_lists = crowd.ask([_listing(crowd, one.student) for one in ill], at_once=True)
    told.own += list(zip(ill, own_lists, strict=True))
    booked, own = crowd.write(
        [_booking(crowd, population, place) for place in range(len(population.students))],
        [_own_deed(crowd, one) for one in ill],
    )
    told.own += list(zip(ill, own, strict=True))
    for student, answer in zip(population.students, booked, strict=True):
        told.answers[f"{student.name} books"] = _comparable(answer)
    _list_all(population, crowd, told, "after", at_once=with_ill)
    told.answers["recount"] = _recounted(_ask_for_recount(crowd), population)
    cancelled, _ = crowd.write(
        [
            _cancel(crowd, student, _booked_id(answer))
            for student, answer in zip(population.students, booked, strict=True)
        ],
        [],
    )
    for student, answer in zip(population.students, cancelled, strict=True):
        told.answers[f"{student.name} cancels"] = _comparable(answer)
    crowd.settle()
    told.calls = sum(1 for call in sandbox.calls() if _is_counted(call, population))
    return told


def _is_counted(call: Mapping[str, Any], population: Population) -> bool:
    """Not what is sent when there is time for it, nor what is asked once in a process's life."""
    notes = population.portal.profile.object_types.notes
    return call["object_type"] != notes and call["operation"] != "labels.list"


def put_counts_right(crowd: Crowd) -> None:
    """Have poisoned totals recounted, which costs calls once and no more."""
    _ask_for_recount(crowd)
    crowd.settle()


def find_differences(without: Round, having: Round) -> list[str]:
    """A sentence for each answer that is another one."""
    return [
        f"{asked}: {_shorten(having.answers[asked])} and not {_shorten(answer)}"
        for asked, answer in without.answers.items()
        if having.answers[asked] != answer
    ]


def find_disasters(told: Round) -> list[str]:
    """A sentence for each of the ill ones' own answers that is worse than it may be: a value has an
    answer at once, whatever it is; who is refused by HubSpot may be asked to come again."""
    return [
        f"{ill.way}: {_shorten(answer)}"
        for ill, answer in told.own
        if answer.status >= 500 and not (ill.way.refused and answer.status == 503)
    ]


# What is asked


def _look(population: Population, crowd: Crowd, told: Round) -> None:
    for realtime in ("false", "true"):
        query = {"mock_type": population.portal.first_type.value, "realtime": realtime}
        answer = crowd.send("GET", AVAILABLE, query=query)
        rows = answer.body.get("data") or []
        well = [row for row in rows if row["mock_exam_id"] not in population.ill_exams]
        told.answers[f"available, realtime {realtime}"] = (answer.status, well)


def _list_all(
    population: Population, crowd: Crowd, told: Round, when: str, *, at_once: bool
) -> None:
    deeds = [_listing(crowd, student) for student in population.students]
    answers = crowd.ask(deeds, at_once=at_once)
    for student, answer in zip(population.students, answers, strict=True):
        told.answers[f"{student.name} lists {when}"] = _listed(answer, population)


def _ask_for_recount(crowd: Crowd) -> Answer:
    authorization = {"Authorization": f"Bearer {CRON_SECRET}"}
    return crowd.send("POST", RECOUNT, body={}, headers=authorization)


def _listing(crowd: Crowd, student: Student) -> Deed:
    query = {**student.pair, "limit": "100"}
    return lambda: crowd.send("GET", LIST, query=query)


def _booking(crowd: Crowd, population: Population, place: int) -> Deed:
    body = _create_body(population.students[place], population.exam_for(place))
    return lambda: crowd.send("POST", "/api/bookings/create", body=body)


def _create_body(student: Student, exam: Exam) -> dict[str, object]:
    """What the default portal's frontend sends."""
    named = {"contact_id": student.id, "mock_exam_id": exam.id, "name": student.name}
    chosen = {"exam_date": exam.day.isoformat(), "mock_type": exam.mock_type}
    return {**student.pair, **named, **chosen}


def _cancel(crowd: Crowd, student: Student, record_id: str) -> Deed:
    return lambda: crowd.send("DELETE", f"/api/bookings/{record_id}", body=student.pair)


def _own_deed(crowd: Crowd, ill: Ill) -> Deed:
    if ill.booking is not None:
        return _cancel(crowd, ill.student, ill.booking.id)
    body = _create_body(ill.student, ill.exam)
    return lambda: crowd.send("POST", "/api/bookings/create", body=body)


def _booked_id(answer: Answer) -> str:
    """The new booking's id; one that nothing has where there is none."""
    return str((answer.body.get("data") or {}).get("booking_record_id", "404404"))


# What is compared


def _listed(answer: Answer, population: Population) -> object:
    data = answer.body.get("data") or {"bookings": []}
    rows = data["bookings"]
    well = [row for row in rows if row["mock_exam_id"] not in population.ill_exams]
    ill = sorted(row["id"] for row in rows if row["mock_exam_id"] in population.ill_exams)
    credits_shown = data.get("credits")
    return (answer.status, _timeless(well), ill, data.get("pagination"), credits_shown)


def _recounted(answer: Answer, population: Population) -> object:
    results = (answer.body.get("data") or {"results": {}})["results"]
    return answer.status, {
        name: [row for row in rows if row["examId"] not in population.ill_exams]
        for name, rows in results.items()
    }


def _comparable(answer: Answer) -> object:
    return answer.status, _timeless(answer.body)


def _timeless(value: object) -> object:
    """The same without what differs from one run to the next."""
    if isinstance(value, list):
        return [_timeless(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        name: _timeless(each)
        for name, each in value.items()
        # A cancel names the record, a creation the booking's own words.
        if name not in OF_THE_MOMENT and not (name == "booking_id" and str(each).isdigit())
    }


def _shorten(value: object) -> str:
    shown = ascii(value)
    return shown if len(shown) <= 300 else f"{shown[:300]}…"
