"""The available exams are asked for again for a few bytes: `ETag`, `If-None-Match` and 304, as RFC
9110 has them. Whoever sends no condition sees what they always saw."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
import time_machine
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pytest_django import Settings

from booking_api import composition
from cache_layer import Cause
from tests.api import Api, Reply, connected
from tests.builders import Portal
from tests.desk import cancel, create
from tests.webhooks import Events, tell

AVAILABLE = "/api/mock-exams/available"
ASKED = {"mock_type": "clinical"}
GZIP = {"Accept-Encoding": "gzip"}
LONG = 12
"""So many exams are more than is sent uncompressed."""

pytestmark = pytest.mark.django_db(transaction=True)


def ask(api: Api, tags: str | None = None, *, method: str = "GET", **asked: Any) -> Reply:
    """Ask for the exams, on condition that they have none of these tags."""
    headers = asked.pop("headers", {}) | ({} if tags is None else {"If-None-Match": tags})
    return api.send(method, AVAILABLE, query={**ASKED, **asked}, headers=headers)


def tag_of(reply: Reply) -> str:
    return reply.headers["ETag"]


def make_exams(portal: Portal, number: int = LONG) -> list[Any]:
    with portal.at_once():
        return [portal.exam(in_days=2 + day, capacity=9) for day in range(number)]


def assert_not_modified(reply: Reply, tag: str) -> None:
    assert (reply.status, reply.body) == (304, None)
    assert tag_of(reply) == tag
    assert reply.headers["Cache-Control"] == "no-cache"
    assert "Accept-Encoding" in reply.headers["Vary"]
    assert {"X-Request-ID", "Server-Timing"} <= set(reply.headers)
    assert not {"Content-Type", "Content-Encoding", "Content-Length"} & set(reply.headers)


def test_who_holds_the_answer_is_told_so(api: Api, portal: Portal) -> None:
    make_exams(portal)
    first = ask(api)

    again = ask(api, tag_of(first))

    assert first.headers["Cache-Control"] == "no-cache"
    assert tag_of(first).startswith('"')
    assert_not_modified(again, tag_of(first))


def test_an_answer_without_exams_is_revalidated_too(api: Api) -> None:
    first = ask(api)

    assert first.data == []
    assert ask(api, tag_of(first)).status == 304


@pytest.mark.sampled(5)
@pytest.mark.parametrize(
    ("tags", "status"),
    [
        ("{}", 304),
        ("W/{}", 304),
        ('"other", {}', 304),
        ('"other",W/"b" , {},', 304),
        ("{}, {}", 304),
        ("*", 304),
        (" * ", 304),
        ('"other"', 200),
        ('W/"other"', 200),
        ('"*"', 200),
        ("", 200),
        (",", 200),
        ("other", 200),
        ('"', 200),
        ('w/"x"', 200),
        ('"' * 9, 200),
    ],
)
def test_tags_are_compared_weakly_and_any_one_of_several_is_enough(
    api: Api, portal: Portal, tags: str, status: int
) -> None:
    make_exams(portal)
    tag = tag_of(ask(api))

    again = ask(api, tags.replace("{}", tag))

    assert again.status == status
    assert tag_of(again) == tag


@hypothesis_settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(max_codepoint=255, exclude_characters="\0\r\n"), max_size=60))
def test_whatever_is_sent_as_a_tag_is_none_of_ours(api: Api, sent: str) -> None:
    if sent.strip() != "*":
        assert ask(api, sent).status == 200


def test_ten_thousand_characters_of_tags_are_looked_through(api: Api, portal: Portal) -> None:
    tag = tag_of(ask(api))
    others = ", ".join(f'"{number:064x}"' for number in range(150))

    assert len(others) > 10_000
    assert ask(api, others).status == 200
    assert ask(api, f"{others}, {tag}").status == 304
    assert ask(api, '"' + "," * 10_000).status == 200


def test_compressed_answers_have_a_weak_tag_of_the_same_name(api: Api, portal: Portal) -> None:
    make_exams(portal)
    plain = ask(api)
    packed = api.client.get(AVAILABLE, ASKED, headers=GZIP)

    assert packed.headers["Content-Encoding"] == "gzip"
    assert orjson.loads(gzip.decompress(packed.content)) == plain.body
    assert packed.headers["ETag"] == f"W/{tag_of(plain)}"
    for held in (tag_of(plain), packed.headers["ETag"]):
        assert_not_modified(ask(api, held), tag_of(plain))
        assert_not_modified(ask(api, held, headers=GZIP), packed.headers["ETag"])
        refused = {"Accept-Encoding": "gzip;q=0"}
        assert_not_modified(ask(api, held, headers=refused), tag_of(plain))
    assert "Accept-Encoding" in packed.headers["Vary"]
    assert "Accept-Encoding" in plain.headers["Vary"]


def test_a_short_answer_is_sent_as_it_is_and_so_is_its_tag(api: Api) -> None:
    first = ask(api, headers=GZIP)

    assert "Content-Encoding" not in first.headers
    assert tag_of(ask(api, tag_of(first), headers=GZIP)) == tag_of(first)
    assert not tag_of(first).startswith("W/")


def test_a_head_has_the_tag_and_the_condition_of_a_get(api: Api, portal: Portal) -> None:
    make_exams(portal)
    tag = tag_of(ask(api))

    head = ask(api, method="HEAD")

    assert (head.status, head.body, tag_of(head)) == (200, None, tag)
    assert head.headers["Cache-Control"] == "no-cache"
    assert_not_modified(ask(api, tag, method="HEAD"), tag)


def test_what_changed_is_sent(
    api: Api, portal: Portal, webhook_secret: None, events: Events
) -> None:
    exam = make_exams(portal)[0]
    before = tag_of(ask(api))
    portal.sandbox.edit(portal.profile.object_types.mock_exams, exam.id, location="Calgary")
    assert_not_modified(ask(api, before), before)  # nobody was told yet

    tell(api, events.exam("propertyChange", exam.id, propertyName="location"))
    after = ask(api, before)

    assert after.status == 200
    assert tag_of(after) != before
    assert after.data[0]["location"] == "Calgary"
    assert_not_modified(ask(api, f"{before}, {tag_of(after)}"), tag_of(after))
    portal.sandbox.edit(portal.profile.object_types.mock_exams, exam.id, location="Mississauga")
    tell(api, events.exam("propertyChange", exam.id, propertyName="location"))
    assert tag_of(ask(api)) == before  # as it was before, so is its tag


def test_a_seat_that_is_booked_or_given_back_is_sent_at_once(api: Api, portal: Portal) -> None:
    alice = portal.student("alice", credits=3)
    exam = make_exams(portal)[0]
    before = tag_of(ask(api))

    booked = create(api, alice, exam)
    taken = ask(api, before)
    cancel(api, alice, booked.data["booking_record_id"])
    free = ask(api, tag_of(taken))

    assert (taken.status, taken.data[0]["total_bookings"]) == (200, 1)
    assert (free.status, tag_of(free)) == (200, before)


def test_an_exam_that_is_over_by_now_is_a_change(api: Api, portal: Portal) -> None:
    portal.exam(in_days=1)
    portal.exam(in_days=5)
    before = ask(api)

    with time_machine.travel(datetime.now(UTC) + timedelta(seconds=90), tick=False):
        assert ask(api, tag_of(before)).status == 304
    with time_machine.travel(datetime.now(UTC) + timedelta(days=2), tick=False):
        after = ask(api, tag_of(before))

    assert (len(before.data), len(after.data)) == (2, 1)


def test_each_question_has_its_own_tag_and_each_spelling_of_it_the_same(
    api: Api, portal: Portal
) -> None:
    full = portal.exam(capacity=1, total_bookings=1)
    make_exams(portal)
    with_full, without = ask(api), ask(api, include_capacity="false")

    assert full.id in {exam["mock_exam_id"] for exam in with_full.data}
    assert tag_of(with_full) != tag_of(without)
    assert ask(api, tag_of(with_full), include_capacity="false").status == 200
    assert ask(api, tag_of(without), include_capacity="False").status == 304
    for spelling in ({"include_capacity": "TRUE"}, {"realtime": "0"}, {"t": "1760000000"}):
        assert ask(api, tag_of(with_full), **spelling).status == 304
    slashed = api.get(f"{AVAILABLE}/", headers={"If-None-Match": tag_of(with_full)}, **ASKED)
    assert slashed.status == 304


def test_a_recount_is_made_before_it_is_said_that_nothing_changed(api: Api, portal: Portal) -> None:
    alice, exam = portal.student("alice"), portal.exam(capacity=9)
    before = ask(api, realtime="true")
    assert ask(api, tag_of(before), realtime="true").status == 304
    portal.booking(alice, exam)

    composition.services().cached.cache.invalidator.invalidate_everything(cause=Cause.FORCED)
    after = ask(api, tag_of(before), realtime="true")

    assert (before.data[0]["total_bookings"], after.data[0]["total_bookings"]) == (0, 1)


@pytest.mark.parametrize(
    ("asked", "status"),
    [({"mock_type": "ballet"}, 400), ({"mock_type": ""}, 400), ({"realtime": "perhaps"}, 400)],
)
def test_an_error_has_no_tag_and_is_never_not_modified(
    api: Api, asked: dict[str, str], status: int
) -> None:
    for tags in (None, "*"):
        reply = ask(api, tags, **asked)

        assert (reply.status, reply.headers["Cache-Control"]) == (status, "no-store")
        assert "ETag" not in reply.headers


@pytest.mark.parametrize("tags", [None, "*", '"x"'])
def test_while_hubspot_is_away_nobody_is_told_that_nothing_changed(
    api: Api, portal: Portal, tags: str | None
) -> None:
    portal.sandbox.fault("status", status=503)

    reply = ask(api, tags)

    assert (reply.status, reply.headers["Cache-Control"]) == (503, "no-store")
    assert "ETag" not in reply.headers
    portal.sandbox.clear_faults()


def test_who_is_throttled_or_takes_no_json_gets_no_304(settings: Settings, api: Api) -> None:
    assert ask(api, "*", headers={"Accept": "text/html"}).status == 406
    settings.THROTTLE_RATES = settings.THROTTLE_RATES | {"reads": (1, 86_400)}
    assert ask(api, "*").status == 304
    assert ask(api, "*").status == 429


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_other_methods_are_refused_with_or_without_a_condition(api: Api, method: str) -> None:
    reply = ask(api, "*", method=method)

    assert (reply.status, reply.headers["Cache-Control"]) == (405, "no-store")


def test_a_students_own_answers_are_stored_by_nobody(api: Api, portal: Portal) -> None:
    alice, exam = portal.student("alice"), portal.exam()
    booking = portal.booking(alice, exam)
    headers = {"If-None-Match": "*"}

    for path in ("/api/bookings/list", f"/api/bookings/{booking.id}"):
        reply = api.get(path, headers=headers, **alice.pair)

        assert (reply.status, reply.headers["Cache-Control"]) == (200, "no-store")
        assert "ETag" not in reply.headers
    health = api.get("/api/health", headers=headers)
    assert (health.status, health.headers["Cache-Control"]) == (200, "no-store")


def test_a_page_of_another_origin_may_send_and_read_tags(api: Api) -> None:
    origin = {"Origin": "https://frontend.example.org"}
    wanted = {
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "if-none-match",
    }

    allowed = api.send("OPTIONS", AVAILABLE, headers=origin | wanted).headers
    shown = ask(api, "*", headers=origin).headers

    assert "if-none-match" in allowed["Access-Control-Allow-Headers"]
    assert "etag" in shown["Access-Control-Expose-Headers"].lower()
    assert shown["Access-Control-Allow-Origin"] == "*"


def test_every_process_gives_the_same_answer_the_same_tag(
    settings: Settings, portal: Portal
) -> None:
    """Started anew, nothing is remembered from before."""
    make_exams(portal)
    tags = []
    for _ in range(2):
        with connected(settings, portal.sandbox) as api:
            tags.append(tag_of(ask(api)))
            assert ask(api, tags[0]).status == 304

    assert tags[0] == tags[1]
