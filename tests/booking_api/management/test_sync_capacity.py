"""`manage.py sync_capacity`: what it prints, what it writes, how it ends, and what it costs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from pytest_django import Settings

from booking_api.desk.config import DeskConfig
from booking_api.desk.desk import LEASE_NAME
from booking_api.desk.journal.lease import LeaseKeeper
from booking_api.desk.journal.models import EntryState, JournalEntry, Lease, RequestKind
from hubspot_sync.portal.profile import load_profile
from tests.builders import Exam, Portal
from tests.desk import School, stored_total
from tests.manage import manage
from tests.migrated import copy_migrated_file
from tests.sandbox import SandboxHandle
from tests.server import Server, free_port, serving

SECRET = "a-scheduler's-own-secret"

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.larger_portal]


def ran(*arguments: str) -> tuple[int, str]:
    """Return the exit code and what was printed; nobody serves at the address it would tell."""
    nobody = f"http://127.0.0.1:{free_port()}"
    out = StringIO()
    try:
        call_command("sync_capacity", "--url", nobody, *arguments, stdout=out)
    except SystemExit as ended:
        return int(str(ended.code)), out.getvalue()
    except CommandError as error:
        return error.returncode, str(error)
    return 0, out.getvalue()


def test_what_differs_is_shown_and_corrected(school: School) -> None:
    low, _ = school.portal.exam_with_bookings(3, total_bookings=1)
    right, _ = school.portal.exam_with_bookings(2)

    code, printed = ran("--exam", low.id, right.id)

    assert code == 0
    assert cells(printed, low) == [low.id, str(low.day), low.mock_type, "1", "3", "+2"]
    assert cells(printed, right) == [right.id, str(right.day), right.mock_type, "2", "2", "0"]
    assert "2 exams counted, 1 corrected, 1 right." in printed
    assert stored_total(school.portal, low) == 3
    assert "0 corrected, 2 right" in ran("--exam", low.id, right.id)[1]


def cells(printed: str, exam: Exam) -> list[str]:
    """The row of an exam, cell by cell."""
    line = next(line for line in printed.splitlines() if exam.id in line)
    return [cell.strip() for cell in line.strip("│ ").split("│")]


def test_a_dry_run_shows_and_writes_nothing(school: School) -> None:
    exam, _ = school.portal.exam_with_bookings(2, total_bookings=5)

    code, printed = ran("--exam", exam.id, "--dry-run")

    assert code == 0
    assert cells(printed, exam)[3:] == ["5", "2", "-3"]
    assert "1 would be corrected" in printed
    assert stored_total(school.portal, exam) == 5
    assert Lease.objects.filter(epoch__gt=0).count() == 0


def test_every_upcoming_exam_of_every_type_is_counted_unless_told(school: School) -> None:
    types = [mock_type.value for mock_type in school.portal.profile.mock_types]
    exams = [school.portal.exam(mock_type=one, total_bookings=1) for one in types]

    assert ran()[0] == 0
    assert [stored_total(school.portal, exam) for exam in exams] == [0, 0, 0]


def test_only_the_exams_named_are_counted(school: School) -> None:
    named, other = school.portal.exam(total_bookings=1), school.portal.exam(total_bookings=1)

    assert ran("--exam", named.id)[0] == 0
    assert [stored_total(school.portal, exam) for exam in (named, other)] == [0, 1]


def test_only_the_type_named_is_counted(school: School) -> None:
    first, second = (
        school.portal.exam(mock_type=one.value, total_bookings=1)
        for one in school.portal.profile.mock_types[:2]
    )

    assert ran("--type", second.mock_type)[0] == 0
    assert [stored_total(school.portal, exam) for exam in (first, second)] == [1, 0]


def test_a_machine_reads_json(school: School) -> None:
    exam, _ = school.portal.exam_with_bookings(2, total_bookings=0)

    code, printed = ran("--exam", exam.id, "--json")

    report = json.loads(printed)
    assert (code, report["ok"], report["mode"]) == (0, True, "live")
    assert report["summary"]["updated"] == 1
    assert report["results"]["updated"][0]["examId"] == exam.id
    assert report["results"]["updated"][0]["examDate"] == str(exam.day)


def test_an_exam_nobody_knows_is_told_and_ends_with_1(school: School) -> None:
    exam = school.portal.exam(total_bookings=2)

    code, printed = ran("--exam", "404404", exam.id)

    assert code == 1
    assert "There is no such mock exam." in printed
    assert "1 not known" in printed
    assert stored_total(school.portal, exam) == 0


def test_an_exam_that_was_not_read_is_left_alone_and_ends_with_1(school: School) -> None:
    exams = [school.portal.exam_with_bookings(1, total_bookings=7)[0] for _ in range(2)]
    school.portal.sandbox.fault("partial", path="associations", last=1)

    code, printed = ran("--json", "--exam", *(exam.id for exam in exams))

    (failed,) = json.loads(printed)["results"]["failed"]
    assert code == 1
    assert {exam.id: stored_total(school.portal, exam) for exam in exams} == {
        exam.id: 7 if exam.id == failed["examId"] else 1 for exam in exams
    }


@pytest.mark.parametrize("path", [".*", "associations"], ids=["all", "what-counts"])
def test_hubspot_out_of_reach_ends_with_2(path: str, school: School) -> None:
    exam = school.portal.exam(total_bookings=7)
    school.portal.sandbox.fault("status", path=path, status=401)

    code, said = ran("--type", exam.mock_type)

    assert (code, "HubSpot could not be asked" in said) == (2, True)
    school.portal.sandbox.clear_faults()
    assert stored_total(school.portal, exam) == 7


@pytest.mark.parametrize(
    "arguments", [("--type", "no such"), ("--exam", "x1"), ("--exam", "1", "--type", "osce")]
)
def test_what_cannot_be_meant_is_said(arguments: tuple[str, ...], school: School) -> None:
    assert ran(*arguments)[0] not in {0, 2}
    assert school.portal.sandbox.calls_count() == 0


def test_many_exams_that_are_right_are_only_numbered(school: School) -> None:
    with school.portal.at_once():
        exams = [school.portal.exam() for _ in range(60)]
        wrong = school.portal.exam(total_bookings=1)

    _, printed = ran("--type", wrong.mock_type)

    assert wrong.id in printed
    assert exams[0].id not in printed
    assert "60 exams whose count is right are not listed" in printed


def test_what_a_servers_callers_wait_for_is_left_to_the_server(school: School) -> None:
    exam, now = school.portal.exam(total_bookings=1), timezone.now()
    JournalEntry.objects.create(
        kind=RequestKind.CREATE,
        idempotency_key="key-1",
        email="alice@example.org",
        arrived_at=now,
        changed_at=now,
        wanted_until=now + timedelta(minutes=1),
    )

    assert ran("--exam", exam.id)[0] == 0
    assert stored_total(school.portal, exam) == 0
    assert JournalEntry.objects.get().state == EntryState.QUEUED


def test_a_desk_at_work_is_waited_for(settings: Settings, school: School) -> None:
    settings.DESK = DeskConfig(grace_s=0)
    exam = school.portal.exam(total_bookings=1)
    vanished = LeaseKeeper(LEASE_NAME, timedelta(seconds=1)).acquire()
    assert vanished is not None

    assert ran("--exam", exam.id)[0] == 0
    assert stored_total(school.portal, exam) == 0


def test_a_thousand_bookings_cost_ten_calls_and_a_few_more(school: School) -> None:
    with school.portal.at_once():
        exams = [school.portal.exam(in_days=1 + day, capacity=30) for day in range(50)]
        students = [school.portal.student(f"student{number}") for number in range(20)]
        for student in students:
            for exam in exams:
                school.portal.booking(student, exam)
    school.portal.sandbox.clear_calls()

    assert ran("--type", exams[0].mock_type)[0] == 0

    # 1 000 bookings; the exams, their links, the search for them, and the corrections.
    assert school.portal.sandbox.calls_count("objects.batch_update") == 1
    assert school.portal.sandbox.calls_count() <= 10 + 4


# Beside a server ----------------------------------------------------------------------------------


@pytest.fixture
def beside(sandbox: SandboxHandle, tmp_path: Path) -> Iterator[tuple[Server, Portal, Any]]:
    """A server with a cache in its own memory, and the command in another process."""
    portal = Portal(sandbox, load_profile("default"))
    sandbox.kind()
    own = {
        "DEBUG": "true",
        "CRON_SECRET": SECRET,
        "HUBSPOT_BASE_URL": sandbox.base_url,
        "HS_PRIVATE_APP_TOKEN": sandbox.token,
        "DATABASE_URL": copy_migrated_file(tmp_path / "db.sqlite3"),
    }
    with serving(sandbox, tmp_path, CRON_SECRET=SECRET) as server:
        yield server, portal, own


def test_a_running_server_shows_the_correction_at_once(
    beside: tuple[Server, Portal, dict[str, str]],
) -> None:
    server, portal, own = beside
    exam, _ = portal.exam_with_bookings(3, total_bookings=0)
    path = "/api/mock-exams/available"
    before = server.get(path, mock_type=exam.mock_type).body["data"]

    done = manage("sync_capacity", "--exam", exam.id, "--url", server.base_url, **own)

    after = server.get(path, mock_type=exam.mock_type).body["data"]
    assert done.returncode == 0, done.stderr
    assert f"The server at {server.base_url} shows it now" in done.stdout
    assert [one["total_bookings"] for one in (*before, *after)] == [0, 3]
