"""docs/api/: every code of the API is there with what to do about it, and no other."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pytest
from django.urls import URLResolver, get_resolver

from booking_api.api.errors import STATUS_OF_CODE
from booking_api.api.schema.operations import operation_of
from tests.documents.markdown import ROOT, rows_of

PAGES = ROOT / "docs" / "api"
HEAD = ["code", "status", "what it means", "what to do", "repeat"]
CODE = re.compile(r"`([A-Z]+(?:_[A-Z]+)*)`")
VARIABLES = {"BASE_URL", "STUDENT_ID", "EMAIL", "PATCH", "DELETE", "JSON"}
WAIT = {"REQUEST_IN_PROGRESS", "THROTTLED", "HUBSPOT_UNAVAILABLE", "RATE_LIMITED"}
"""What has `retryAfter`."""
METHODS = ("get", "post", "patch", "delete")


def table() -> dict[str, list[str]]:
    head, *rows = rows_of(PAGES / "errors.md")
    assert head == HEAD
    return {row[0].strip("`"): row[1:] for row in rows}


def test_the_table_has_each_code_with_its_status() -> None:
    written = {code: int(status) for code, (status, *_) in table().items()}

    assert written == STATUS_OF_CODE


def test_each_code_says_what_to_do_and_whether_to_repeat() -> None:
    for code, (_, meaning, to_do, repeat) in table().items():
        assert meaning.endswith("."), code
        assert to_do.endswith("."), code
        assert repeat in {"no", "once", "yes"}, code


def test_what_says_when_to_come_back_may_be_repeated() -> None:
    assert {repeat for code, (*_, repeat) in table().items() if code in WAIT} == {"yes"}


@pytest.mark.parametrize("page", sorted(path.name for path in PAGES.glob("*.md")))
def test_the_pages_name_no_other_code(page: str) -> None:
    named = set(CODE.findall((PAGES / page).read_text(encoding="utf-8")))

    assert named - VARIABLES - set(STATUS_OF_CODE) == set()


# The rows of a page's own table, and the operation that they are about.
OWN_TABLES = [("book-a-seat", "createBooking")]


@pytest.mark.parametrize(("page", "operation"), OWN_TABLES)
def test_a_page_says_what_to_do_about_the_codes_of_its_operation(page: str, operation: str) -> None:
    named = {code for row in rows_of(PAGES / f"{page}.md") for code in CODE.findall(row[0])}

    assert named - codes_of(operation) == set()
    # What is about the request as such stands in the table of all.
    assert codes_of(operation) - named <= {
        *("VALIDATION_ERROR", "NOT_ACCEPTABLE", "MALFORMED_JSON"),
        *("REQUEST_TIMEOUT", "LENGTH_REQUIRED", "PAYLOAD_TOO_LARGE", "UNSUPPORTED_MEDIA_TYPE"),
        "CONTACT_NOT_FOUND",
    }


def codes_of(wanted: str) -> frozenset[str]:
    """Return the codes that an operation can answer."""
    for view in views_of(get_resolver().url_patterns):
        for method in METHODS:
            found = operation_of(getattr(view, "cls", None), getattr(view, "actions", None), method)
            if found is not None and found.id == wanted:
                return found.codes
    raise AssertionError(wanted)


def views_of(patterns: Iterable[object]) -> Iterable[object]:
    return (pattern.callback for pattern in patterns if not isinstance(pattern, URLResolver))
