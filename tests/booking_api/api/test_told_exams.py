"""Exams that HubSpot told of are listed and counted by what they are, whatever its search says."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import OperationalError, connection
from django.utils import timezone
from pytest_django import Settings

from booking_api import composition
from hubspot_sync.inbox import told_records
from hubspot_sync.inbox.models import ToldRecord
from hubspot_sync.reading.own_links import MAX_LINK_LAG
from hubspot_sync.reading.recent_changes import Topic
from tests.builders import Exam
from tests.desk import School
from tests.webhooks import Events, Raw, exams_to_recount, tell

AVAILABLE, SYNC = "/api/mock-exams/available", "/api/mock-exams/sync-capacity"
CRON = "a secret of this test's cron"
LAG_S = 60
SEARCH, BATCH_READ = "objects.search", "objects.batch_read"

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.larger_portal,
    pytest.mark.usefixtures("webhook_secret"),
]

Change = Callable[[School, Exam], Raw]


def listed(school: School, type_number: int = 0) -> set[str]:
    mock_type = school.portal.profile.mock_types[type_number].value
    return {row["mock_exam_id"] for row in school.api.get(AVAILABLE, mock_type=mock_type).data}


def counted(school: School, settings: Settings) -> set[str]:
    """The exams that the job counts when it is to count all; none may have failed."""
    settings.CRON_SECRET = CRON
    data = school.api.send("POST", SYNC, headers={"Authorization": f"Bearer {CRON}"}).data
    results = data["results"]
    assert results["failed"] == []
    return {row["examId"] for row in results["updated"] + results["unchanged"]}


def edit(school: School, exam: Exam, field: str, value: str) -> Raw:
    """Change a property as a person does; return what HubSpot will tell."""
    profile = school.portal.profile
    name = profile.exam_properties[field]
    school.portal.sandbox.edit(profile.object_types.mock_exams, exam.id, **{name: value})
    return Events(profile).exam("propertyChange", exam.id, propertyName=name)


def activate(school: School, exam: Exam) -> Raw:
    return edit(school, exam, "is_active", school.portal.profile.exam_active_values[0])


def change_type(school: School, exam: Exam) -> Raw:
    return edit(school, exam, "mock_type", school.portal.profile.mock_types[0].value)


def postpone(school: School, exam: Exam) -> Raw:
    like = school.portal.exam(in_days=20, active=False)
    edit(school, exam, "start_time", like.start_time)
    edit(school, exam, "end_time", like.end_time)
    return edit(school, exam, "exam_date", like.day.isoformat())


def restore(school: School, exam: Exam) -> Raw:
    type_id = school.portal.profile.object_types.mock_exams
    school.portal.sandbox.restore(type_id, exam.id)
    return Events(school.portal.profile).exam("restore", exam.id)


def make_inactive(school: School) -> Exam:
    return school.portal.exam(active=False)


def make_of_another_type(school: School) -> Exam:
    return school.portal.exam(mock_type=school.portal.profile.mock_types[1].value)


def make_past(school: School) -> Exam:
    return school.portal.exam(in_days=-5)


def make_archived(school: School) -> Exam:
    exam = school.portal.exam()
    school.portal.sandbox.archive(school.portal.profile.object_types.mock_exams, exam.id)
    return exam


@pytest.mark.parametrize(
    ("make", "change"),
    [
        pytest.param(make_inactive, activate, id="activated"),
        pytest.param(make_of_another_type, change_type, id="of this type now"),
        pytest.param(make_past, postpone, id="postponed"),
        pytest.param(make_archived, restore, id="restored"),
    ],
)
def test_an_exam_that_becomes_bookable_is_listed_and_counted_at_once(
    make: Callable[[School], Exam], change: Change, school: School, settings: Settings
) -> None:
    exam = make(school)
    before = listed(school)
    school.portal.sandbox.configure(search_lag_s=LAG_S)
    event = change(school, exam)

    assert tell(school.api, event).status == 200

    assert exam.id not in before
    assert exam.id in listed(school)
    composition.close()  # what one process was told, the next one knows
    assert exam.id in listed(school)
    assert exam.id in counted(school, settings)
    school.portal.sandbox.advance(LAG_S + 1)
    ToldRecord.objects.all().delete()
    composition.close()
    assert exam.id in listed(school)


def deactivate(school: School, exam: Exam) -> Raw:
    return edit(school, exam, "is_active", "false")


def change_to_another_type(school: School, exam: Exam) -> Raw:
    return edit(school, exam, "mock_type", school.portal.profile.mock_types[1].value)


def move_into_the_past(school: School, exam: Exam) -> Raw:
    return edit(school, exam, "exam_date", school.portal.exam(in_days=-9).day.isoformat())


@pytest.mark.parametrize(
    ("change", "elsewhere"),
    [(deactivate, False), (change_to_another_type, True), (move_into_the_past, False)],
)
def test_an_exam_that_left_a_list_is_not_kept_there_by_search(
    change: Change, elsewhere: bool, school: School, settings: Settings
) -> None:
    stays, goes = school.portal.exam(), school.portal.exam()
    assert listed(school) == {stays.id, goes.id}
    school.portal.sandbox.configure(search_lag_s=LAG_S)
    event = change(school, goes)

    tell(school.api, event)

    assert listed(school) == {stays.id}
    assert (goes.id in listed(school, 1)) is elsewhere
    assert (goes.id in counted(school, settings)) is elsewhere


def test_a_cloned_exam_is_counted_anew(school: School) -> None:
    """It came with the number of another's bookings."""
    clone = school.portal.exam(capacity=4, total_bookings=4)

    tell(school.api, Events(school.portal.profile).exam("creation", clone.id))
    composition.services().webhooks.applier.apply_waiting()

    assert clone.id in exams_to_recount()


def test_nothing_more_is_asked_of_hubspot_where_nothing_was_told(school: School) -> None:
    school.portal.exam()
    events = Events(school.portal.profile)
    tell(school.api, events.booking("creation", "77"), events.contact("creation", "7"))
    school.portal.sandbox.clear_calls()

    listed(school)
    listed(school)

    assert school.portal.sandbox.calls_count(SEARCH) == 1
    assert school.portal.sandbox.calls_count() == 2


def test_of_more_exams_than_are_read_each_time_search_knows_the_others_soon(
    school: School, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(told_records, "MAX_EXAMS", 2)
    school.portal.sandbox.configure(search_lag_s=LAG_S)
    exams = [school.portal.exam(active=False) for _ in range(3)]
    tell(school.api, *(activate(school, exam) for exam in exams))
    assert len(listed(school)) == 2

    school.portal.sandbox.advance(LAG_S + 1)
    held = composition.services().cached.cache.backend.scan_keys()
    kept = [key for page in held for key in page if key.startswith("mockexams:type:")]
    entries = composition.services().cached.cache.backend.look_up(kept, touch=False).entries

    assert {entry.ttl_left_s <= told_records.UNSURE_S for entry in entries.values()} == {True}


def test_a_database_that_does_not_answer_fails_no_reader(
    school: School, monkeypatch: pytest.MonkeyPatch
) -> None:
    exam = school.portal.exam()

    def refuse(*_: object) -> None:
        raise OperationalError("the connection is closed")

    with connection.execute_wrapper(refuse):
        assert listed(school) == {exam.id}


def test_what_was_told_is_removed_when_it_is_over(school: School) -> None:
    exam = school.portal.exam()
    tell(school.api, Events(school.portal.profile).exam("creation", exam.id))
    told = composition.services().webhooks.told

    assert told.prune() == 0
    rows = list(ToldRecord.objects.all())
    ToldRecord.objects.update(told_at=rows[0].told_at - timedelta(seconds=LAG_S))
    assert told.prune() == len(rows) > 0


@pytest.mark.parametrize("topic", [Topic.LEFT_CONTACT, Topic.LEFT_EXAM, Topic.MERGED_BOOKING])
def test_what_was_told_of_a_bookings_links_is_kept_as_long_as_it_is_asked_for(
    topic: Topic, school: School
) -> None:
    told, now = composition.services().webhooks.told, timezone.now()
    ToldRecord.objects.create(
        topic=topic, record_id="7", told_at=now - 2 * timedelta(seconds=LAG_S)
    )

    assert told.prune() == 0
    ToldRecord.objects.update(told_at=now - MAX_LINK_LAG)
    assert told.prune() == 1
