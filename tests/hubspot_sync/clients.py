"""Clients for tests: one per test, pointed at a sandbox, closed at the end."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from hubspot_sync.batching.raw_records import NewRecord
from hubspot_sync.client import HubSpotClient, build_client
from hubspot_sync.config import HubSpotConfig
from hubspot_sync.wire.call_context import CallContext, Priority
from hubspot_sync.wire.call_log import CallMeter
from hubspot_sync.wire.deadlines import Deadline, Monotonic
from tests.sandbox import TOKEN

CONTACTS = "0-1"
BOOKINGS = "2-50158943"


@contextmanager
def client_of(
    base_url: str, *, clock: Monotonic = time.monotonic, **config: Any
) -> Iterator[HubSpotClient]:
    client = build_client(HubSpotConfig(base_url=base_url, token=TOKEN, **config), clock=clock)
    try:
        yield client
    finally:
        client.close()


def asking(
    seconds: float = 60.0, *, background: bool = False, meters: Sequence[CallMeter] = ()
) -> CallContext:
    """The context of somebody who waits so long."""
    return CallContext(
        deadline=Deadline.after(seconds),
        priority=Priority.BACKGROUND if background else Priority.PEOPLE,
        meters=tuple(meters),
    )


def contact(number: int, **properties: str) -> NewRecord:
    return NewRecord(
        trace_id=f"trace-{number}",
        properties={"email": f"student{number}@example.org"} | properties,
    )


def bulk_contacts(count: int) -> list[dict[str, Any]]:
    """Contacts 1001, 1002, … for the sandbox to load."""
    return [
        {"type": CONTACTS, "id": str(1001 + n), "properties": {"email": f"s{n}@example.org"}}
        for n in range(count)
    ]
