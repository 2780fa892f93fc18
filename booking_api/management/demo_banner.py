"""What `make run` prints for a newcomer: addresses, the login, lines to paste.

The people and exams are those of the sandbox's demo data (`sandbox/data/demo.py`), the same on
every machine; only the day of an exam is asked for.
"""

from __future__ import annotations

import json
import secrets
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

ADA = {"student_id": "S1001", "email": "ada.lovelace@example.org"}
ADAS_BOOKING = "900001"
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


def render_banner(api_url: str, sandbox_url: str, login: str | None, portal: str) -> str:
    """Return the lines; `login` is None in a database with administrators of its own."""
    if login is None:
        login = "with an administrator of your database (manage.py changepassword helps)"
    lines = "\n".join(
        f"    {line}"
        for line in (*make_read_commands(api_url, portal), *make_write_commands(api_url, portal))
    )
    return f"""
  API        {api_url}/            documentation {api_url}/api/docs
  Admin      {api_url}/admin/      {login}
  Sandbox    {sandbox_url}/_sandbox/calls   what HubSpot was asked

  Try:
{lines}

  Ctrl-C ends everything.
"""


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
        with urlopen(available_exams_url(api_url, mock_type), timeout=ANSWER_TIMEOUT_S) as response:  # noqa: S310 - our own address
            exams = json.load(response)["data"]
    except (URLError, OSError, ValueError, KeyError):
        return None
    return next(
        (str(exam["exam_date"]) for exam in exams if exam["mock_exam_id"] == EMPTY_EXAM), None
    )
