"""Links from one page of the console to another."""

from __future__ import annotations

from typing import Final

from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from booking_api.admin.hubspot_pages import link_record
from hubspot_sync.portal.record_names import is_record_id

STORY: Final = "admin:booking_api_student_story"
EXAM: Final = "admin:booking_api_exam"


def story_url(contact_id: str) -> str | None:
    """Return the address of a contact's story; None for what is no contact's id."""
    return reverse(STORY, args=[contact_id]) if is_record_id(contact_id) else None


def link_story(contact_id: str) -> SafeString | str:
    """Return a link to a contact's story, with its id; the bare text where that is none."""
    url = story_url(contact_id)
    return contact_id if url is None else format_html('<a href="{}">{}</a>', url, contact_id)


def link_exam(exam_id: str) -> SafeString | str:
    """Return a link to an exam's page, with its id; the bare text where that is none."""
    if not is_record_id(exam_id):
        return exam_id
    return format_html('<a href="{}">{}</a>', reverse(EXAM, args=[exam_id]), exam_id)


def describe_exam(exam_id: str) -> SafeString:
    """Return links to an exam's page, and to it in HubSpot where that is known."""
    there = link_record("mock_exams", exam_id, "the exam in HubSpot")
    return format_html("{}{}{}", link_exam(exam_id), ", " if there else "", there or "")
