"""The admin's login, with a bound on how fast passwords may be guessed."""

from __future__ import annotations

import math

from django.contrib import admin
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import render

from booking_api.api.guesses import take_login_attempt

LOGGED_IN = 302


def answer_login(request: HttpRequest) -> HttpResponseBase:
    """Answer as Django's own login does, or 429 with a page where too many tries were wrong."""
    if request.method in {"GET", "HEAD", "OPTIONS"}:
        return admin.site.login(request)
    attempt = take_login_attempt(request, request.POST.get("username", ""))
    if not attempt.granted:
        return refuse(request, attempt.retry_after_s)
    try:
        response = admin.site.login(request)
    except Exception:
        attempt.give_back()
        raise
    if response.status_code == LOGGED_IN:
        attempt.count_right()
    else:
        attempt.count_wrong()
    return response


def refuse(request: HttpRequest, retry_after_s: float) -> HttpResponseBase:
    wait_s = max(1, math.ceil(retry_after_s))
    context = {
        **admin.site.each_context(request),
        "title": "Too many tries",
        "wait_min": math.ceil(wait_s / 60),
    }
    response = render(request, "admin/login_refused.html", context, status=429)
    response["Retry-After"] = str(wait_s)
    return response
