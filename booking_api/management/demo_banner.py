"""What `make run` prints for a newcomer: addresses, the login, lines to paste.

The people and exams are those of the sandbox's demo data (`sandbox/data/demo.py`), the same on
every machine; only the day of an exam is asked for.
"""

from __future__ import annotations

import json
import secrets
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.error import URLError
from urllib.parse import urlencode

from cache_layer.operating.direct_requests import open_directly
from hubspot_sync.portal.profile import load_profile

ADA = {"student_id": "S1001", "email": "ada.lovelace@example.org"}
ADAS_BOOKING = "900001"
ADAS_OTHER_BOOKING = "900002"
CHIARA = {
    "student_id": "S1003",
    "email": "chiara.rossi@example.org",
    "contact_id": "101003",
    "name": "Chiara Rossi",
}
EMPTY_EXAM = "500004"
ANSWER_TIMEOUT_S = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class DemoWords:
    """What a portal calls the type of the empty exam, and what a booking of it wants besides; and
    the type whose credits are looked at."""

    booked: str
    extra: Mapping[str, Any] = field(default_factory=dict)
    checked: str


WORDS = {
    "default": DemoWords(booked="clinical", checked="clinical"),
    "prepdoctors": DemoWords(
        booked="Situational Judgment",
        extra={"attending_location": "mississauga"},
        checked="Clinical Skills",
    ),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Demo:
    """What was started. `login` is None in a database with administrators of its own, `api_log`
    where the API's log is shown instead."""

    api_url: str
    sandbox_url: str
    login: str | None
    portal: str
    api_log: str | None
    sandbox_pid_file: str


def render_banner(demo: Demo, *, has_terminal: bool) -> str:
    """Return the lines; asks the API for the day of an exam."""
    api_url, portal = demo.api_url, demo.portal
    login = demo.login
    if login is None:
        login = "with an administrator of your database (manage.py changepassword helps)"
    lines = indent((*make_read_commands(api_url, portal), *make_write_commands(api_url, portal)))
    log = f"{demo.api_log}   a line for each request; ARGS=--log-requests shows them here"
    again = "Enter prints this again. " if has_terminal else ""
    return f"""
  API        {api_url}/            documentation {api_url}/api/docs
  Admin      {api_url}/admin/      {login}
  Sandbox    {demo.sandbox_url}/_sandbox/calls   what HubSpot was asked
  Log        {"here" if demo.api_log is None else log}

  Try:
{lines}

  Edit a record in the sandbox, as a person does in HubSpot; the API hears of it and shows it:
{indent((make_edit_command(demo.sandbox_url, portal),))}

  Be without HubSpot:   kill -9 $(cat {demo.sandbox_pid_file})
  All this step by step: docs/tour.md

  {again}Ctrl-C ends everything.
"""


def indent(commands: Iterable[str]) -> str:
    return "\n".join(f"    {command}" for command in commands)


def make_edit_command(sandbox_url: str, portal: str) -> str:
    """Put another name into one of Ada's bookings, by the sandbox's control interface."""
    profile = load_profile(portal)
    record = f"{profile.object_types.bookings}/{ADAS_OTHER_BOOKING}"
    properties = {profile.booking_properties["name"]: "Ada King"}
    return make_curl_command(
        "PATCH", f"{sandbox_url}/_sandbox/records/{record}", {"properties": properties}
    )


def make_read_commands(api_url: str, portal: str) -> tuple[str, ...]:
    words = WORDS[portal]
    return (
        f"curl '{api_url}/api/bookings/list?{urlencode(ADA, safe='@')}'",
        f"curl '{available_exams_url(api_url, words.checked)}'",
        make_curl_command(
            "POST", f"{api_url}/api/mock-exams/validate-credits", ADA | {"mock_type": words.checked}
        ),
    )


def make_write_commands(api_url: str, portal: str) -> tuple[str, ...]:
    """Book a seat for one student, cancel one of another's. A booking that is sent twice with its
    key is made once; without the exam's day there is no such line."""
    words = WORDS[portal]
    cancel = make_curl_command(
        "DELETE", f"{api_url}/api/bookings/{ADAS_BOOKING}", ADA | {"reason": "trying it out"}
    )
    day = fetch_empty_exam_day(api_url, words.booked)
    if day is None:
        return (cancel,)
    body = CHIARA | {
        "mock_exam_id": EMPTY_EXAM,
        "exam_date": day,
        "mock_type": words.booked,
        **words.extra,
    }
    key = f"Idempotency-Key: {secrets.token_hex(8)}"
    return make_curl_command("POST", f"{api_url}/api/bookings/create", body, key), cancel


def make_curl_command(method: str, url: str, body: Mapping[str, Any], *headers: str) -> str:
    """Return a command in two lines."""
    sent = "".join(f" -H '{header}'" for header in ("Content-Type: application/json", *headers))
    return f"curl -X {method} '{url}'{sent} \\\n         -d {shlex.quote(json.dumps(body))}"


def available_exams_url(api_url: str, mock_type: str) -> str:
    return f"{api_url}/api/mock-exams/available?mock_type={mock_type.replace(' ', '%20')}"


def fetch_empty_exam_day(api_url: str, mock_type: str) -> str | None:
    try:
        url = available_exams_url(api_url, mock_type)
        with open_directly(url, timeout_s=ANSWER_TIMEOUT_S) as response:
            exams = json.load(response)["data"]
    except (URLError, OSError, ValueError, KeyError):
        return None
    return next(
        (str(exam["exam_date"]) for exam in exams if exam["mock_exam_id"] == EMPTY_EXAM), None
    )
