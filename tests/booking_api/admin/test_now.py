"""The console's front page: what is true now, in numbers that lead to what is behind them."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import OperationalError, connection
from django.test import Client
from django.utils import timezone

from booking_api import composition
from booking_api.desk.desk import LEASE_NAME
from booking_api.desk.errors import UNREADABLE_PLAN, HistoryCut
from booking_api.desk.journal.lease import LeaseKeeper
from booking_api.desk.journal.models import CreditReview, EntryState, JournalEntry, RecountRequest
from booking_api.desk.repair.credit_reconciliation import FOR_A_PERSON
from booking_api.ops.history.models import HistoryRow, JobRun
from booking_api.ops.history.process import History, history, start_history
from cache_layer import CacheConfig
from hubspot_sync.feed.models import FeedPosition
from hubspot_sync.inbox.models import WebhookEvent
from hubspot_sync.portal.models import UnreadableValue
from hubspot_sync.wire.circuit_breaker import BreakerState
from tests.api import Api
from tests.builders import Portal
from tests.desk import create

pytestmark = pytest.mark.django_db(transaction=True)

FACT = re.compile(
    r'<div data-fact="(?P<key>[\w-]+)"><dt>[^<]*</dt>\s*<dd>\s*(?P<body>.*?)\s*</dd>', re.DOTALL
)
CELL = re.compile(r'<td class="c-number" data-fact="(?P<key>[^"]+)">(?P<body>.*?)</td>', re.DOTALL)
HREF = re.compile(r'href="([^"]+)"')
TAGS = re.compile(r"<[^>]+>")


@pytest.fixture(autouse=True)
def counting() -> Iterator[History]:
    """A process that has counted nothing yet."""
    history.cache_clear()
    start_history()
    yield history()
    history.cache_clear()


def staff(*permissions: str, superuser: bool = False, name: str = "olga") -> Client:
    user = User.objects.create_user(name, is_staff=True, is_superuser=superuser)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client(raise_request_exception=False)
    client.force_login(user)
    return client


def look(client: Client, path: str = "/admin/") -> str:
    answer = client.get(path)
    assert answer.status_code == 200, answer.content
    return html.unescape(answer.content.decode())


def facts(page: str) -> dict[str, tuple[str, str]]:
    """The numbers of the page and where they lead, by their keys."""
    found = {}
    for pattern in (FACT, CELL):
        for match in pattern.finditer(page):
            assert match["key"] not in found, "a number stands there twice"
            leads = HREF.search(match["body"])
            words = TAGS.sub("", match["body"]).strip()
            found[match["key"]] = (words, leads[1] if leads else "")
    return found


def state_of(page: str) -> str:
    match = re.search(r'<p class="c-state c-(\w+)" id="state">(.*?)</p>', page, re.DOTALL)
    assert match is not None
    return f"{match[1]}: {TAGS.sub('', match[2]).strip()}"


def entry(number: int, state: str, **fields: Any) -> JournalEntry:
    now = timezone.now()
    return JournalEntry.objects.create(
        **{
            "kind": "create",
            "state": state,
            "idempotency_key": f"key {number}",
            "email": "alice@example.org",
            "arrived_at": now,
            "wanted_until": now,
            "changed_at": now,
            **fields,
        }
    )


def event(number: int, state: str, at: datetime | None = None) -> None:
    WebhookEvent.objects.create(
        digest=f"digest {number}",
        receipt="00000000-0000-0000-0000-000000000000",
        subscription="object.propertyChange",
        kind="contact",
        raw="{}",
        state=state,
        received_at=at or timezone.now(),
        due_at=timezone.now() + timedelta(hours=1),
    )


def fill() -> None:
    """Rows of every kind that a number of the page counts."""
    soon = timezone.now() + timedelta(hours=1)
    states = (
        [(EntryState.DONE, "create")] * 3
        + [(EntryState.DONE, "cancel")] * 2
        + [(EntryState.DONE, "update"), (EntryState.QUEUED, "create")]
    )
    for number, (state, kind) in enumerate(states):
        entry(number, state, kind=kind, next_attempt_at=soon)
    for number, code in enumerate(
        ["EXAM_FULL", "EXAM_FULL", "DUPLICATE_BOOKING", "Gone now", "NEW_CODE", None, 7, 8, 1.5]
    ):
        answer = {"code": code, "message": "No."}
        entry(100 + number, EntryState.REFUSED, answer=answer)
    entry(200, EntryState.UNDONE, answer={"code": "EXAM_FULL", "message": "No."})
    entry(201, EntryState.OWING, kind="cancel", next_attempt_at=soon)
    entry(205, EntryState.OWING, kind="cancel", last_error=HistoryCut.default_message)
    entry(206, EntryState.OWING, kind="cancel", last_error=f"{UNREADABLE_PLAN}: x.")
    entry(202, EntryState.WRITING, last_error=HistoryCut.default_message, next_attempt_at=soon)
    entry(203, EntryState.WRITTEN, last_error=f"{UNREADABLE_PLAN}: x.", next_attempt_at=soon)
    entry(204, EntryState.DONE, arrived_at=timezone.now() - timedelta(days=2))
    RecountRequest.objects.create(subject_id="501", asked_at=soon, next_attempt_at=soon)
    for number, error in enumerate(["", f"It {FOR_A_PERSON}."]):
        CreditReview.objects.create(
            subject_id=f"10{number}", asked_at=soon, next_attempt_at=soon, last_error=error
        )
    for number, state in enumerate(["received", "received", "failed", "applied"]):
        event(number, state)
    now = timezone.now()
    UnreadableValue.objects.create(
        kind="booking", record_id="901", property_name="x", first_seen=now, last_seen=now
    )


def test_a_quiet_console_says_that_everything_is_at_work(api: Api) -> None:
    page = look(staff(superuser=True))

    assert state_of(page) == "good: Everything is at work."
    assert facts(page)["create"][0] == "0"


def test_bookings_and_refusals_of_today_are_counted(api: Api, portal: Portal) -> None:
    exam = portal.exam(capacity=1)
    create(api, portal.student("alice"), exam)
    create(api, portal.student("bob"), exam)
    history().write()

    found = facts(look(staff(superuser=True)))

    assert found["create"][0] == "1"
    assert found["refused"][0] == "1"
    assert found["reason-EXAM_FULL"][0] == "1"
    assert found["lately-EXAM_FULL"][0] == "1"
    assert int(found["calls-hour"][0]) > 0
    assert found["processes"][0] == "1"


def test_the_events_that_were_received_are_all_accounted_for(api: Api) -> None:
    sums = {"events|received": 3, "events|applied": 1, "events|ignored": 2}
    HistoryRow.objects.create(
        process="p", began_at=timezone.now(), span_s=60, measured={"sums": sums}
    )

    found = facts(look(staff(superuser=True)))

    assert [found[key][0] for key in ("received", "applied", "ignored")] == ["3", "1", "2"]


def test_a_change_journal_that_nobody_follows_is_said(api: Api) -> None:
    admin = staff(superuser=True)
    assert facts(look(admin))["feed"][0] == "not followed"
    position = FeedPosition.objects.create(
        source="s", portal_id="62515", at_end_at=timezone.now(), delay_s=0.5
    )
    page = look(admin)
    words, address = facts(page)["feed"]
    assert words.startswith("followed")
    assert "a booking of ours was shown after 0.5 s" in page
    assert "62515" in look(admin, address)
    assert state_of(page).startswith("good")

    position.at_end_at -= timedelta(minutes=10)
    position.save()

    page = look(admin)
    assert facts(page)["feed"][0].startswith("not followed for 10 min")
    assert "change journal is not followed" in page


def test_a_student_is_looked_for_from_the_front_page(api: Api) -> None:
    looker, nobody = staff("view_journalentry"), staff(name="sam")

    page = look(looker)
    assert 'action="/admin/booking_api/journalentry/"' in page
    assert 'placeholder="contact id"' in page
    assert "how many seats are left" not in page
    assert 'name="q"' not in look(nobody)
    assert "how many seats are left" in look(staff("view_exams", name="vera"))


def test_every_number_leads_to_a_list_of_as_many(api: Api) -> None:
    fill()
    client = staff(superuser=True)
    page = look(client)

    led = 0
    for key, (number, address) in facts(page).items():
        if not address.startswith("/admin/") or not number.isdecimal():
            continue
        answer = client.get(address)
        assert answer.status_code == 200, (key, address)
        listed = answer.context.get("cl")
        if listed is not None and "drift" not in key:
            assert listed.result_count == int(number), (key, address)
            led += 1
    assert led >= 18
    targets = [HREF.findall(page), re.findall(r'id="([\w-]+)"', page)]
    inside = {link for link in targets[0] if link.startswith("#")} - {"#content-start"}
    assert inside <= {f"#{name}" for name in targets[1]}


def test_who_may_open_nothing_sees_the_numbers_without_links(api: Api) -> None:
    fill()
    page = look(staff())

    found = facts(page)
    assert found["refused"][0] == "9"
    assert found["requests"][0] == "1"
    assert {link for _, link in found.values() if link.startswith("/")} == set()
    assert "alice@example.org" not in page


def test_who_is_no_member_of_staff_sees_nothing(api: Api) -> None:
    for path in ("/admin/", "/admin/now/"):
        answer = Client().get(path)
        assert answer.status_code == 302
        assert answer.headers["Location"].startswith("/admin/login/")


def test_the_part_that_is_fetched_says_the_same_and_is_no_page(api: Api) -> None:
    fill()
    client = staff(superuser=True)

    part = look(client, "/admin/now/")

    assert "<html" not in part
    assert facts(part)["refused"] == facts(look(client))["refused"]
    opened = client.get("/admin/now/", headers={"Sec-Fetch-Mode": "navigate"})
    assert opened.headers["Location"] == "/admin/"
    assert client.get("/admin/now/").headers["Cache-Control"].startswith("max-age=0, no-cache")


def test_the_worst_is_said_first(api: Api) -> None:
    fill()
    ago = timezone.now() - timedelta(minutes=40)
    JournalEntry.objects.filter(state=EntryState.QUEUED).update(arrived_at=ago)
    JobRun.objects.create(job="recount", began_at=ago, ended_at=ago, failure="OSError")
    page = look(staff(superuser=True))

    said = [
        TAGS.sub("", each).strip()
        for each in re.findall(r"<li class=\"c-state.*?</li>", page, re.DOTALL)
    ]
    assert state_of(page) == "bad: 6 rows wait for a person."
    assert said[0] == "The booking desk serves nobody: 1 request waits, for 40 min."
    assert "Recount of all exams: the last run failed." in said
    assert "1 webhook event could not be applied." in said
    assert "1 value in HubSpot cannot be read." in said


def test_an_outage_that_is_over_is_said_to_be(api: Api) -> None:
    """Each process learns by itself, and this one has nothing against HubSpot."""
    peaks = {"breaker": float(BreakerState.OPEN)}
    HistoryRow.objects.create(
        process="p", began_at=timezone.now(), span_s=60, measured={"peaks": peaks}
    )

    page = look(staff(superuser=True))

    said = "warn: In the last two minutes HubSpot did not answer 1 of 1 process as it should."
    assert state_of(page) == said


def test_looking_asks_hubspot_nothing(api: Api, portal: Portal) -> None:
    client = staff(superuser=True)
    before = portal.sandbox.calls()

    look(client)
    look(client, "/admin/now/")

    assert portal.sandbox.calls() == before


def test_the_number_of_questions_to_the_database_does_not_grow(
    api: Api, django_assert_max_num_queries: Any
) -> None:
    fill()
    for number in range(300):
        entry(1_000 + number, EntryState.REFUSED, answer={"code": f"CODE_{number}"})
    client = staff(superuser=True)

    with django_assert_max_num_queries(32):
        look(client, "/admin/now/")


def test_a_question_that_fails_is_said_to_be_unknown(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database falls silent after it has said who asks."""
    client = staff(superuser=True)

    def silent(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if "journalentry" in sql:
            raise OperationalError("the server closed the connection")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(silent):
        page = look(client)

    assert state_of(page).startswith("bad: The database did not answer all that was asked")
    assert facts(page)["requests"][0] == "not known"
    assert facts(page)["create"][0] == "not known"


def test_without_the_database_the_page_says_so(api: Api) -> None:
    client = staff(superuser=True)

    def silent(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        raise OperationalError("the server closed the connection")

    with connection.execute_wrapper(silent):
        answer = client.get("/admin/")

    assert answer.status_code == 503
    assert b"The database does not answer" in answer.content


def test_a_redis_that_does_not_answer_is_said(api: Api, settings: Any) -> None:
    settings.CACHE = CacheConfig(
        redis_url="redis://127.0.0.1:1/0", key_prefix="gone", key_secrets=("secret",)
    )
    composition.close()

    page = look(staff(superuser=True))

    assert "The cache is passed by: every read goes to HubSpot." in page
    assert facts(page)["entries"][0] == "not known"


def test_absurd_history_is_shown_within_bounds(api: Api) -> None:
    now = timezone.now()
    sums = {f"hits|family <b>{number}</b>": 10**12 for number in range(100)}
    sums |= {f"calls|operation {number}|<script>": 10_000 for number in range(100)}
    HistoryRow.objects.create(process="p", began_at=now, span_s=60, measured={"sums": sums})
    HistoryRow.objects.create(process="q", began_at=now, span_s=60, measured=["x"])

    answer = staff(superuser=True).get("/admin/")

    assert answer.status_code == 200
    assert b"<b>" not in answer.content
    assert b"<script>" not in answer.content
    assert len(answer.content) < 200_000


def test_who_is_at_the_desk_is_shown() -> None:
    desk = LeaseKeeper(LEASE_NAME, timedelta(minutes=1), "alpha")
    lease = desk.acquire()
    assert lease is not None

    assert facts(look(staff()))["lease-desk"][0].startswith("held")

    lease.expire()

    assert facts(look(staff(name="sam")))["lease-desk"][0].startswith("left by its holder")
