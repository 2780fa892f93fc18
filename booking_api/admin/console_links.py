"""Links from one page of the console to another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from django.contrib.admin.views.main import ChangeList
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import models
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from typing_extensions import override

from booking_api.admin.hubspot_pages import link_record
from cache_layer.operating.read_only import ReadOnly
from hubspot_sync.portal.record_names import is_record_id

STORY: Final = "admin:booking_api_student_story"
EXAM: Final = "admin:booking_api_exam"
REQUEST: Final = "admin:booking_api_journalentry_change"
VIEW_EXAMS: Final = "booking_api.view_exams"
VIEW_JOURNAL: Final = "booking_api.view_journalentry"
_LINKS: Final = "_links_of_reader"


def story_url(contact_id: str) -> str | None:
    """Return the address of a contact's story; None for what is no contact's id."""
    return reverse(STORY, args=[contact_id]) if is_record_id(contact_id) else None


def link_story(contact_id: str) -> SafeString | str:
    """Return a link to a contact's story, with its id; the bare text where that is none."""
    url = story_url(contact_id)
    return contact_id if url is None else format_html('<a href="{}">{}</a>', url, contact_id)


@dataclass(frozen=True, kw_only=True, slots=True)
class Links:
    """What one reader is linked to: pages that they may open. Of others they read the bare id."""

    exams: bool
    requests: bool
    """And stories, which are pages of the journal's."""

    def link_exam(self, exam_id: str) -> SafeString | str:
        """Return a link to an exam's page, with its id."""
        if not self.exams or not is_record_id(exam_id):
            return exam_id
        return format_html('<a href="{}">{}</a>', reverse(EXAM, args=[exam_id]), exam_id)

    def describe_exam(self, exam_id: str) -> SafeString:
        """Return links to an exam's page, and to it in HubSpot where that is known."""
        there = link_record("mock_exams", exam_id, "the exam in HubSpot")
        return format_html("{}{}{}", self.link_exam(exam_id), ", " if there else "", there or "")

    def link_story(self, contact_id: str) -> SafeString | str:
        """Return a link to a contact's story, with its id."""
        return link_story(contact_id) if self.requests else contact_id

    def link_request(self, row_id: int) -> SafeString | str:
        """Return a link to a request in the journal, with its id."""
        if not self.requests:
            return str(row_id)
        return format_html('<a href="{}">{}</a>', reverse(REQUEST, args=[row_id]), row_id)


def links_of(user: AbstractBaseUser | AnonymousUser) -> Links:
    may = user.has_perm  # type: ignore[union-attr]
    return Links(exams=may(VIEW_EXAMS), requests=may(VIEW_JOURNAL))


def links_from(row: models.Model) -> Links:
    """Return what the reader of a row that a `LinkingPage` shows is linked to."""
    links = row.__dict__.get(_LINKS)
    return links if isinstance(links, Links) else Links(exams=False, requests=False)


class LinkingPage(ReadOnly):
    """A page of rows whose columns link to other pages: each row knows who reads it."""

    @override
    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Any:
        row = super().get_object(request, object_id, from_field)
        if row is not None:
            row.__dict__[_LINKS] = links_of(request.user)
        return row

    @override
    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        listed, links = super().get_changelist_instance(request), links_of(request.user)
        listed.result_list = list(listed.result_list)
        for row in listed.result_list:
            row.__dict__[_LINKS] = links
        return listed
