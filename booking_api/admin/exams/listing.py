"""The list of exams: which are found, which are shown, and what is not known of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from django.core.paginator import Page, Paginator

from booking_api import composition
from booking_api.admin.exams.details import find_unreadable_exams
from booking_api.admin.exams.forms import FindForm
from booking_api.admin.exams.sights import ExamSight, ask_database, see_exams
from booking_api.admin.exams.words import say_listed
from booking_api.desk.counts.exam_facts import find_counted_lately, find_exams_at_work
from booking_api.queries.upcoming_exams import UpcomingExams, find_upcoming_exams
from hubspot_sync.portal.record_names import is_record_id
from hubspot_sync.portal.records import MockExam
from hubspot_sync.wire.call_context import CallContext
from hubspot_sync.wire.call_log import CallMeter
from hubspot_sync.wire.deadlines import Deadline

if TYPE_CHECKING:
    from booking_api.api.context import RequestContext

MAX_LOOK_S: Final = 8.0
"""A page comes in that time, with what is known by then."""
EXAMS_PER_PAGE: Final = 25


@dataclass(frozen=True, kw_only=True, slots=True)
class Listing:
    """What the list shows. `problems` are sentences about what it does not know; `query` is what
    its other pages are found by."""

    sights: Sequence[ExamSight]
    page: Page[Any]
    said: str
    problems: Sequence[str]
    calls: int
    query: str


def look_context(context: RequestContext, meter: CallMeter) -> CallContext:
    """Return the context of a look: a person waits, but for the page and not for every exam."""
    left_s = min(MAX_LOOK_S, context.deadline.remaining_s())
    return CallContext(deadline=Deadline.after(left_s), meters=(meter, context.meter))


def list_exams(form: FindForm, page: str, context: RequestContext) -> Listing:
    """Return the exams that a form asks for, all where it cannot be understood."""
    meter = CallMeter("console: exams")
    query = composition.query_context(look_context(context, meter))
    # By search none is found whose day cannot be read.
    also = _ask_ids(find_exams_at_work) | _ask_ids(find_unreadable_exams)
    found = find_upcoming_exams(query, also, lambda: _ask_ids(find_counted_lately))
    wanted = form.cleaned_data if form.is_valid() else {}
    exams = choose_exams(found.listed, wanted)
    shown = Paginator(exams, EXAMS_PER_PAGE).get_page(page)
    today = query.now.astimezone(query.profile.time_zone).date()
    return Listing(
        sights=see_exams(list(shown.object_list)),
        page=shown,
        said=say_listed(
            len(exams),
            today=sum(exam.exam_date == today for exam in exams),
            undated=sum(exam.exam_date is None for exam in exams),
        ),
        problems=_name_problems(found),
        calls=meter.calls,
        query=urlencode({name: str(value) for name, value in wanted.items() if value}),
    )


def choose_exams(exams: Sequence[MockExam], wanted: dict[str, Any]) -> list[MockExam]:
    """Return the exams of the type and of the day that are wanted."""
    mock_type, day = wanted.get("type") or "", wanted.get("day")
    return [
        exam
        for exam in exams
        if mock_type in ("", exam.mock_type) and day in (None, exam.exam_date)
    ]


def _ask_ids(question: Callable[[], Collection[str]]) -> set[str]:
    """Return ids that our database knows, and that HubSpot could have given out."""
    return {each for each in ask_database(question) or () if is_record_id(each)}


def _name_problems(found: UpcomingExams) -> list[str]:
    problems = []
    if found.error is not None:
        problems.append(
            f"HubSpot could not be asked which exams there are: {found.error.safe_text} "
            "What is listed is what is known here; there may be others."
        )
    if len(found.unread) > 0:
        exams = "1 exam is" if len(found.unread) == 1 else f"{len(found.unread)} exams are"
        reason = next(iter(found.unread.values())).safe_text
        problems.append(
            f"{exams} missing here, because HubSpot could not be read: {reason} "
            "Look again in a moment: what it answers meanwhile is kept."
        )
    return problems
