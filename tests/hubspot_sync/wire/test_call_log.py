"""Calls are counted: all of them, and those of one request."""

from __future__ import annotations

import threading

import pytest

from hubspot_sync.wire.call_log import CallLog, CallMeter, CallRecord


def record(
    operation: str = "objects.batch_read", status: int | None = 200, attempt: int = 1
) -> CallRecord:
    return CallRecord(
        operation=operation,
        object_type="0-1",
        method="POST",
        status=status,
        attempt=attempt,
        waited_s=0.25,
        took_s=0.5,
        background=False,
    )


def test_calls_are_counted_by_operation_and_status_with_waits_and_retries() -> None:
    call_log = CallLog()
    for written in (
        record(),
        record(status=429),
        record(attempt=2),
        record("objects.search", None),
    ):
        call_log.write(written, ())

    seen = call_log.snapshot()

    assert seen.calls == {
        ("objects.batch_read", 200): 2,
        ("objects.batch_read", 429): 1,
        ("objects.search", None): 1,
    }
    assert (seen.retries, seen.waited_s, seen.took_s) == (1, 1.0, 2.0)


def test_a_snapshot_stays_as_it_was() -> None:
    call_log = CallLog()
    before = call_log.snapshot()

    call_log.write(record(), ())

    assert before.calls == {}
    with pytest.raises(TypeError):
        before.calls["x", 1] = 2  # type: ignore[index] # that is what is tested


def test_observers_and_the_requests_own_meters_hear_of_each_call() -> None:
    seen: list[CallRecord] = []
    alice, bob = CallMeter(), CallMeter()
    call_log = CallLog([seen.append])

    call_log.write(record(), (alice, bob))
    call_log.write(record(), (bob,))

    assert len(seen) == 2
    assert (alice.calls, bob.calls, bob.took_s) == (1, 2, 1.5)


def test_nothing_is_lost_between_threads() -> None:
    call_log, meter = CallLog(), CallMeter()
    threads = [
        threading.Thread(target=lambda: [call_log.write(record(), (meter,)) for _ in range(200)])
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert call_log.snapshot().calls["objects.batch_read", 200] == meter.calls == 1_600
