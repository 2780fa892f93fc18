"""The exams: which lie ahead and how many seats are left; one exam, and what can be done to it.

Whoever holds `booking_api.view_exams` sees them, and of the journal, the events and the rest what
their other permissions show. `booking_api.recount_exams` has an exam counted, with or without
writing; `cache.invalidate` has the cache forget it. Each deed is asked for on a page of its own,
which changes nothing, with a reason that stays on record.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID, uuid4

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import Error as DatabaseFailure
from django.db import models
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, re_path, reverse
from typing_extensions import override

from booking_api import composition
from booking_api.admin.console_links import VIEW_EXAMS, VIEW_JOURNAL
from booking_api.admin.exams import details
from booking_api.admin.exams.deeds import (
    SENT_TWICE,
    Done,
    count_exam,
    count_held,
    estimate_calls,
    removal_of,
)
from booking_api.admin.exams.forms import DeedForm, FindForm
from booking_api.admin.exams.listing import list_exams, look_context
from booking_api.admin.exams.sights import ExamSight, ask_database, see_exams
from booking_api.admin.hubspot_pages import record_url
from booking_api.desk.counts.models import CountKind, ExamPage
from cache_layer.errors import InvalidationUnacknowledged, SentBefore
from cache_layer.operating.audit import remove_once
from cache_layer.operating.host import cache_host
from cache_layer.operating.read_only import ReadOnly
from cache_layer.permissions import INVALIDATE, VIEW_ENTRIES
from hubspot_sync.batching.outcomes import Found, Missing, Unknown
from hubspot_sync.portal.record_names import RECORD_ID_PATTERN
from hubspot_sync.reading.tags import tags_of_exam
from hubspot_sync.wire.call_log import CallMeter

if TYPE_CHECKING:
    from booking_api.api.context import RequestContext

RECOUNT_EXAMS: Final = "booking_api.recount_exams"
JOURNAL: Final = "admin:booking_api_journalentry_changelist"
VIEW_COUNTS: Final = "booking_api.view_countrecord"
VIEW_EVENTS: Final = "hubspot_sync.view_webhookevent"
VIEW_UNREADABLE: Final = "hubspot_sync.view_unreadablevalue"
VIEW_REMOVALS: Final = "cache.view_cacheinvalidation"
DEEDS: Final[Mapping[str, tuple[str, str, str]]] = {
    "recount": (RECOUNT_EXAMS, "Recount", "Recount now"),
    "dry-run": (RECOUNT_EXAMS, "Dry run", "Count without writing"),
    "remove": (INVALIDATE, "Remove from the cache", "Remove"),
}
"""By the end of the address: the permission, the page's title and the words on its button."""
NO_RECORD: Final = Done(
    sentence="Our database does not answer, so it could not be put on record and was not done.",
    went_well=False,
)
NOBODY_TOLD: Final = Done(
    sentence="Nobody could be told: neither the cache nor the database answers. It is tried again "
    "by itself; until then other processes may show what was to go.",
    went_well=False,
)


@admin.register(ExamPage)
class ExamPageAdmin(ReadOnly):
    """Its list is the exams that lie ahead; there are no rows behind it."""

    @override
    def has_view_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return request.user.has_perm(VIEW_EXAMS)

    @override
    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    @override
    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        exam = rf"^(?P<exam_id>{RECORD_ID_PATTERN})/"
        deeds = "|".join(DEEDS)
        return [
            path("", wrap(self.show_all), name="booking_api_exampage_changelist"),
            re_path(rf"{exam}$", wrap(self.show_one), name="booking_api_exam"),
            re_path(rf"{exam}(?P<deed>{deeds})/$", wrap(self.do), name="booking_api_exam_deed"),
        ]

    def show_all(self, request: HttpRequest) -> HttpResponse:
        self._require(request, VIEW_EXAMS)
        form = FindForm(composition.services().profile.mock_types, request.GET or None)
        if form.is_valid() and form.cleaned_data["exam_id"]:
            return HttpResponseRedirect(url_of(form.cleaned_data["exam_id"]))
        listing = list_exams(form, request.GET.get("p", ""), context_of(request))
        context = {**self._base(request, "Exams"), "form": form, "listing": listing}
        return TemplateResponse(request, "admin/exams/list.html", context)

    def show_one(self, request: HttpRequest, exam_id: str) -> HttpResponse:
        self._require(request, VIEW_EXAMS)
        return self._render_exam(request, exam_id)

    def do(self, request: HttpRequest, exam_id: str, deed: str) -> HttpResponse:
        """Show what would be done; once that is confirmed with a reason, do it."""
        permission, _, _ = DEEDS[deed]
        self._require(request, VIEW_EXAMS)
        self._require(request, permission)
        form = DeedForm(request.POST if request.method == "POST" else None)
        if request.method != "POST" or not form.is_valid():
            return self._render_deed(request, exam_id, deed, form)
        done = self._carry_out(request, exam_id, deed, form.cleaned_data)
        tell = messages.success if done.went_well else messages.warning
        tell(request, done.sentence)
        return HttpResponseRedirect(url_of(exam_id))

    def _carry_out(
        self, request: HttpRequest, exam_id: str, deed: str, sent: Mapping[str, Any]
    ) -> Done:
        who, reason = request.user.get_username(), sent["reason"]
        if deed == "remove":
            return remove_exam(exam_id, who=who, reason=reason, token=sent["token"])
        kind = CountKind.DRY_RUN if deed == "dry-run" else CountKind.RECOUNT
        try:
            return count_exam(
                exam_id,
                kind,
                who=who,
                reason=reason,
                token=sent["token"],
                context=context_of(request),
            )
        except DatabaseFailure:
            return NO_RECORD

    def _render_exam(self, request: HttpRequest, exam_id: str) -> HttpResponse:
        look = look_at(request, exam_id)
        may = request.user.has_perm
        context = {
            **self._base(request, f"Exam {exam_id}"),
            **look,
            **list_details(request, exam_id),
            "deeds": [
                {"url": url_of_deed(exam_id, deed), "words": title}
                for deed, (permission, title, _) in DEEDS.items()
                if may(permission)
            ],
            "held": count_held(cache_host().cache, tags_of(exam_id)) if may(VIEW_ENTRIES) else {},
            "may_view_entries": may(VIEW_ENTRIES),
            "may_view_journal": may(VIEW_JOURNAL),
            "may_view_events": may(VIEW_EVENTS),
            "may_view_unreadable": may(VIEW_UNREADABLE),
            "may_view_counts": may(VIEW_COUNTS),
            "may_view_removals": may(VIEW_REMOVALS),
            "may_not_recount": "" if may(RECOUNT_EXAMS) else explain_no_recount(),
            "journal_url": f"{reverse(JOURNAL)}?exam_id={exam_id}",
            "hubspot_url": record_url("mock_exams", exam_id),
        }
        return TemplateResponse(request, "admin/exams/exam.html", context)

    def _render_deed(
        self, request: HttpRequest, exam_id: str, deed: str, form: DeedForm
    ) -> HttpResponse:
        """Ask for a reason; a form that could not be understood is asked for again."""
        _, title, button = DEEDS[deed]
        look = look_at(request, exam_id)
        sight: ExamSight | None = look["sight"]
        held = count_held(cache_host().cache, tags_of(exam_id)) if deed == "remove" else None
        context = {
            **self._base(request, f"{title}: exam {exam_id}"),
            **look,
            "deed": deed,
            "button": button,
            "form": form,
            "token": uuid4(),
            "calls": estimate_calls(expect_bookings(sight)),
            "held": held,
            "held_total": None if held is None else sum(held.values()),
            "exam_url": url_of(exam_id),
        }
        status = 400 if form.is_bound else 200
        return TemplateResponse(request, "admin/exams/deed.html", context, status=status)

    def _require(self, request: HttpRequest, permission: str) -> None:
        if not request.user.has_perm(permission):
            raise PermissionDenied

    def _base(self, request: HttpRequest, title: str) -> dict[str, Any]:
        return {**self.admin_site.each_context(request), "title": title, "opts": self.opts}


def context_of(request: HttpRequest) -> RequestContext:
    """Return what belongs to the request. Imported late: a server has to say where its metrics are
    before anything that counts is imported, and the admin is imported before that."""
    from booking_api.api import context

    return context.context_of(request)


def url_of(exam_id: str) -> str:
    return reverse("admin:booking_api_exam", args=[exam_id])


def url_of_deed(exam_id: str, deed: str) -> str:
    return reverse("admin:booking_api_exam_deed", args=[exam_id, deed])


def tags_of(exam_id: str) -> frozenset[str]:
    return tags_of_exam(exam_id, composition.services().profile)


def explain_no_recount() -> str:
    return (
        "To have it counted needs the permission “Can have exams counted and their counts "
        f"corrected” ({RECOUNT_EXAMS}). An administrator can give it to you."
    )


def look_at(request: HttpRequest, exam_id: str) -> dict[str, Any]:
    """Return the exam as it is known, None with the reason where it is not, and what that cost."""
    meter = CallMeter("console: exam")
    query = composition.query_context(look_context(context_of(request), meter))
    sight, problem = None, ""
    match query.reads.exams([exam_id], query.call).outcome(exam_id):
        case Found(exam):
            (sight,) = see_exams([exam])
        case Missing():
            problem = "HubSpot has no such exam: it was deleted, or never was."
        case Unknown(error):
            problem = f"HubSpot could not be read: {error.safe_text}"
    return {
        "exam_id": exam_id,
        "sight": sight,
        "problem": problem,
        "calls": meter.calls,
        "fresh_s": composition.services().cached.families.exams.ttl_s,
    }


def expect_bookings(sight: ExamSight | None) -> int | None:
    """Return about how many bookings an exam has, None where nobody knows."""
    if sight is None:
        return None
    return sight.exam.stored_total if sight.last is None else sight.last.taken


def list_details(request: HttpRequest, exam_id: str) -> dict[str, Any]:
    """Return what the user may see of the exam's requests, events and records; None for what our
    database does not say now."""
    may = request.user.has_perm
    questions = {
        "requests": (VIEW_JOURNAL, details.list_requests),
        "events": (VIEW_EVENTS, details.list_events),
        "unreadable": (VIEW_EXAMS, details.list_unreadable),
        "counts": (VIEW_EXAMS, details.list_counts),
        "removals": (VIEW_ENTRIES, details.list_removals),
    }
    return {
        name: ask_database(lambda ask=ask: ask(exam_id)) if may(permission) else ()  # type: ignore[misc]
        for name, (permission, ask) in questions.items()
    }


def remove_exam(exam_id: str, *, who: str, reason: str, token: UUID) -> Done:
    """Have the cache forget all that shows an exam, as its own page does."""
    try:
        done = remove_once(cache_host(), removal_of(exam_id), who=who, reason=reason, token=token)
    except SentBefore:
        return SENT_TWICE
    except InvalidationUnacknowledged:
        return NOBODY_TOLD
    if not done.delivered:
        return Done(
            sentence="The cache does not answer. It is told as soon as it does, and until then "
            "nothing is read from it.",
            went_well=False,
        )
    entries = "1 entry" if done.total_removed == 1 else f"{done.total_removed} entries"
    return Done(sentence=f"{entries} removed: all that shows exam {exam_id}.")
