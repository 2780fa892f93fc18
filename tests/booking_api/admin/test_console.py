"""Every page of the console: what a browser may do with it, what it says, in which order."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from tests.console import PASSWORD, crawl, fill_console, make_staff, read_page

POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self'",
    "connect-src": "'self'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
    "base-uri": "'none'",
}

pytestmark = pytest.mark.django_db


@pytest.fixture
def client() -> Client:
    """Olga's, in a console with rows of every kind."""
    make_staff()
    fill_console()
    client = Client()
    client.force_login(User.objects.get(username="olga"))
    return client


def policy_of(header: str) -> dict[str, str]:
    pairs = (part.strip().partition(" ") for part in header.split(";"))
    return {name: sources for name, _, sources in pairs}


def test_nothing_stands_in_a_page_that_could_run(client: Client) -> None:
    pages = dict(crawl(client))

    assert len(pages) > 60
    found = {path: read_page(html).found for path, html in pages.items()}
    assert {path: complaints for path, complaints in found.items() if complaints} == {}


def test_what_a_form_is_answered_with_has_nothing_that_could_run(client: Client) -> None:
    user = User.objects.get(username="sam")
    events = reverse("admin:hubspot_sync_seensignature_changelist")
    answers = [
        Client().get("/admin/login/"),
        Client(REMOTE_ADDR="192.0.2.78").post(
            "/admin/login/", {"username": "sam", "password": "wrong"}
        ),
        client.post("/admin/password_change/", {"old_password": "wrong"}),
        client.post("/admin/auth/user/add/", {"username": ""}),
        client.post(f"/admin/auth/user/{user.pk}/password/", {"password1": "a", "password2": "b"}),
        client.post(events, {"action": "delete_selected", "_selected_action": ["v3"]}),
        client.post("/admin/cache/cachepage/invalidate/", {"scope": "all"}),
        client.get("/admin/auth/group/add/?_popup=1"),
        client.post("/admin/auth/group/add/", {"name": "others", "_popup": "1"}),
        client.get("/admin/auth/user/?q=nobody+at+all"),
        client.post("/admin/logout/"),
    ]

    for answer in answers:
        assert answer.status_code == 200
        assert read_page(answer.content.decode()).found == []
        policy = policy_of(answer.headers["Content-Security-Policy"])
        assert {name: policy.get(name) for name in POLICY} == POLICY
        assert "unsafe" not in answer.headers["Content-Security-Policy"]


def test_whoever_guesses_too_often_is_told_on_a_page_of_ours() -> None:
    make_staff()
    guesser = Client(REMOTE_ADDR="192.0.2.77")

    tries = [
        guesser.post("/admin/login/", {"username": "olga", "password": f"{PASSWORD}{number}"})
        for number in range(21)
    ]

    refused = tries[-1]
    assert refused.status_code == 429
    assert "Mock Exam Booking" in refused.content.decode()
    assert read_page(refused.content.decode()).found == []


def test_the_front_page_has_what_the_desk_does_first_and_names_of_the_domain(
    client: Client,
) -> None:
    _, _, html = client.get("/admin/").content.decode().partition('id="pages"')

    places = [
        html.index(f'href="/admin/{path}/"')
        for path in (
            "booking_api/journalentry",
            "hubspot_sync/webhookevent",
            "cache/cachepage",
            "auth/user",
        )
    ]
    assert places == sorted(places)


def test_times_are_those_of_the_portals_place_with_seconds_and_the_place_is_named(
    client: Client,
) -> None:
    html = client.get("/admin/booking_api/journalentry/").content.decode()

    assert "2 Jul 2026, 00:30:15" in html
    assert "Europe/London" in html


def test_a_day_that_is_chosen_is_a_day_of_the_portals_place(client: Client) -> None:
    page = "/admin/booking_api/outboxnote/"
    there = "?noted_at__year=2026&noted_at__month=7&noted_at__day="

    assert "00:30:15" in client.get(f"{page}{there}2").content.decode()
    assert "00:30:15" not in client.get(f"{page}{there}1").content.decode()


def test_the_api_says_its_times_in_utc_as_ever(client: Client) -> None:
    client.get("/admin/")

    assert client.get("/api/health").json()["data"]["timestamp"].endswith("+00:00")


def test_a_page_that_is_refused_says_why_in_words_and_leads_back(client: Client) -> None:
    sam, strict = Client(), Client(enforce_csrf_checks=True)
    sam.force_login(User.objects.get(username="sam"))
    strict.force_login(User.objects.get(username="olga"))
    refused = [
        (sam.get("/admin/booking_api/journalentry/"), 403, "You are logged in as sam"),
        (client.get("/admin/nothing/here/"), 404, "There is no such page"),
        (client.get("/nothing/here"), 404, "There is no such page"),
        (
            strict.post("/admin/auth/group/add/", {"name": "others"}),
            403,
            "the form was out of date",
        ),
    ]

    for answer, status, words in refused:
        text = answer.content.decode()
        assert answer.status_code == status
        assert words.lower() in text.lower()
        assert "Mock Exam Booking" in text
        assert read_page(text).found == []


def test_an_empty_list_says_so_in_a_sentence() -> None:
    make_staff()
    client = Client()
    client.force_login(User.objects.get(username="olga"))

    for page, sentence in (
        ("booking_api/journalentry/", "Nobody has asked the desk for anything yet."),
        ("booking_api/erasurerequest/", "Nobody waits to be forgotten."),
        ("hubspot_sync/unreadablevalue/", "No value was found that cannot be read."),
        ("booking_api/journalentry/?outcome=undone", "Nothing is found"),
        ("auth/group/", "There is nothing here yet."),
    ):
        assert sentence in client.get(f"/admin/{page}").content.decode()
