"""The interface aside, `/_sandbox/…`: log, reset, snapshots, switches, faults, edits by a person.

Never counted, delayed or faulted. What it is asked wrongly is answered 400 with the reason.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlsplit

from hubspot_sync.sandbox.clock import iso
from hubspot_sync.sandbox.data.property_values import stored
from hubspot_sync.sandbox.data.records import (
    PERSON,
    Record,
    Snapshot,
    UniqueConflict,
    UnknownRecord,
)
from hubspot_sync.sandbox.http.exchange import Exchange
from hubspot_sync.sandbox.limitations import LIMITATIONS
from hubspot_sync.sandbox.messages import Refusal, Reply, not_found


class Deliveries(Protocol):
    """What control needs of the webhooks' deliverer."""

    def counts(self) -> Mapping[str, int]: ...

    def forget(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Ask:
    """One call of the control interface."""

    names: Mapping[str, str]
    query: Mapping[str, str]
    body: Mapping[str, Any]


class Control:
    """`sow` empties the store and fills it: (seed or None, portal or None, bookings or None)."""

    def __init__(
        self,
        exchange: Exchange,
        sow: Callable[[str | None, str | None, int | None], Mapping[str, Any]],
        deliveries: Deliveries,
    ) -> None:
        self._exchange = exchange
        self._sandbox = exchange.sandbox
        self._store = exchange.sandbox.store
        self._sow = sow
        self._deliveries = deliveries
        self._snapshots: dict[str, Snapshot] = {}
        self._routes = [
            (method, re.compile(pattern), handler) for method, pattern, handler in self._table()
        ]

    def answer(self, method: str, target: str, raw: bytes) -> Reply:
        """The answer to one call; 404 for an unknown path, 400 for anything wrong with it."""
        parts = urlsplit(target)
        for known, pattern, handler in self._routes:
            found = pattern.fullmatch(parts.path.removeprefix("/_sandbox/"))
            if known != method or found is None:
                continue
            try:
                body = json.loads(raw) if raw else {}
                return handler(Ask(found.groupdict(), dict(parse_qsl(parts.query)), body))
            except Refusal as refusal:
                return refusal.reply
            except UnknownRecord as error:
                return _wrong(404, f"no such record: {error}")
            except UniqueConflict as error:
                return _wrong(409, str(error))
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                return _wrong(400, f"{type(error).__name__}: {error}")
        known_paths = [f"{known} /_sandbox/{pattern.pattern}" for known, pattern, _ in self._routes]
        return _wrong(404, f"there is no {method} {parts.path}", known=known_paths)

    def _table(self) -> list[tuple[str, str, Callable[[Ask], Reply]]]:
        record = r"records/(?P<type>[^/]+)/(?P<id>\d+)"
        return [
            ("GET", "health", lambda _: Reply(200, {"status": "ok"})),
            ("GET", "limitations", lambda _: Reply(200, {"limitations": list(LIMITATIONS)})),
            ("GET", "calls", self._calls),
            ("DELETE", "calls", self._clear_calls),
            ("POST", "reset", self._reset),
            ("POST", "snapshots", self._snapshot),
            ("POST", r"snapshots/(?P<id>\d+)/restore", self._restore_snapshot),
            ("GET", "config", lambda _: Reply(200, self._sandbox.config.shown())),
            ("PATCH", "config", self._configure),
            ("POST", "faults", self._order_fault),
            ("GET", "faults", lambda _: Reply(200, {"faults": self._exchange.faults.shown()})),
            ("DELETE", r"faults(/(?P<id>\d+))?", self._drop_fault),
            ("POST", r"records/(?P<type>[^/]+)", self._create),
            ("GET", r"records/(?P<type>[^/]+)", self._list),
            ("GET", record, self._read),
            ("PATCH", record, self._edit),
            ("DELETE", record, self._archive),
            ("POST", f"{record}/restore", self._restore),
            ("POST", "bulk", self._bulk),
            ("PUT", "associations", self._associate),
            ("DELETE", "associations", self._dissociate),
            ("POST", "clock", self._advance),
            ("GET", "webhooks", lambda _: Reply(200, dict(self._deliveries.counts()))),
        ]

    # Log, start, moments

    def _calls(self, ask: Ask) -> Reply:
        return Reply(200, self._exchange.log.since(int(ask.query.get("since", "0"))))

    def _clear_calls(self, _ask: Ask) -> Reply:
        self._exchange.log.clear()
        return Reply(204)

    def _reset(self, ask: Ask) -> Reply:
        body = ask.body
        made = self._sow(body.get("seed"), body.get("portal"), body.get("bookings"))
        self._sandbox.live.reset()
        self._exchange.reset()
        self._deliveries.forget()
        self._snapshots.clear()
        return Reply(200, dict(made))

    def _snapshot(self, _ask: Ask) -> Reply:
        snapshot_id = str(len(self._snapshots) + 1)
        self._snapshots[snapshot_id] = self._store.snapshot()
        return Reply(201, {"id": snapshot_id})

    def _restore_snapshot(self, ask: Ask) -> Reply:
        snapshot = self._snapshots.get(ask.names["id"])
        if snapshot is None:
            raise not_found(f"no such snapshot: {ask.names['id']}")
        self._store.restore_snapshot(snapshot)
        return Reply(204)

    def _advance(self, ask: Ask) -> Reply:
        self._sandbox.clock.advance(float(ask.body["advance_s"]))
        return Reply(200, {"now": self._sandbox.clock.now_s()})

    # Switches and faults

    def _configure(self, ask: Ask) -> Reply:
        return Reply(200, self._sandbox.live.patch(ask.body).shown())

    def _order_fault(self, ask: Ask) -> Reply:
        return Reply(201, {"id": self._exchange.faults.order(ask.body)})

    def _drop_fault(self, ask: Ask) -> Reply:
        fault_id = ask.names["id"]
        if not self._exchange.faults.drop(fault_id):
            raise not_found(f"no such fault: {fault_id}")
        return Reply(204)

    # Records, as a person in HubSpot

    def _kept(self, type_name: str, raw: Mapping[str, Any]) -> tuple[str, dict[str, str | None]]:
        """The type's id and the values as HubSpot keeps them."""
        object_type = self._sandbox.type_of(type_name)
        kept = {name: stored(object_type, name, value) for name, value in raw.items()}
        return object_type.type_id, kept

    def _create(self, ask: Ask) -> Reply:
        type_id, properties = self._kept(ask.names["type"], ask.body.get("properties", {}))
        with self._store.lock:
            record = self._store.create(type_id, properties, source=PERSON)
            for link in ask.body.get("associations", ()):
                to_type = self._sandbox.type_of(link["to_type"]).type_id
                self._store.associate(type_id, record.id, to_type, link["to_id"], source=PERSON)
        return Reply(201, _shown(record))

    def _list(self, ask: Ask) -> Reply:
        type_id = self._sandbox.type_of(ask.names["type"]).type_id
        return Reply(200, {"results": [_shown(each) for each in self._store.records(type_id)]})

    def _read(self, ask: Ask) -> Reply:
        type_id = self._sandbox.type_of(ask.names["type"]).type_id
        record = self._store.get(type_id, ask.names["id"], archived=True)
        if record is None:
            raise UnknownRecord(ask.names["id"])
        return Reply(200, _shown(record))

    def _edit(self, ask: Ask) -> Reply:
        type_id, properties = self._kept(ask.names["type"], ask.body["properties"])
        record = self._store.update(type_id, ask.names["id"], properties, source=PERSON)
        return Reply(200, _shown(record))

    def _archive(self, ask: Ask) -> Reply:
        type_id = self._sandbox.type_of(ask.names["type"]).type_id
        if not self._store.archive(type_id, ask.names["id"], source=PERSON):
            raise UnknownRecord(ask.names["id"])
        return Reply(204)

    def _restore(self, ask: Ask) -> Reply:
        type_id = self._sandbox.type_of(ask.names["type"]).type_id
        return Reply(200, _shown(self._store.restore(type_id, ask.names["id"])))

    def _bulk(self, ask: Ask) -> Reply:
        records = [
            (type_id, each.get("id"), properties)
            for each in ask.body.get("records", ())
            for type_id, properties in [self._kept(each["type"], each["properties"])]
        ]
        links = [
            (self._sandbox.type_of(a).type_id, b, self._sandbox.type_of(c).type_id, d)
            for a, b, c, d in ask.body.get("associations", ())
        ]
        return Reply(201, {"ids": self._store.load(records, links)})

    def _associate(self, ask: Ask) -> Reply:
        self._store.associate(*self._ends(ask), source=PERSON)
        return Reply(204)

    def _dissociate(self, ask: Ask) -> Reply:
        self._store.dissociate(*self._ends(ask), source=PERSON)
        return Reply(204)

    def _ends(self, ask: Ask) -> tuple[str, str, str, str]:
        from_type = self._sandbox.type_of(ask.body["from_type"]).type_id
        to_type = self._sandbox.type_of(ask.body["to_type"]).type_id
        return from_type, ask.body["from_id"], to_type, ask.body["to_id"]


def _wrong(status: int, message: str, **more: Any) -> Reply:
    return Reply(status, {"status": "error", "message": message, **more})


def _shown(record: Record) -> dict[str, Any]:
    return {
        "id": record.id,
        "properties": dict(record.properties),
        "archived": record.archived,
        "createdAt": iso(record.created_ms),
        "updatedAt": iso(record.updated_ms),
    }
