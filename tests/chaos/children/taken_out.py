"""Guards that a run takes out of its servers, to see that its judge notices: by name, each a change
to one module made right after that is imported.

This is of the tests alone: the application has no such switch, and is changed only in the children
of a run that was told to.
"""

from __future__ import annotations

import importlib.util
import sys
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

Change = Callable[[Any], None]


def never_take_over(lease: Any) -> None:
    """A lease that was never given back is nobody else's."""
    acquire = lease.LeaseKeeper.acquire

    def acquire_given_back(self: Any) -> Any:
        return None if self._rows().exclude(holder="").exists() else acquire(self)

    lease.LeaseKeeper.acquire = acquire_given_back


def ignore_lost_lease(lease: Any) -> None:
    """Whoever lost the lease works on."""
    lease.HeldLease.renew = lambda self: self._own_row().update(
        expires_at=lease.from_now(self.duration)
    )


def charge_without_looking(recovery: Any) -> None:
    recovery._was_credit_written = lambda *_: False


def find_no_booking(reads: Any) -> None:
    """A booking is never found by its key."""
    look_up = reads.AuthoritativeReads.bookings_by_key

    def find_none(self: Any, keys: Any, context: Any) -> Any:
        found = look_up(self, keys, context)
        return replace(found, found={}, missing=frozenset(keys))

    reads.AuthoritativeReads.bookings_by_key = find_none


def forget_own_bookings(known: Any) -> None:
    known.read_unlisted_bookings = lambda *_, **__: known.UnlistedBookings({}, {}, {}, {})


def name_no_seat(seats: Any) -> None:
    """No two bookings are ever refused for one seat."""
    seats.seat_key = lambda exam_id, *_: f"{exam_id}:{uuid.uuid4().hex}"


def request_no_reviews(follow_ups: Any) -> None:
    follow_ups.request_reviews = lambda *_, **__: None


def forget_keys(idempotency: Any) -> None:
    """Every request is a new one."""
    insert = idempotency.insert_or_find

    def insert_anew(new: Any) -> Any:
        new.idempotency_key += uuid.uuid4().hex
        return insert(new)

    idempotency.insert_or_find = insert_anew
    idempotency.find_earlier = lambda *_: None


def adopt_any_redis(redis: Any) -> None:
    redis.RedisBackend._adopt = staticmethod(lambda connection: connection.on_connect())


def store_what_was_loaded(store: Any) -> None:
    """A load's result is stored whatever was invalidated since it began."""
    keep = store.GuardedStore.store

    def store_now(self: Any, ticket: Any, family: Any, loaded: Any) -> Any:
        return keep(self, self._take_ticket() or ticket, family, loaded)

    store.GuardedStore.store = store_now


def forget_undelivered(store: Any) -> None:
    store.PendingInvalidations.add = lambda *_, **__: None


def count_alone(windows: Any) -> None:
    """Each process has the whole budget of requests."""
    windows.SharedWindow.has_room = windows.SharedWindow.take = lambda *_: True


def send_notes_blindly(outbox: Any) -> None:
    outbox.Outbox._mark_those_on_timelines = staticmethod(lambda notes, _: list(notes))


def drop_failed_notes(outbox: Any) -> None:
    outbox.Outbox._postpone = lambda self, note, *_: self._update(note, outbox.NoteState.REFUSED)


def store_events_as_done(inbox: Any) -> None:
    """What is left to do about an event lives in this process's memory alone."""
    build = inbox.Inbox._build_row

    def build_done(self: Any, new_event: Any, receipt: Any) -> Any:
        return build(self, replace(new_event, state=inbox.State.APPLIED), receipt)

    inbox.Inbox._build_row = build_done


def wait_for_ever(deadlines: Any) -> None:
    deadlines.Deadline.remaining_s = lambda *_: 600.0
    deadlines.Deadline.passed = property(lambda _: False)


def trust_pooled_connections(services: Any) -> None:
    """A connection out of the pool is not tried before it is used."""
    build = services.database

    def build_trusting(url: str, pool_size: Any) -> dict[str, Any]:
        config: dict[str, Any] = build(url, pool_size)
        return {**config, "CONN_HEALTH_CHECKS": False}

    services.database = build_trusting


def reckon_leases_by_own_clock(lease: Any) -> None:
    from django.utils import timezone

    lease.from_now = lambda duration: timezone.now() + duration
    lease.Now = timezone.now


GUARDS: dict[str, tuple[tuple[str, Change], ...]] = {
    "lease expiry": (("booking_api.desk.journal.lease", never_take_over),),
    "lost lease and deadline": (
        ("booking_api.desk.journal.lease", ignore_lost_lease),
        ("hubspot_sync.wire.deadlines", wait_for_ever),
    ),
    "credit looked up": (("booking_api.desk.repair.recovery", charge_without_looking),),
    "booking looked up": (("hubspot_sync.writing.authoritative_reads", find_no_booking),),
    "seats known and named": (
        ("booking_api.desk.journal.known_bookings", forget_own_bookings),
        ("booking_api.rules.seats", name_no_seat),
    ),
    "credit reviews": (("booking_api.desk.journal.follow_ups", request_no_reviews),),
    "idempotency key": (("booking_api.desk.journal.idempotency", forget_keys),),
    "Redis adopted": (("cache_layer.backends.redis", adopt_any_redis),),
    "late loads refused": (("cache_layer.coherence.guarded_store", store_what_was_loaded),),
    "undelivered invalidations": (("cache_layer.coherence.guarded_store", forget_undelivered),),
    "shared budget": (("hubspot_sync.wire.rate_windows", count_alone),),
    "note looked up": (("booking_api.desk.notes.outbox", send_notes_blindly),),
    "note tried again": (("booking_api.desk.notes.outbox", drop_failed_notes),),
    "inbox": (("hubspot_sync.inbox.inbox", store_events_as_done),),
    "deadline": (("hubspot_sync.wire.deadlines", wait_for_ever),),
    "pooled connections tried": (("booking_api.backing_services", trust_pooled_connections),),
    "lease by the database's clock": (
        ("booking_api.desk.journal.lease", reckon_leases_by_own_clock),
    ),
}


class _Finder(MetaPathFinder):
    """Changes modules as they are imported; each is found by whoever finds it otherwise."""

    def __init__(self, changes: Sequence[tuple[str, Change]]) -> None:
        self._changes = dict(changes)

    def find_spec(self, name: str, path: Any, target: ModuleType | None = None) -> Any:
        change = self._changes.pop(name, None)
        if change is None:
            return None
        spec = importlib.util.find_spec(name)
        return spec if spec is None else _change_after(spec, change)


def _change_after(spec: ModuleSpec, change: Change) -> ModuleSpec:
    loader: Any = spec.loader
    execute = loader.exec_module

    def execute_and_change(module: ModuleType) -> None:
        execute(module)
        change(module)

    loader.exec_module = execute_and_change
    return spec


def take_out(guard: str) -> None:
    """Have this process work without a guard; raises KeyError for an unknown one."""
    sys.meta_path.insert(0, _Finder(GUARDS[guard]))
