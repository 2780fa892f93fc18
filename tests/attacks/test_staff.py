"""What staff get at who were given nothing, or not what it takes."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from tests.api import connected
from tests.attacks.staff import CACHE, PAGES, SEE_PERSONS, Person
from tests.builders import Exam, Portal, Student
from tests.desk import CREATE, create_body
from tests.server import Server

Accounts = tuple[str, Mapping[str, tuple[str, str]]]
"""A database's address, and each one's token and session."""

SECRET = "a-scheduler's-own-secret"
KEY = "key-of-her-own"
REASON = "Aunt Agatha arrives"
PAGE = "/admin/cache/cachepage/"
JOB = "/api/cron/validate-cache-consistency"
ENDPOINTS = (
    ("GET", "/api/admin/cache/stats", None, "view_entries"),
    ("POST", "/api/admin/cache/invalidate", {"family": "exams"}, "invalidate"),
    ("POST", "/api/admin/cache/validate", {"sample": 1}, "validate"),
    ("GET", JOB, None, "validate"),
    ("POST", JOB, {"sample": 1}, "validate"),
)
FORMS = (
    ("look-up", {"key": "contact:77:details"}, "view_entries"),
    ("validate", {"sample": "1"}, "validate"),
    ("invalidate", {"scope": "all"}, "invalidate"),
)
STAFF = (*CACHE, SEE_PERSONS, "none", "operator", "trusted", "root", "veteran", "retired")
MAX_ROWS = 3
MANY = 10_000
UNFIT = ("none", "retired")


def holders(permission: str) -> set[str]:
    """Who of the staff holds a permission of the cache."""
    return {permission, "operator", "trusted", "root", "veteran"}


def other_than(permission: str) -> str:
    """Somebody who may open the page, and not do this there."""
    return "validate" if permission == "invalidate" else "invalidate"


@pytest.fixture(scope="module")
def environment(accounts: Accounts) -> Mapping[str, str]:
    # So many comparisons in a row would wait for the usual budget.
    return {"DATABASE_URL": accounts[0], "CRON_SECRET": SECRET, "HUBSPOT_RATE_LIMIT": str(MANY)}


@pytest.fixture(scope="module")
def portal(portal: Portal) -> Portal:
    portal.sandbox.configure(rate_limit=MANY, search_rate=MANY)
    return portal


@pytest.fixture(scope="module")
def people(accounts: Accounts, server: Server) -> Mapping[str, Person]:
    known = {name: Person(server, *keys) for name, keys in accounts[1].items()}
    return known | {"anonymous": Person(server), "cron": Person(server, f"Bearer {SECRET}")}


@dataclass(frozen=True, slots=True)
class Traces:
    """What Alice has left behind: a booking, its cancelling and a webhook."""

    alice: Student
    exam: Exam

    @property
    def personal(self) -> tuple[str, ...]:
        alice = self.alice
        return (alice.email, alice.student_id, alice.firstname, alice.lastname, KEY, REASON)


@pytest.fixture(scope="module")
def traces(server: Server, portal: Portal, people: Mapping[str, Person]) -> Traces:
    alice, exam = portal.student("alice"), portal.exam()
    booked = server.post(CREATE, create_body(alice, exam), **{"Idempotency-Key": KEY})
    assert booked.status == 201, booked.body
    path = f"/api/bookings/{booked.body['data']['booking_record_id']}"
    gone = server.send("DELETE", path, json.dumps({**alice.pair, "reason": REASON}).encode())
    assert gone.status == 200, gone.body
    named = {"keys": [f"contact:{alice.email}:details"], "reason": f"asked by {alice.email}"}
    removed = people["root"].ask("POST", "/api/admin/cache/invalidate", named)
    assert removed.status == 200, removed.body
    assert server.get("/api/bookings/list", **alice.pair).status == 200
    return Traces(alice, exam)


@pytest.mark.parametrize(("method", "path", "body", "permission"), ENDPOINTS)
def test_each_endpoint_asks_for_its_own_permission(
    method: str, path: str, body: Any, permission: str, people: Mapping[str, Person]
) -> None:
    got = {name: person.ask(method, path, body) for name, person in people.items()}

    assert {name for name in STAFF if got[name].status == 200} == holders(permission)
    refused = {name: got[name] for name in STAFF if got[name].status != 200}
    for answer in refused.values():
        assert (answer.status, answer.code) == (403, "ACCESS_DENIED")
        assert f"cache.{permission}" in answer.body["error"]
    assert (got["customer"].status, got["customer"].code) == (403, "ACCESS_DENIED")
    assert (got["anonymous"].status, got["anonymous"].code) == (401, "AUTH_FAILED")
    assert got["cron"].status == (200 if path == JOB else 401)


def test_seats_are_counted_for_the_scheduler_and_all_staff(
    people: Mapping[str, Person], traces: Traces
) -> None:
    body = {"mock_exam_ids": [traces.exam.id], "dry_run": True}
    for path in ("/api/mock-exams/sync-capacity", "/api/cron/sync-capacity"):
        got = {name: person.ask("POST", path, body).status for name, person in people.items()}

        assert {name for name, status in got.items() if status == 200} == {*STAFF, "cron"}
        assert (got["customer"], got["anonymous"]) == (403, 401)


@pytest.mark.parametrize(("form", "fields", "permission"), FORMS)
def test_each_form_of_the_page_asks_for_its_own_permission(
    form: str, fields: dict[str, str], permission: str, people: Mapping[str, Person]
) -> None:
    got = {name: people[name].submit(f"{PAGE}{form}/", **fields) for name in STAFF}

    assert {name for name in STAFF if got[name].status == 200} == holders(permission)
    assert {got[name].status for name in STAFF} == {200, 403}
    assert f"cache.{permission}" in got[other_than(permission)].body.decode()
    for name in ("customer", "anonymous"):
        assert people[name].submit(f"{PAGE}{form}/", **fields).status == 302, "to the login"


def test_staff_without_any_permission_can_only_log_in(
    people: Mapping[str, Person], traces: Traces
) -> None:
    for name in UNFIT:
        index = people[name].open("/admin/")
        assert (index.status, b"/admin/cache/" in index.body) == (200, False)
        assert people[name].open(PAGE).status == 403
        pages = {page: people[name].open(f"/admin/{page}/").status for page in PAGES}
        assert set(pages.values()) == {403}, pages
    for name in (*CACHE, "veteran"):
        assert people[name].open(PAGE).status == 200


def test_the_upgrade_keeps_what_all_staff_could_do_and_gives_nobody_else_anything(
    people: Mapping[str, Person], traces: Traces
) -> None:
    key = f"contact:{traces.alice.email}:details"

    seen = people["veteran"].submit(f"{PAGE}look-up/", key=key).body.decode()

    assert traces.alice.student_id in seen
    assert people["retired"].submit(f"{PAGE}look-up/", key=key).status == 403
    assert people["customer"].open(PAGE).status == 302


def test_no_page_says_who_somebody_is_to_whoever_may_not_see_it(
    people: Mapping[str, Person], traces: Traces
) -> None:
    shown = "".join(crawl(people["trusted"]))
    masked = "".join(crawl(people["operator"]))

    assert [text for text in traces.personal if text not in shown] == []
    assert [text for text in traces.personal if text in masked] == []
    assert "•••" in masked


def crawl(person: Person) -> Iterator[str]:
    """Open every list, the details and the history of its latest rows, the stories and exams that
    it leads to, and the front page."""
    for page in (*PAGES, "booking_api/exampage"):
        listed = person.open(f"/admin/{page}/").body.decode()
        yield html.unescape(listed)
        for path in set(
            re.findall(r"/admin/booking_api/(?:journalentry/student|exampage)/\d+/", listed)
        ):
            yield html.unescape(person.open(path).body.decode())
        rows = dict.fromkeys(re.findall(rf"/admin/{page}/[^/\"]+/(?=change/)", listed))
        for path in list(rows)[:MAX_ROWS]:
            for view in ("change/", "history/"):
                opened = person.open(f"{path}{view}")
                assert opened.status == 200, path
                yield html.unescape(opened.body.decode())
    for path in (PAGE, "/admin/", "/admin/now/"):
        yield html.unescape(person.open(path).body.decode())


def test_a_held_value_has_its_texts_masked(people: Mapping[str, Person], traces: Traces) -> None:
    key = f"contact:{traces.alice.id}:details"

    masked = html.unescape(people["operator"].submit(f"{PAGE}look-up/", key=key).body.decode())
    shown = html.unescape(people["trusted"].submit(f"{PAGE}look-up/", key=key).body.decode())

    assert '"student_id": "•••"' in masked
    assert f'"student_id": "{traces.alice.student_id}"' in shown
    assert [text for text in traces.personal if text in masked] == []


def test_neither_search_nor_filter_nor_count_finds_a_person_letter_by_letter(
    people: Mapping[str, Person], traces: Traces
) -> None:
    operator, trusted, alice = people["operator"], people["trusted"], traces.alice
    journal, outbox = "/admin/booking_api/journalentry/", "/admin/booking_api/outboxnote/"

    removals = "/admin/cache/cacheinvalidation/"

    for page, term in ((journal, alice.email), (outbox, alice.email[:5]), (removals, alice.email)):
        found = trusted.open(page, q=term).body
        assert re.search(rf"{page}\d+/change/".encode(), found), page
        for text in traces.personal:
            assert not re.search(rf"{page}\d+/".encode(), operator.open(page, q=text).body), text
    for page, lookup in (
        (journal, "email__startswith"),
        (journal, "request__student_id"),
        (journal, "idempotency_key"),
        (journal, "fingerprint__gt"),
        (journal, "note__body__contains"),
        (outbox, "body__contains"),
        (outbox, "entry__email"),
        ("/admin/hubspot_sync/webhookevent/", "raw__contains"),
        ("/admin/cache/cacheinvalidation/", "named__contains"),
    ):
        assert operator.open(page, **{lookup: "a"}).status == 400, lookup


@pytest.mark.parametrize(
    ("named", "looked_up"),
    [
        (("keys", "contact:{email}:details"), 403),
        (("pattern", "contact:{first}*"), 200),  # a single letter is no e-mail
        (("pattern", "*{email}"), 403),
    ],
)
def test_no_removal_tells_of_an_email(
    named: tuple[str, str], looked_up: int, people: Mapping[str, Person], traces: Traces
) -> None:
    scope = named[0]
    name = named[1].format(email=traces.alice.email, first=traces.alice.email[0])
    body = {scope: [name] if scope == "keys" else name}

    page = people["operator"].submit(f"{PAGE}invalidate/", scope=scope, named=name)
    answer = people["operator"].ask("POST", "/api/admin/cache/invalidate", body)

    assert (page.status, answer.status, answer.code) == (403, 403, "ACCESS_DENIED")
    assert "cache.view_personal_data" in answer.body["error"]
    assert people["operator"].submit(f"{PAGE}look-up/", key=name).status == looked_up


def test_the_command_says_which_permission_its_token_lacks(
    settings: Settings, people: Mapping[str, Person], server: Server, portal: Portal
) -> None:
    token = people["invalidate"].token.removeprefix("Token ")

    with connected(settings, portal.sandbox), pytest.raises(CommandError) as refused:
        call_command("validate_cache", "--url", server.base_url, "--token", token)

    assert refused.value.returncode == 2
    assert "cache.validate" in str(refused.value)
