"""The front page of the console, and the part of it that is fetched again and again.

Any member of staff sees it: it names nobody. What they may not open is no link. It comes also while
the database, the cache or HubSpot is silent, and then says what is not known.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import structlog
from django.contrib import admin
from django.db import Error as DatabaseFailure
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone

from booking_api.admin.now.cache_section import show_cache
from booking_api.admin.now.charts import build_charts
from booking_api.admin.now.desk_sections import (
    show_bookings,
    show_persons,
    show_waiting,
)
from booking_api.admin.now.facts import Section
from booking_api.admin.now.hubspot_section import show_hubspot
from booking_api.admin.now.links import Links
from booking_api.admin.now.problems import list_problems, sum_up
from booking_api.admin.now.process_sections import show_jobs, show_requests, show_workers
from booking_api.admin.now.webhooks_section import show_webhooks
from booking_api.ops.now.picture import Picture, take_picture
from cache_layer.operating.read_only import may_see_personal_data
from hubspot_sync.background.database_errors import is_database_away
from hubspot_sync.background.wait_limits import waiting_at_most

REFRESH_EVERY_S: Final = 10
MAX_WAIT_S: Final = 3.0
"""For the database to say who asks."""

View = Callable[[HttpRequest], HttpResponse]

log = structlog.get_logger(__name__)


def show_front_page(request: HttpRequest) -> HttpResponse:
    return _answer_in_time(request, _show_front_page)


def show_now(request: HttpRequest) -> HttpResponse:
    """What the front page shows, without the page around it."""
    if request.headers.get("Sec-Fetch-Mode") == "navigate":
        return HttpResponseRedirect(reverse("admin:index"))
    return _answer_in_time(request, _show_now)


def _answer_in_time(request: HttpRequest, view: View) -> HttpResponse:
    """Return the view's answer to a member of staff. Who asks is known by the database: where that
    is away, nobody is shown anything but this."""
    try:
        with waiting_at_most(MAX_WAIT_S):
            answer = admin.site.admin_view(view)(request)
            if isinstance(answer, TemplateResponse):
                answer.render()  # here: what is rendered later would ask the database later
            return answer
    except DatabaseFailure as error:
        if not is_database_away(error):
            raise
        log.warning("front_page_without_database", error=type(error).__name__)
        context = {"at": timezone.localtime(), "every_s": REFRESH_EVERY_S}
        return HttpResponse(render_to_string("admin/now/away.html", context), status=503)


def _show_front_page(request: HttpRequest) -> HttpResponse:
    return admin.site.index(request, extra_context={"title": "Now", **build_context(request)})


def _show_now(request: HttpRequest) -> HttpResponse:
    return HttpResponse(render_to_string("admin/now/now.html", build_context(request), request))


def build_context(request: HttpRequest) -> dict[str, Any]:
    """Return what the templates show; the user's permissions are read first, while they can be."""
    request.user.get_all_permissions()
    links, picture = Links(request), take_picture()
    problems = list_problems(picture, links)
    return {
        "at": timezone.localtime(picture.at),
        "every_s": REFRESH_EVERY_S,
        "state": sum_up(problems),
        "problems": problems,
        "columns": list_columns(picture, links),
        "journal_url": links.journal(),
        "exams_url": links.exams,
        "may_find_persons": may_see_personal_data(request),
        "charts": build_charts(picture.history),
    }


def list_columns(picture: Picture, links: Links) -> tuple[list[Section], list[Section]]:
    """Return what is ours, and what is HubSpot's and our callers': side by side where there is
    room."""
    ours = [
        show_bookings(picture, links),
        show_waiting(picture, links),
        show_persons(picture, links),
        show_jobs(picture),
        show_workers(picture, links),
    ]
    others = [
        show_hubspot(picture),
        show_cache(picture, links),
        show_webhooks(picture, links),
        show_requests(picture),
    ]
    return ours, others
