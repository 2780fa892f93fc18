"""For each alert a fault that makes it fire: how it is begun and lifted, and who is at work."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.alerts.live.school import School
from tests.chaos.world.world import LATENCY_MS

Lift = Callable[[], None]
CREDIT_WRITES = r"/0-1/batch/update"
LONG_MS = 60_000
STUDENTS_READ_FIRST = 40
# As bytes, since the world's databases know no encoding.
LAST_ERRORS = (
    "SELECT DISTINCT convert_to(last_error, 'UTF8') FROM booking_api_journalentry "
    "WHERE last_error <> ''"
)
DRIFTS = (
    "SELECT convert_to(by_family::text, 'UTF8') FROM cache_validationrun "
    "WHERE drifted > 0 ORDER BY at DESC LIMIT 1"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """`fault` says in words what `begin` does; `act` is what people do meanwhile, so many at once
    and with such a rest. The alert is to fire within the limit.

    The rest is what its page has one look at: a `query`, an event that is `logged`, the part that
    /api/ready calls `silent`, what the admin shows of `rows`. Each is to show something while the
    fault lasts."""

    alert: str
    fault: str
    begin: Callable[[School], Lift]
    query: str = ""
    logged: str = ""
    silent: str = ""
    rows: str = ""
    act: Callable[[School], object] = School.read
    at_once: int = 4
    rest_s: float = 0.05
    limit_s: float = 150.0


def order(**fault: Any) -> Callable[[School], Lift]:
    """A fault of the sandbox, until it is lifted."""

    def begin(school: School) -> Lift:
        number = school.world.sandbox.fault(**fault)
        return lambda: school.world.sandbox.clear_faults(number)

    return begin


def switch(usual: Mapping[str, Any], **changes: Any) -> Callable[[School], Lift]:
    """Switches of the sandbox, put back to what is usual."""

    def begin(school: School) -> Lift:
        school.world.sandbox.configure(**changes)
        return lambda: _configure(school, usual)

    return begin


def _configure(school: School, switches: Mapping[str, Any]) -> None:
    school.world.sandbox.configure(**switches)


def kill_server(school: School) -> Lift:
    server = school.world.servers[-1]
    server.kill()

    def start_again() -> None:
        server.launch()
        server.wait_until_ready()

    return start_again


def kill_desk(school: School) -> Lift:
    """Kill whichever server is the desk; a booking makes one of them so."""
    pause = threading.Event()
    while (server := school.world.find_desk()) is None:
        school.book()
        pause.wait(0.01)
    server.kill()

    def start_again() -> None:
        server.launch()
        server.wait_until_ready()

    return start_again


def stop_database(school: School) -> Lift:
    school.world.postgres.stop_fast()
    return school.world.postgres.start


def cut_from_redis(school: School) -> Lift:
    proxy = school.world.servers[-1].redis_proxy
    assert proxy is not None
    proxy.cut()
    return proxy.heal


def empty_again_and_again(school: School) -> Lift:
    redis, ended = school.world.redis, threading.Event()
    assert redis is not None

    def empty() -> None:
        while not ended.wait(0.2):
            redis.empty()

    thread = threading.Thread(target=empty, daemon=True)
    thread.start()

    def stop() -> None:
        ended.set()
        thread.join()

    return stop


def change_untold(school: School) -> Lift:
    """Have students in the cache, then change all of them, and tell nobody."""
    for _ in range(STUDENTS_READ_FIRST):
        school.read()
    school.world.keep_webhooks_back()
    for _ in range(len(school.students)):
        school.edit()
    return school.world.deliver_webhooks


def lose_the_place(school: School) -> Lift:
    """As after four days in which nobody followed. Nothing is subscribed to, so no file is read."""
    school.world.postgres.ask(
        "UPDATE hubspot_sync_feedposition SET \"offset\" = 'of four days ago',"
        " at_end_at = now() - interval '4 days' RETURNING id"
    )
    return lambda: None


def sign_wrongly(school: School) -> Lift:
    school.world.sandbox.configure(webhook={"secret": "of another application"})
    return school.world.deliver_webhooks


def owe_a_credit(school: School) -> Lift:
    """Cancel a booking whose credit a rule of the portal refuses to take back."""
    world = school.world
    student, exam = school.students[0], school.exams[-1]
    booking = world.portal.booking(student, exam, seat_key=f"{exam.id}:{student.id}")
    credit = world.portal.first_type.credit_property
    contacts = world.portal.profile.object_types.contacts
    rule = {"object_type": contacts, "property": credit, "pattern": "[0-9]"}
    world.sandbox.configure(validation_rules=[rule])
    path = f"/api/bookings/{booking.id}"
    answer = school.server.send(
        "DELETE", f"{path}?student_id={student.student_id}&email={student.email}"
    )
    assert answer.status == 200, answer.body
    return lambda: _configure(school, {"validation_rules": []})


ALL_FAIL = order(action="status", status=502)
TRIALS = (
    Trial(
        alert="ServerDown",
        query='up{job="mock-exam-booking"} == 0',
        fault="a server killed",
        begin=kill_server,
    ),
    Trial(
        alert="RequestsFail",
        query='sum by (route, status) (rate(mocks_request_seconds_count{status=~"5.."}[5m]))',
        silent="hubspot",
        fault="HubSpot answers 502 to all",
        begin=ALL_FAIL,
        act=School.book,
        rest_s=0.2,
    ),
    Trial(
        alert="HubSpotUnreachable",
        query="sum by (status) (rate(mocks_hubspot_call_seconds_count[5m]))",
        silent="hubspot",
        fault="HubSpot answers 502 to all",
        begin=ALL_FAIL,
        act=School.book,
        rest_s=0.2,
    ),
    Trial(
        alert="RequestsSlow",
        query="histogram_quantile(0.95, sum by (le, operation) "
        "(rate(mocks_hubspot_call_seconds_bucket[5m])))",
        fault="HubSpot takes 3 s for each answer",
        begin=switch({"latency_ms": LATENCY_MS}, latency_ms=3_000),
        act=School.book,
        limit_s=200.0,
    ),
    Trial(
        alert="RequestsNearDeadline",
        query='sum by (operation) (increase(mocks_hubspot_call_seconds_count{status="0"}[10m]))',
        fault="HubSpot does not answer reads of contacts",
        begin=order(action="delay", path=r"/0-1/batch/read", delay_ms=LONG_MS),
        act=School.book,
        limit_s=200.0,
    ),
    Trial(
        alert="HubSpotLimitExceeded",
        query="sum(rate(mocks_hubspot_call_seconds_count[2m])) * 10",
        fault="HubSpot answers 429 to three calls in ten",
        begin=order(action="status", status=429, probability=0.3),
        act=School.book,
        rest_s=0.3,
    ),
    Trial(
        alert="HubSpotDayNearlyUsed",
        query="min(mocks_hubspot_day_left)",
        fault="HubSpot says that 100 000 calls are left today",
        begin=switch({"daily_limit": 650_000}, daily_limit=100_000),
        act=School.book,
        rest_s=0.3,
    ),
    Trial(
        alert="BatchesIncomplete",
        query="sum by (operation, outcome) (rate(mocks_hubspot_batches_total[10m]))",
        fault="HubSpot leaves out records of half of the batches",
        begin=order(action="partial", probability=0.5),
        act=School.book,
        rest_s=0.2,
    ),
    Trial(
        alert="CacheBypassed",
        silent="cache",
        logged="cache_does_not_answer",
        fault="a server cut off from Redis",
        begin=cut_from_redis,
    ),
    Trial(
        alert="DeskTakeovers",
        logged="lease_taken_over",
        fault="the desk killed at work",
        begin=kill_desk,
        act=School.book,
        rest_s=0.2,
    ),
    Trial(
        alert="MetricsMissing",
        silent="database",
        logged="waiting_work_not_counted",
        fault="PostgreSQL stopped",
        begin=stop_database,
        rest_s=0.5,
    ),
    Trial(
        alert="JobsFail",
        logged="job_failed",
        silent="hubspot",
        fault="HubSpot answers 502 to all",
        begin=ALL_FAIL,
        rest_s=0.5,
    ),
    Trial(
        alert="WebhookSignaturesRefused",
        logged="webhook_refused",
        fault="HubSpot signs with another secret",
        begin=sign_wrongly,
        act=School.edit,
        at_once=1,
        rest_s=0.5,
    ),
    Trial(
        alert="WebhooksLate",
        query="max(mocks_webhook_events_waiting)",
        fault="HubSpot delivers 40 s late",
        begin=switch({"webhook": {"late_s": 0.0}}, webhook={"late_s": 40.0}),
        act=School.edit,
        at_once=1,
        rest_s=0.5,
        limit_s=200.0,
    ),
    Trial(
        alert="CacheDriftFound",
        rows=DRIFTS,
        fault="students changed in HubSpot, and no webhook sent",
        begin=change_untold,
        act=School.validate,
        at_once=1,
        rest_s=2.0,
    ),
    Trial(
        alert="CacheValidationFails",
        silent="hubspot",
        fault="HubSpot answers 502 to all while the cache is compared",
        begin=ALL_FAIL,
        act=School.validate,
        at_once=1,
        rest_s=2.0,
    ),
    Trial(
        alert="RowsNeedAPerson",
        rows=LAST_ERRORS,
        logged="credit_refused",
        fault="a rule of the portal refuses a cancelled booking's credit",
        begin=owe_a_credit,
        rest_s=0.5,
    ),
    Trial(
        alert="FeedSilent",
        query='sum(increase(mocks_feed_total{what="failure"}[5m]))',
        logged="feed_stands_still",
        fault="the change journal answers 503",
        begin=order(action="status", path="/webhooks-journal", status=503),
        rest_s=0.5,
    ),
    Trial(
        alert="FeedLost",
        query='sum(increase(mocks_feed_total{what="offset lost"}[1h]))',
        logged="feed_offset_lost",
        fault="the place is one of four days ago",
        begin=lose_the_place,
        rest_s=0.5,
    ),
    Trial(
        alert="CacheHitRateLow",
        query='sum by (reason) (rate(mocks_cache_reads_total{result="miss"}[30m]))',
        fault="Redis emptied five times a second",
        begin=empty_again_and_again,
        limit_s=500.0,
    ),
    Trial(
        alert="DeskUnfinished",
        rows=LAST_ERRORS,
        fault="HubSpot cuts every write of credits off",
        begin=order(action="cut_before", path=CREDIT_WRITES),
        act=School.book,
        at_once=1,
        rest_s=2.0,
        limit_s=300.0,
    ),
)
UNTRIED: Mapping[str, str] = {}
"""Alerts that no trial makes fire, and why."""
