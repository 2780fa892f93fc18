"""The pages of one student: their story; and the question to HubSpot whose a student id and an
e-mail are, which is asked by a button alone.

Whoever may view the journal may open them; each shows what its reader may see.
"""

from __future__ import annotations

from typing import Any, Final

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path

from booking_api import composition
from booking_api.admin.console_links import STORY, links_of, story_url
from booking_api.admin.hubspot_pages import record_url
from booking_api.admin.students.questions import AskForm, ask_hubspot
from booking_api.admin.students.sight import sight_of
from booking_api.admin.students.story import MAX_PAGE, StoryReader
from booking_api.desk.journal.models import JournalEntry
from cache_layer.operating.read_only import may_see_personal_data
from cache_layer.permissions import VIEW_PERSONAL_DATA, explain_missing
from hubspot_sync.portal.record_names import is_record_id

ASK: Final = "admin:booking_api_student_ask"


def list_mock_types() -> tuple[str, ...]:
    return tuple(each.value for each in composition.services().profile.mock_types)


class StudentPages:
    """The pages, below the journal's; `journal` is its page of the admin."""

    def __init__(self, journal: admin.ModelAdmin[JournalEntry]) -> None:
        self._journal = journal

    def list_urls(self) -> list[URLPattern]:
        wrap = self._journal.admin_site.admin_view
        return [
            path("student/ask/", wrap(self.ask), name=ASK.partition(":")[2]),
            path("student/<str:contact_id>/", wrap(self.show_story), name=STORY.partition(":")[2]),
        ]

    def show_story(self, request: HttpRequest, contact_id: str) -> HttpResponse:
        self._check_may_view(request)
        if not is_record_id(contact_id):
            raise Http404("HubSpot gives no contact such an id.")
        number = _read_page(request.GET.get("page", "1"))
        sight, links = sight_of(request.user), links_of(request.user)
        story = StoryReader(sight, links, list_mock_types()).read(contact_id, number)
        return self._render(
            request,
            "admin/students/story.html",
            title=f"Student, contact {contact_id}",
            story=story,
            hidden=list(sight.list_hidden()),
            hubspot_url=record_url("contacts", contact_id),
            newer=number - 1 if number > 1 else None,
            older=number + 1 if story.has_older and number < MAX_PAGE else None,
            is_cut=story.has_older and number == MAX_PAGE,
            may_ask=sight.persons,
        )

    def ask(self, request: HttpRequest) -> HttpResponse:
        """By POST, because addresses are logged and the answer costs calls."""
        self._check_may_view(request)
        if not may_see_personal_data(request):
            raise PermissionDenied(explain_missing(VIEW_PERSONAL_DATA))
        form = AskForm(request.POST if request.method == "POST" else None)
        answer = None
        if form.is_valid():
            services = composition.services()
            answer = ask_hubspot(
                services.hubspot, form.cleaned_data["student_id"], form.cleaned_data["email"]
            )
        return self._render(
            request,
            "admin/students/ask.html",
            title="Whose are this student id and e-mail?",
            form=form,
            answer=answer,
            story_url=None if answer is None else story_url(answer.contact_id),
            hubspot_url=None if answer is None else record_url("contacts", answer.contact_id),
        )

    def _check_may_view(self, request: HttpRequest) -> None:
        if not self._journal.has_view_permission(request):
            raise PermissionDenied

    def _render(self, request: HttpRequest, template: str, **context: Any) -> HttpResponse:
        site = self._journal.admin_site
        everywhere = {**site.each_context(request), "opts": self._journal.opts}
        return TemplateResponse(request, template, {**everywhere, **context})


def _read_page(text: str) -> int:
    """Return a page's number; the first for what is none, the last for what lies beyond."""
    if not (text.isascii() and text.isdecimal()) or len(text) > len(str(MAX_PAGE)):
        return 1
    return min(max(int(text), 1), MAX_PAGE)
