"""What is said of an exam's seats: how many are left, and whether that is true."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from django.utils import timezone
from django.utils.formats import date_format, time_format

from booking_api.desk.counts.exam_count import ExamCount
from booking_api.desk.counts.recount import DESK, NO_SUCH_EXAM
from booking_api.desk.journal.models import RecountRequest
from booking_api.rules.seat_truth import KnownCount, Truth
from booking_api.rules.seats import available_slots
from hubspot_sync.portal.records import MockExam

READERS: Final = "students who looked"
"""For whom the seats were counted that the cache holds."""
WORDS_FOR: Final[Mapping[str, str]] = {
    DESK: "by the desk, after a change",
    READERS: f"for {READERS}",
}
TONES: Final[Mapping[Truth, str]] = {
    Truth.RIGHT: "good",
    Truth.WRITTEN: "good",
    Truth.OLD: "warn",
    Truth.NOT_COUNTED: "warn",
    Truth.DOUBTED: "warn",
    Truth.WRONG: "bad",
    Truth.UNREADABLE: "bad",
}
SIGNS: Final[Mapping[Truth, str]] = {
    Truth.RIGHT: "true",
    Truth.WRITTEN: "true, written since",
    Truth.OLD: "counted long ago",
    Truth.NOT_COUNTED: "not counted yet",
    Truth.DOUBTED: "to be counted again",
    Truth.WRONG: "not true",
    Truth.UNREADABLE: "cannot be true",
}
NOT_KNOWN: Final = "It is not known when it was counted: our database does not answer."


def say_moment(moment: datetime) -> str:
    """Return a moment with its day, without it today, in the time zone of the console."""
    local = timezone.localtime(moment)
    if local.date() == timezone.localtime().date():
        return f"today at {time_format(local, 'TIME_FORMAT')}"
    return f"on {date_format(local, 'DATETIME_FORMAT')}"


def say_number(number: int) -> str:
    """Return a number with a minus that is not taken for a dash."""
    return str(number).replace("-", "\u2212")


def say_seats(number: int) -> str:
    return "1 seat" if number == 1 else f"{say_number(number)} seats"


def say_taken(number: int) -> str:
    return f"{say_seats(number)} {'was' if number == 1 else 'were'}"


def say_who(who: str) -> str:
    return WORDS_FOR.get(who, f"by {who}")


def say_listed(number: int, *, today: int, undated: int) -> str:
    """Return how many exams a list has, and how many of today and without a day; "" for none."""
    if number == 0:
        return ""
    if number == 1:
        when = " It is today." if today else ""
        return f"1 upcoming exam.{when}" + (" Its day cannot be read." if undated else "")
    words = f"{number} upcoming exams, {today or 'none'} of them today."
    if undated == 1:
        return f"{words} 1 has no day that can be read, and stands at the end."
    if undated > 1:
        return f"{words} {undated} have no day that can be read, and stand at the end."
    return words


def say_left(exam: MockExam, *, capacity_is_unreadable: bool) -> str:
    """Return how many seats students are offered, as HubSpot stores them now."""
    if exam.capacity == 0:
        why = "cannot be read" if capacity_is_unreadable else "is 0"
        return f"No seats are offered: the capacity {why}."
    if exam.stored_total is None:
        return "HubSpot's count cannot be read: students are shown what is counted, or no seats."
    left = available_slots(exam.capacity, exam.total_bookings)
    if exam.stored_total > exam.capacity:
        over = exam.stored_total - exam.capacity
        taken = f"{exam.stored_total} of {exam.capacity}"
        return (
            f"Full, and {say_seats(over)} too many {'is' if over == 1 else 'are'} taken: {taken}."
        )
    if left == 0:
        return f"Full: all {exam.capacity} seats are taken." if exam.capacity > 1 else "Full."
    return f"{left} of {say_seats(exam.capacity)} {'is' if left == 1 else 'are'} left."


def say_truth(
    truth: Truth, stored: int | None, last: KnownCount | None, written_at: datetime | None
) -> str:
    """Return whether the stored count is true, and by what that is known."""
    counted = "" if last is None else f"{say_moment(last.counted_at)} {say_who(last.who)}"
    match truth:
        case Truth.UNREADABLE:
            found = (
                ""
                if last is None
                else f" {say_taken(last.taken)} taken when it was counted {counted}."
            )
            held = "no number" if stored is None else say_number(stored)
            return f"That cannot be true: HubSpot stores {held}.{found}"
        case Truth.NOT_COUNTED:
            return "Nobody knows whether that is true: it has not been counted yet."
        case Truth.WRITTEN:
            assert written_at is not None  # noqa: S101 - what WRITTEN says
            return (
                f"That is true: the desk wrote a booking {say_moment(written_at)}, and sets the "
                "count whenever it does."
            )
        case Truth.DOUBTED:
            assert written_at is not None  # noqa: S101 - likewise
            return (
                f"Nobody knows whether that is true: the desk wrote a booking "
                f"{say_moment(written_at)}, and the exam has yet to be counted again."
            )
        case Truth.WRONG:
            assert last is not None  # noqa: S101 - likewise
            return (
                f"That is not true: {say_taken(last.taken)} taken when it was counted "
                f"{counted}, and HubSpot stores {stored}."
            )
        case Truth.RIGHT:
            return f"That is true: it was counted {counted}, and agreed."
        case Truth.OLD:
            return f"Not counted since {counted.removeprefix('on ')}; it was right then."


def say_recount(request: RecountRequest) -> str:
    """Return what has become of a recount that was asked for."""
    asked = say_moment(request.asked_at)
    if request.last_error:
        tries = "1 try" if request.attempts == 1 else f"{request.attempts} tries"
        return (
            f"A recount that was asked for {asked} fails: {request.last_error} "
            f"({tries}; the next {say_moment(request.next_attempt_at)})."
        )
    return f"A recount was asked for {asked}, and is done by itself."


def say_dry_run(count: ExamCount, calls: int) -> str:
    """Return what a dry run has found."""
    cost = "1 call" if calls == 1 else f"{calls} calls"
    if count.error:
        return f"It could not be counted: {count.error} That cost {cost} to HubSpot."
    found = _say_found(count)
    would = f"A recount would write {count.actual}." if count.differs else "It is right."
    return f"Dry run: {found} {would} Nothing was written. That cost {cost} to HubSpot."


def say_outcome(count: ExamCount, *, asked_again: bool) -> str:
    """Return what a recount has done; `asked_again` where it is tried again by itself."""
    again = " It is tried again by itself." if asked_again else ""
    if count.error and count.actual is not None and count.error != NO_SUCH_EXAM:
        return f"{_say_found(count)} That could not be written: {count.error}{again}"
    if count.error:
        return f"It could not be counted: {count.error}{again}"
    if count.updated:
        return f"Recounted: {_say_found(count)} HubSpot stores {count.actual} now."
    return f"Recounted: {_say_found(count)} It was right."


def _say_found(count: ExamCount) -> str:
    stored = None if count.exam is None else count.exam.stored_total
    held = "a count that cannot be read" if stored is None else say_number(stored)
    taken = count.actual or 0
    return f"{say_seats(taken)} {'is' if taken == 1 else 'are'} taken, HubSpot stored {held}."
