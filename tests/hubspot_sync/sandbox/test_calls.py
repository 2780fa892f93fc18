"""The call log counts what was asked since it was cleared, and nothing from before."""

from __future__ import annotations

from hubspot_sync.sandbox.http.call_log import Call, CallLog


def call(number: int, path: str) -> Call:
    return Call(
        n=number,
        at=0.0,
        method="POST",
        path=path,
        operation="objects.search",
        object_type="0-1",
        status=200,
        inputs=0,
        duration_ms=1.0,
    )


def test_a_call_received_before_the_log_was_cleared_is_not_counted_when_it_ends() -> None:
    log = CallLog()
    slow = log.take_number()
    log.clear()
    for path in ("/first", "/second"):
        log.add(call(log.take_number(), path))

    log.add(call(slow, "/slow"))

    assert [(one["n"], one["path"]) for one in log.since(0)["calls"]] == [
        (1, "/first"),
        (2, "/second"),
    ]
