"""The exams' pages over Django's test client: what is said of seats, and what is done to them."""

from __future__ import annotations

import html
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import uuid4

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.utils import timezone

from booking_api import composition
from booking_api.desk.counts.models import CountRecord, LastCount
from booking_api.desk.journal.models import JournalEntry, RecountRequest
from cache_layer import Cause
from cache_layer.models import CacheInvalidation
from hubspot_sync.inbox.models import WebhookEvent
from tests.builders import Exam, Portal
from tests.desk import create, stored_total
from tests.faults.groups import DeskUnderTest

PAGE = "/admin/booking_api/exampage/"
LOOK, COUNT, FORGET = "view_exams", "recount_exams", "invalidate"
ALL = (LOOK, COUNT, FORGET, "view_entries", "view_journalentry", "view_webhookevent")
READ_BOOKINGS = "/2-50158943/batch/read"

pytestmark = pytest.mark.django_db(transaction=True)


def browser(*permissions: str, name: str = "olga") -> Client:
    user = User.objects.create_user(name, is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client(raise_request_exception=False)
    client.force_login(user)
    return client


def page_of(exam: Exam | str, deed: str = "") -> str:
    exam_id = exam if isinstance(exam, str) else exam.id
    return f"{PAGE}{exam_id}/{deed}{'/' if deed else ''}"


def said(client: Client, path: str = PAGE, **fields: str) -> str:
    response = client.get(path, fields, follow=True)
    assert response.status_code == 200
    return text_of(response.content)


def text_of(content: bytes) -> str:
    """The words of a page, as they are read."""
    text = re.sub(r"<(script|style).*?</\1>|<[^>]+>", " ", content.decode(), flags=re.DOTALL)
    return re.sub(r"\s+", " ", html.unescape(text))


def do(client: Client, exam: Exam, deed: str, **changes: str) -> tuple[int, str]:
    """Send the form of a deed; return the status and the page that follows."""
    sent = {"reason": "a parent called", "token": str(uuid4()), **changes}
    response = client.post(page_of(exam, deed), sent, follow=True)
    return response.status_code, text_of(response.content)


def seen(portal: Portal, exam: Exam, **changes: str) -> None:
    """Change what HubSpot has of an exam, and let nobody remember it otherwise."""
    names = {portal.profile.exam_properties[field]: value for field, value in changes.items()}
    portal.sandbox.edit(portal.profile.object_types.mock_exams, exam.id, **names)
    composition.services().cached.cache.invalidator.invalidate_everything(cause=Cause.FORCED)


def test_the_exams_are_listed_todays_first_with_what_is_left(
    desk: DeskUnderTest, portal: Portal
) -> None:
    later, _ = portal.exam_with_bookings(2, in_days=3, capacity=20)
    today = portal.exam(in_days=0, capacity=3, total_bookings=3, location="Calgary")
    portal.exam(in_days=-2)
    portal.exam(in_days=2, active=False)

    page = said(browser(LOOK))

    assert "2 upcoming exams, 1 of them today." in page
    assert page.index(today.id) < page.index(later.id)
    assert "18 of 20 seats are left." in page
    assert "Full: all 3 seats are taken." in page
    assert "not counted yet" in page
    assert "Calgary" in page


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("stored", "capacity", "words"),
    [
        ("-3", "20", "HubSpot stores \u22123"),
        ("twelve", "20", "HubSpot's count cannot be read"),
        ("1.5", "20", "HubSpot's count cannot be read"),
        ("25", "20", "5 seats too many are taken"),
        ("0", "0", "the capacity is 0"),
        ("0", "-5", "the capacity cannot be read"),
        ("0", "many", "the capacity cannot be read"),
        ("", "1", "1 of 1 seat is left"),
        ("999999999999999", "999999999999999", "Full: all 999999999999999 seats"),
        ("9" * 400, "9" * 400, "the capacity cannot be read"),
    ],
)
def test_absurd_values_are_shown_as_what_they_are(
    stored: str, capacity: str, words: str, desk: DeskUnderTest, portal: Portal
) -> None:
    exam = portal.exam(exam_date="soon", total_bookings=0, location="<b>here</b>")
    seen(portal, exam, total_bookings=stored, capacity=capacity)

    page = said(browser(*ALL), page_of(exam))

    assert words in page
    assert "none that can be read" in page
    assert "<b>here</b>" in page
    composition.services().unreadable.write_noted()
    listed = said(browser(LOOK, name="sam"))
    assert "1 upcoming exam. Its day cannot be read." in listed
    assert "unreadable:" in listed


def test_whether_the_number_is_true_is_said_in_words(desk: DeskUnderTest, portal: Portal) -> None:
    exam, _ = portal.exam_with_bookings(4, total_bookings=6)
    client = browser(*ALL)
    assert "Nobody knows whether that is true" in said(client, page_of(exam))

    _, counted = do(client, exam, "dry-run")
    assert "14 of 20 seats are left. That is not true: 4 seats were taken" in counted
    assert "by olga" in counted

    _, recounted = do(client, exam, "recount")
    assert "16 of 20 seats are left. That is true: it was counted today at" in recounted

    assert create(desk.api, portal.student("alice"), exam).status == 201
    assert "15 of 20 seats are left. That is true: the desk wrote a booking" in said(
        client, page_of(exam)
    )

    now = timezone.now()  # as the desk asks for it that could not write the count
    RecountRequest.objects.create(subject_id=exam.id, asked_at=now, next_attempt_at=now)
    assert "15 of 20 seats are left. Nobody knows whether that is true: the desk wrote" in said(
        client, page_of(exam)
    )

    RecountRequest.objects.all().delete()
    JournalEntry.objects.all().delete()
    LastCount.objects.update(actual=5, counted_at=timezone.now() - timedelta(days=2))
    assert "Not counted since" in said(client, page_of(exam))


def test_a_dry_run_tells_what_a_recount_would_write_and_writes_nothing(
    desk: DeskUnderTest, portal: Portal
) -> None:
    exam, _ = portal.exam_with_bookings(4, total_bookings=6)
    client = browser(LOOK, COUNT)
    portal.sandbox.clear_calls()

    asked = said(client, page_of(exam, "dry-run"))
    assert "It costs about 3 calls to HubSpot." in asked
    status, page = do(client, exam, "dry-run")

    assert status == 200
    assert "Dry run: 4 seats are taken, HubSpot stored 6. A recount would write 4." in page
    assert "That cost 3 calls to HubSpot." in page
    assert stored_total(portal, exam) == 6
    record = CountRecord.objects.get()
    assert (record.who, record.reason, record.kind) == ("olga", "a parent called", "dry run")
    assert (record.stored, record.actual, record.corrected, record.calls) == (6, 4, False, 3)


def test_a_recount_is_written_and_stays_on_record(desk: DeskUnderTest, portal: Portal) -> None:
    exam, _ = portal.exam_with_bookings(4, total_bookings=6)

    status, page = do(browser(LOOK, COUNT), exam, "recount")

    assert status == 200
    assert "Recounted: 4 seats are taken, HubSpot stored 6. HubSpot stores 4 now." in page
    assert "4 taken, HubSpot stored 6; corrected" in page
    assert stored_total(portal, exam) == 4
    record = CountRecord.objects.get()
    assert (record.kind, record.corrected, record.error) == ("recount", True, "")


def test_a_form_that_is_sent_twice_at_once_is_carried_out_once(
    desk: DeskUnderTest, portal: Portal
) -> None:
    exam, _ = portal.exam_with_bookings(1, total_bookings=6)
    client, token = browser(LOOK, COUNT), str(uuid4())
    cookies = client.cookies

    def send(_: int) -> str:
        own = Client()
        own.cookies = cookies
        words = do(own, exam, "recount", token=token)[1]
        connection.close()
        return words

    with ThreadPoolExecutor(2) as pool:
        pages = list(pool.map(send, range(2)))

    assert CountRecord.objects.count() == 1
    assert any("had been sent before, and was carried out once" in page for page in pages)
    assert stored_total(portal, exam) == 1


def test_a_removal_that_is_sent_twice_at_once_is_on_record_once(
    desk: DeskUnderTest, portal: Portal
) -> None:
    exam, client, token = portal.exam(), browser(*ALL), str(uuid4())
    cookies, together = client.cookies, threading.Barrier(2)

    def send(_: int) -> int:
        own = Client()
        own.cookies = cookies
        together.wait()
        status, _ = do(own, exam, "remove", token=token)
        connection.close()
        return status

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(send, range(2))) == [200, 200]
    _, again = do(client, exam, "remove", token=token)

    assert "had been sent before, and was carried out once" in again
    assert CacheInvalidation.objects.count() == 1


def test_a_booking_written_during_a_recount_is_counted(desk: DeskUnderTest, portal: Portal) -> None:
    alice, exam = portal.student("alice"), portal.exam(total_bookings=5)
    portal.booking(portal.student("somebody"), exam)
    client = browser(LOOK, COUNT)

    with desk.stuck(READ_BOOKINGS) as call, ThreadPoolExecutor(1) as pool:
        counting = pool.submit(do, client, exam, "recount")
        call.wait_for_it()
        assert create(desk.api, alice, exam).status == 201
        call.go_on()
        _, page = counting.result(40)

    assert "2 seats are taken" in page
    assert stored_total(portal, exam) == 2


@pytest.mark.sampled(4)
@pytest.mark.parametrize(
    "reason", ["", "   ", "x" * 201, "nul \x00"], ids=["none", "blank", "long", "nul"]
)
@pytest.mark.parametrize("deed", ["recount", "dry-run", "remove"])
def test_nothing_is_done_without_a_reason(
    deed: str, reason: str, desk: DeskUnderTest, portal: Portal
) -> None:
    exam = portal.exam(total_bookings=5)

    status, page = do(browser(*ALL), exam, deed, reason=reason)

    assert status == 400
    assert "Why, for the record" in page
    assert stored_total(portal, exam) == 5
    assert CountRecord.objects.count() + CacheInvalidation.objects.count() == 0


def test_a_form_without_its_token_is_asked_for_again(desk: DeskUnderTest, portal: Portal) -> None:
    exam = portal.exam(total_bookings=5)

    status, page = do(browser(*ALL), exam, "recount", token="x")

    assert status == 400
    assert "Please send it again" in page
    assert stored_total(portal, exam) == 5


def test_the_pages_that_ask_change_nothing_and_a_form_of_another_site_does_not(
    desk: DeskUnderTest, portal: Portal
) -> None:
    exam = portal.exam(total_bookings=5)
    client = browser(*ALL)
    for deed in ("recount", "dry-run", "remove"):
        said(client, page_of(exam, deed), reason="a link", token=str(uuid4()))
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = client.cookies

    forged = strict.post(page_of(exam, "recount"), {"reason": "x", "token": str(uuid4())})

    assert forged.status_code == 403
    assert stored_total(portal, exam) == 5
    assert CountRecord.objects.count() + CacheInvalidation.objects.count() == 0


def test_the_cache_forgets_an_exam_and_every_page_tells_the_same_of_it(
    desk: DeskUnderTest, portal: Portal
) -> None:
    exam = portal.exam(total_bookings=5)
    client = browser(*ALL, "view_cacheinvalidation")
    said(client)

    asked = said(client, page_of(exam, "remove"))
    number = int(re.search(r"(\d+) entr(?:y|ies) would go", asked)[1])  # type: ignore[index]
    _, page = do(client, exam, "remove")

    assert f"removed: all that shows exam {exam.id}" in page
    row = CacheInvalidation.objects.get()
    assert (row.who, row.reason, row.scope, row.named) == (
        *("olga", "a parent called", "exam", [exam.id]),
    )
    assert row.removed == number > 0
    cache_page = client.get("/admin/cache/cachepage/").content.decode()
    assert f"exam: {exam.id}" in cache_page
    assert f'href="{page_of(exam)}"' in cache_page
    record_url = f"/admin/cache/cacheinvalidation/{row.pk}/change/"
    assert record_url in cache_page
    assert record_url in client.get(page_of(exam)).content.decode()
    assert f'href="{page_of(exam)}"' in client.get(record_url).content.decode()


def test_a_removal_by_the_api_is_on_the_exams_page(desk: DeskUnderTest, portal: Portal) -> None:
    exam = portal.exam()
    client = browser(*ALL)
    desk.api.client.force_login(User.objects.get(username="olga"))
    body = {"mock_exam_id": exam.id, "reason": "for alice@example.org"}
    assert desk.api.post("/api/admin/cache/invalidate", **body).status == 200

    page = said(client, page_of(exam))

    assert "for …@…" in page
    assert "alice@example.org" not in page


def test_who_may_not_sees_no_button_and_does_nothing(desk: DeskUnderTest, portal: Portal) -> None:
    exam = portal.exam(total_bookings=5)
    nobody, looker = browser(), browser(LOOK, name="sam")

    assert nobody.get(PAGE).status_code == 403
    assert nobody.get(page_of(exam)).status_code == 403
    assert PAGE not in nobody.get("/admin/").content.decode()
    page = looker.get(page_of(exam)).content.decode()
    for deed in ("recount", "dry-run", "remove"):
        assert page_of(exam, deed) not in page
        assert looker.get(page_of(exam, deed)).status_code == 403
        assert do(looker, exam, deed)[0] == 403
    assert "booking_api.recount_exams" in page
    assert "In the cache" not in page
    assert "Requests" not in page
    assert stored_total(portal, exam) == 5


def test_what_waits_for_the_desk_is_shown(desk: DeskUnderTest, portal: Portal) -> None:
    alice, exam, client = portal.student("alice"), portal.exam(), browser(*ALL)

    with desk.held_up():
        waiting = desk.begin([lambda: create(desk.api, alice, exam)])
        page = said(client, page_of(exam))
    assert "1 to book, 0 being written" in page
    assert [reply.status for reply in waiting.wait_for_replies()] == [201]
    assert "0 to book, 0 being written" in said(client, page_of(exam))


def test_who_was_refused_is_among_those_who_asked(desk: DeskUnderTest, portal: Portal) -> None:
    exam, client = portal.exam(capacity=0), browser(*ALL)
    create(desk.api, portal.student("alice"), exam)

    page = said(client, page_of(exam))

    assert "Nobody has asked for it" not in page
    assert "refused: the exam is full" in page


def test_what_was_asked_and_what_hubspot_told_is_shown(desk: DeskUnderTest, portal: Portal) -> None:
    alice, exam, client = portal.student("alice"), portal.exam(), browser(*ALL)
    create(desk.api, alice, exam)
    now = composition.services().booking.desk_context.now()
    for subscription, about in (
        ("object.propertyChange", {"records": f"mockexam {exam.id}"}),
        ("object.deletion", {"exam_ids": [exam.id]}),
        ("not its", {"records": "mockexam 5", "exam_ids": ["5"]}),
    ):
        WebhookEvent.objects.create(
            digest=subscription, subscription=subscription, kind="x", receipt=uuid4(), **about
        )
    RecountRequest.objects.create(
        subject_id=exam.id,
        asked_at=now,
        next_attempt_at=now + timedelta(hours=1),
        attempts=3,
        last_error="HubSpot was silent.",
    )

    page = said(client, page_of(exam))

    assert "book booked" in page
    assert f"?exam_id={exam.id}" in client.get(page_of(exam)).content.decode()
    assert "object.propertyChange" in page
    assert "object.deletion" in page
    assert "not its" not in page
    assert "fails: HubSpot was silent. (3 tries; the next" in page
    assert alice.email not in page
    assert "recount fails" in said(client)
