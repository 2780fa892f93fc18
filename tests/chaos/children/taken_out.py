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


def find_no_charge(credit_proofs: Any) -> None:
    """No write of a credit is ever found in a history."""
    credit_proofs.CreditProofs.find_landing = lambda *_: credit_proofs.Landing.NOT_SEEN


def doubt_nothing(desk_context: Any) -> None:
    """What HubSpot did not answer in time will not come any more."""
    desk_context.DeskContext.is_in_doubt = lambda *_: False


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


def forget_undelivered(shared_delivery: Any) -> None:
    delivery = shared_delivery.SharedDelivery
    delivery.keep, delivery.await_acknowledgement = lambda *_, **__: 0, lambda *_: True


def count_alone(shared_windows: Any) -> None:
    """Each process has the whole budget of requests."""
    windows = shared_windows.JointWindows
    windows.has_room = windows.take = lambda *_: True
    windows.put_back = windows.count_answer = lambda *_: None


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


def trust_pooled_connections(connections: Any) -> None:
    """A connection out of the pool is not tried before it is used."""
    connections.LimitedPool.try_connection = lambda *_: None


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
    "credit looked up": (
        ("booking_api.desk.repair.credit_proofs", find_no_charge),
        ("booking_api.desk.desk_context", doubt_nothing),
    ),
    "booking looked up": (("hubspot_sync.writing.authoritative_reads", find_no_booking),),
    "seats known and named": (
        ("booking_api.desk.journal.known_bookings", forget_own_bookings),
        ("booking_api.rules.seats", name_no_seat),
    ),
    "doubt and credit reviews": (
        ("booking_api.desk.desk_context", doubt_nothing),
        ("booking_api.desk.journal.follow_ups", request_no_reviews),
    ),
    "idempotency key": (("booking_api.desk.journal.idempotency", forget_keys),),
    "Redis adopted": (("cache_layer.backends.redis", adopt_any_redis),),
    "late loads refused": (("cache_layer.coherence.guarded_store", store_what_was_loaded),),
    "undelivered invalidations": (("cache_layer.coherence.shared_delivery", forget_undelivered),),
    "shared budget": (("hubspot_sync.wire.limits.shared_windows", count_alone),),
    "note looked up": (("booking_api.desk.notes.outbox", send_notes_blindly),),
    "note tried again": (("booking_api.desk.notes.outbox", drop_failed_notes),),
    "inbox": (("hubspot_sync.inbox.inbox", store_events_as_done),),
    "deadline": (("hubspot_sync.wire.deadlines", wait_for_ever),),
    "pooled connections tried": (
        ("hubspot_sync.background.postgres.connections", trust_pooled_connections),
    ),
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


class Strict:
    """A module or class, of which only what is there may be changed: a guard that has another name
    by now would stay in its place unseen. Where it `only_looks` nothing is changed."""

    def __init__(self, of: Any, *, only_looks: bool = False) -> None:
        object.__setattr__(self, "_of", of)
        object.__setattr__(self, "_only_looks", only_looks)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._of, name)
        return Strict(found, only_looks=self._only_looks) if isinstance(found, type) else found

    def __call__(self, *args: Any, **options: Any) -> Any:
        return self._of(*args, **options)

    def __setattr__(self, name: str, value: Any) -> None:
        if not hasattr(self._of, name):
            raise AttributeError(f"{self._of} has no {name} to be taken out")
        if not self._only_looks:
            setattr(self._of, name, value)


def _change_after(spec: ModuleSpec, change: Change) -> ModuleSpec:
    loader: Any = spec.loader
    execute = loader.exec_module

    def execute_and_change(module: ModuleType) -> None:
        execute(module)
        change(Strict(module))

    loader.exec_module = execute_and_change
    return spec


def take_out(guard: str) -> None:
    """Have this process work without a guard; raises KeyError for an unknown one."""
    sys.meta_path.insert(0, _Finder(GUARDS[guard]))
