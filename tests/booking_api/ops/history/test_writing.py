"""A process writes what it measured, a row a minute, whatever the database does meanwhile."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.db import OperationalError, connection, connections

from booking_api.ops.history.measured import MAX_KEYS, MAX_RESTS, Measured
from booking_api.ops.history.models import HistoryRow, JobRun
from booking_api.ops.history.reading import MAX_ROWS, History, list_job_runs, read_history
from booking_api.ops.history.tally import Tally
from booking_api.ops.history.upkeep import keep_up, roll_up
from booking_api.ops.history.writing import HistoryWriter

START = datetime(2026, 11, 26, 14, 3, 20, tzinfo=UTC)
MIDNIGHT = datetime(2026, 11, 26, tzinfo=UTC)

pytestmark = pytest.mark.django_db(transaction=True)


class Process:
    """A process whose time, the database's, is told to it; None while the database is silent."""

    def __init__(self, now: datetime | None = START) -> None:
        self.now = now
        self.seconds = 1_000.0
        self.tally = Tally()
        self.writer = HistoryWriter(self.tally, self._tell, lambda: self.seconds)

    def _tell(self) -> datetime:
        if self.now is None:
            raise OperationalError("silent")
        return self.now

    def step(self, now: datetime | None = None) -> float:
        self.now = now or self.now
        return self.writer.take_step()


def read(now: datetime = START) -> History:
    return read_history(now, MIDNIGHT)


def by_minute(history: History, *words: str) -> dict[str, int]:
    return {
        f"{span.began_at:%H:%M}": span.measured.total(*words)
        for span in history.minutes
        if span.measured.total(*words) > 0
    }


def test_a_minute_is_one_row_however_often_it_is_written() -> None:
    process = Process()
    for second in range(0, 40, 5):
        process.tally.add("calls", "search", "bookings")
        process.step(START + timedelta(seconds=second))

    assert HistoryRow.objects.count() == 1
    assert by_minute(read(), "calls") == {"14:03": 8}


def test_what_was_counted_before_a_minutes_end_belongs_to_it() -> None:
    process = Process()
    process.step(START + timedelta(seconds=36))  # 14:03:56
    process.tally.add("calls", "search", "bookings", number=3)

    rest_s = process.step(START + timedelta(seconds=40.05))  # 14:04:00.05
    process.tally.add("calls", "search", "bookings")
    process.step(START + timedelta(seconds=45))

    assert by_minute(read(START + timedelta(minutes=1)), "calls") == {"14:03": 3, "14:04": 1}
    assert rest_s == 5.0


def test_the_next_step_comes_at_the_minutes_end() -> None:
    rest_s = Process().step(START.replace(second=58))

    assert 2.0 <= rest_s < 2.2


def test_several_processes_add_up_and_are_known_to_live() -> None:
    processes = [Process() for _ in range(3)]
    for process in processes:
        process.tally.add("desk", "create", "done")
        process.tally.note_peak("delay s", value=2.5)
        process.step()

    history = read()

    assert history.hour.total("desk", "create") == 3
    assert history.hour.peak("delay s") == 2.5
    assert len(history.processes) == 3
    assert read(START + timedelta(minutes=4)).processes == ()


def test_a_silent_database_loses_nothing_and_nothing_grows() -> None:
    process = Process(now=None)
    for minute in range(100):
        process.tally.add("calls", "search", "bookings", number=10)
        assert process.step() == 5.0, minute

    process.step(START + timedelta(minutes=100))

    history = read(START + timedelta(minutes=100))
    assert by_minute(history, "calls") == {"15:43": 1_000}


def test_a_write_that_arrived_and_was_not_answered_is_not_counted_twice() -> None:
    process = Process()
    process.tally.add("calls", number=5)
    process.step()
    row = HistoryRow.objects.get()

    process.tally.add("calls", number=2)
    process.now = None
    process.step()
    process.step(START + timedelta(seconds=10))

    assert HistoryRow.objects.get().pk == row.pk
    assert read().hour.total("calls") == 7


def test_a_clock_that_is_set_back_does_no_harm() -> None:
    process = Process()
    process.tally.add("calls")
    process.step()
    process.tally.add("calls")
    process.step(START - timedelta(minutes=10))

    assert read().hour.total("calls") == 2


def test_a_clock_that_is_set_back_over_a_minutes_beginning_loses_nothing() -> None:
    process = Process()
    process.tally.add("calls", number=5)
    process.step(START.replace(second=58))
    process.tally.add("calls", number=3)
    process.step(START.replace(minute=4, second=1))
    process.tally.add("calls", number=2)
    process.step(START.replace(second=59))
    process.tally.add("calls", number=1)
    process.step(START.replace(minute=4, second=3))

    assert read(START + timedelta(minutes=1)).hour.total("calls") == 11


def test_a_row_that_arrived_before_the_database_fell_silent_is_not_counted_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    process = Process()
    process.step()
    process.tally.add("calls", number=5)
    commit = connection.commit

    def commit_unanswered() -> None:
        commit()
        raise OperationalError("silent")

    with monkeypatch.context() as silent:
        silent.setattr(connections["default"], "commit", commit_unanswered)
        process.step(START + timedelta(seconds=5))
    process.tally.add("calls", number=2)
    process.step(START + timedelta(minutes=5))

    assert by_minute(read(START + timedelta(minutes=5)), "calls") == {"14:03": 5, "14:08": 2}


def test_many_processes_cost_the_day_none_of_its_numbers() -> None:
    """Servers that are started again and again leave rows under ever new names."""
    rolled = Measured(sums={"calls": 100}).to_json()
    HistoryRow.objects.create(
        began_at=START.replace(hour=2, minute=0, second=0), span_s=600, measured=rolled
    )
    HistoryRow.objects.bulk_create(
        HistoryRow(process=f"host:{number}", began_at=START.replace(second=0), span_s=60)
        for number in range(MAX_ROWS)
    )

    assert read().today.total("calls") == 100


def test_an_hour_later_ten_minutes_are_one_row_for_all_processes() -> None:
    for minute in range(60):
        for process in (Process(), Process()):
            process.tally.add("hits", "contacts", number=minute)
            process.tally.note_peak("delay s", value=minute)
            process.step(START + timedelta(minutes=minute))
    later = START + timedelta(minutes=100)

    keep_up(later)
    keep_up(later)

    spans = list(HistoryRow.objects.filter(span_s=600).order_by("began_at"))
    assert [f"{row.began_at:%H:%M}" for row in spans] == ["14:00", "14:10", "14:20", "14:30"]
    assert [row.process for row in spans] == [""] * 4
    history = read(later)
    assert history.day.total("hits", "contacts") == 2 * sum(range(60))
    assert history.day.peak("delay s") == 59
    # By the minute there is still the whole last hour.
    assert by_minute(history, "hits")["14:44"] == 2 * 41


def test_what_is_written_late_joins_its_ten_minutes() -> None:
    process = Process()
    process.tally.add("calls")
    process.step()
    roll_up(START + timedelta(hours=2))
    late = Process()
    late.tally.add("calls")
    late.step()

    roll_up(START + timedelta(hours=2))

    assert HistoryRow.objects.count() == 1
    assert read(START + timedelta(hours=2)).day.total("calls") == 2


def test_processes_that_roll_up_at_once_count_nothing_twice() -> None:
    for minute in range(30):
        process = Process()
        process.tally.add("calls")
        process.step(START + timedelta(minutes=minute))
    later = START + timedelta(hours=3)

    threads = [threading.Thread(target=roll_up_alone, args=(later,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    roll_up(later)

    assert read(later).day.total("calls") == 30
    assert HistoryRow.objects.filter(span_s=60).count() == 0


def roll_up_alone(now: datetime) -> None:
    """As a thread of another process: its database may be busy."""
    try:
        roll_up(now)
    except OperationalError:
        pass
    finally:
        connection.close()


def test_a_day_later_nothing_is_left() -> None:
    process = Process()
    process.tally.add("calls")
    process.step()

    keep_up(START + timedelta(hours=24, minutes=59))
    assert HistoryRow.objects.count() == 1
    keep_up(START + timedelta(hours=26))

    assert HistoryRow.objects.count() == 0


def test_a_row_stays_small_whatever_is_counted() -> None:
    process = Process()
    for number in range(10_000):
        process.tally.add("calls", f"operation {number}", "x" * 500)
        process.tally.note_peak(f"peak {number}", value=number)
    process.step()

    row = Measured.from_json(HistoryRow.objects.get().measured)
    assert row.total("calls") == 10_000
    assert len(row.sums) <= MAX_KEYS + MAX_RESTS + 1
    assert len(row.peaks) <= MAX_KEYS + MAX_RESTS + 1


@pytest.mark.parametrize("stored", [[], 7, {"sums": {"calls": "many"}}, {"sums": 3}, None])
def test_a_row_that_somebody_changed_says_nothing(stored: object) -> None:
    HistoryRow.objects.create(process="a", began_at=START, span_s=60, measured=stored or {})
    process = Process()
    process.tally.add("calls")
    process.step()

    assert read().hour.total("calls") == 1


@pytest.fixture
def process() -> Process:
    return Process()


def test_a_jobs_last_run_is_kept_by_the_databases_clock(process: Process) -> None:
    with process.writer.recording("recount"):
        process.seconds += 12
    process.seconds += 5
    process.step()

    [run] = list_job_runs()
    assert (run.job, run.failure) == ("recount", "")
    assert run.ended_at == START - timedelta(seconds=5)
    assert run.ended_at - run.began_at == timedelta(seconds=12)
    assert run.last_done_at == run.ended_at


def test_a_failed_run_says_what_it_raised_and_when_it_last_went_well(process: Process) -> None:
    with process.writer.recording("recount"):
        pass
    process.step()
    with pytest.raises(ZeroDivisionError), process.writer.recording("recount"):
        _ = 1 / 0
    process.step(START + timedelta(minutes=10))

    run = JobRun.objects.get()
    assert run.failure == "ZeroDivisionError"
    assert run.ended_at == START + timedelta(minutes=10)
    assert run.last_done_at == START


def test_an_older_run_that_is_written_late_takes_no_newer_ones_place() -> None:
    slow, other = Process(), Process()
    with pytest.raises(ZeroDivisionError), slow.writer.recording("recount"):
        _ = 1 / 0
    slow.seconds += 900
    other.seconds += 600
    with other.writer.recording("recount"):
        other.seconds += 2
    other.step(START + timedelta(minutes=10))

    slow.step(START + timedelta(minutes=15))

    run = JobRun.objects.get()
    assert (run.failure, run.ended_at) == ("", START + timedelta(minutes=10))


def test_a_run_waits_for_a_silent_database(process: Process) -> None:
    with process.writer.recording("prune"):
        pass
    process.now = None
    process.step()
    process.step(START)

    assert JobRun.objects.get().job == "prune"
