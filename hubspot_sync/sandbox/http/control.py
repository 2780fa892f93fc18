"""The interface aside, `/_sandbox/…`: log, reset, snapshots, switches, faults, edits by a person.

Never counted, delayed or faulted. What it is asked wrongly is answered 400 with the reason. Records
take any text in any property; with `"as_is": true` it is kept to the letter (see `keep_as_given`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlsplit

import msgspec

from hubspot_sync.sandbox.clock import iso
from hubspot_sync.sandbox.data.property_values import keep_as_given, normalize_value
from hubspot_sync.sandbox.data.records import (
    PERSON,
    Record,
    Snapshot,
    Source,
    UniqueConflict,
    UnknownRecord,
)
from hubspot_sync.sandbox.http.exchange import Exchange
from hubspot_sync.sandbox.limitations import LIMITATIONS
from hubspot_sync.sandbox.messages import Refusal, Reply, not_found


class Files(Protocol):
    """What control needs of the journal's file server."""

    def calls(self) -> list[dict[str, Any]]: ...

    def forget(self) -> None: ...


class Deliveries(Protocol):
    """What control needs of the webhooks' deliverer."""

    def counts(self) -> Mapping[str, int]: ...

    def forget(self) -> None: ...


@dataclass(frozen=True, slots=True)
class ControlRequest:
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
        files: Files,
    ) -> None:
        self._exchange = exchange
        self._journal = exchange.journal
        self._files = files
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
                return handler(
                    ControlRequest(found.groupdict(), dict(parse_qsl(parts.query)), body)
                )
            except Refusal as refusal:
                return refusal.reply
            except UnknownRecord as error:
                return _error_reply(404, f"no such record: {error}")
            except UniqueConflict as error:
                return _error_reply(409, str(error))
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                return _error_reply(400, f"{type(error).__name__}: {error}")
        known_paths = [f"{known} /_sandbox/{pattern.pattern}" for known, pattern, _ in self._routes]
        return _error_reply(404, f"there is no {method} {parts.path}", known=known_paths)

    def _table(self) -> list[tuple[str, str, Callable[[ControlRequest], Reply]]]:
        record = r"records/(?P<type>[^/]+)/(?P<id>\d+)"
        return [
            ("GET", "health", lambda _: Reply(200, {"status": "ok"})),
            ("GET", "limitations", lambda _: Reply(200, {"limitations": list(LIMITATIONS)})),
            ("GET", "calls", self._calls),
            ("DELETE", "calls", self._clear_calls),
            ("POST", "reset", self._reset),
            ("POST", "snapshots", self._snapshot),
            ("POST", r"snapshots/(?P<id>\d+)/restore", self._restore_snapshot),
            ("GET", "config", lambda _: Reply(200, self._sandbox.config.as_json())),
            ("PATCH", "config", self._configure),
            ("POST", "faults", self._order_fault),
            ("GET", "faults", lambda _: Reply(200, {"faults": self._exchange.faults.as_json()})),
            ("DELETE", r"faults(/(?P<id>\d+))?", self._drop_fault),
            ("DELETE", r"properties/(?P<type>[^/]+)/(?P<name>\w+)", self._drop_property),
            ("POST", r"records/(?P<type>[^/]+)", self._create),
            ("GET", r"records/(?P<type>[^/]+)", self._list),
            ("GET", record, self._read),
            ("PATCH", record, self._edit),
            ("DELETE", record, self._archive),
            ("POST", f"{record}/restore", self._restore),
            ("POST", f"{record}/merge", self._merge),
            ("POST", "bulk", self._bulk),
            ("PUT", "associations", self._associate),
            ("DELETE", "associations", self._dissociate),
            ("POST", "clock", self._advance),
            ("GET", "webhooks", lambda _: Reply(200, dict(self._deliveries.counts()))),
            ("POST", f"{record}/forget", self._forget),
            ("GET", "journal", self._show_journal),
            ("POST", "journal/entries", self._append_entry),
            ("DELETE", "journal/tokens", self._revoke_tokens),
        ]

    # Log, start, moments

    def _calls(self, request: ControlRequest) -> Reply:
        return Reply(200, self._exchange.log.since(int(request.query.get("since", "0"))))

    def _clear_calls(self, _request: ControlRequest) -> Reply:
        self._exchange.log.clear()
        return Reply(204)

    def _reset(self, request: ControlRequest) -> Reply:
        body = request.body
        made = self._sow(body.get("seed"), body.get("portal"), body.get("bookings"))
        self._sandbox.live.reset()
        self._exchange.reset()
        self._deliveries.forget()
        self._journal.reset()
        self._files.forget()
        self._snapshots.clear()
        return Reply(200, dict(made))

    def _snapshot(self, _request: ControlRequest) -> Reply:
        snapshot_id = str(len(self._snapshots) + 1)
        self._snapshots[snapshot_id] = self._store.snapshot()
        return Reply(201, {"id": snapshot_id})

    def _restore_snapshot(self, request: ControlRequest) -> Reply:
        snapshot = self._snapshots.get(request.names["id"])
        if snapshot is None:
            raise not_found(f"no such snapshot: {request.names['id']}")
        self._store.restore_snapshot(snapshot)
        return Reply(204)

    def _advance(self, request: ControlRequest) -> Reply:
        self._sandbox.clock.advance(float(request.body["advance_s"]))
        return Reply(200, {"now": self._sandbox.clock.now_s()})

    # Switches and faults

    def _configure(self, request: ControlRequest) -> Reply:
        return Reply(200, self._sandbox.live.patch(request.body).as_json())

    def _order_fault(self, request: ControlRequest) -> Reply:
        return Reply(201, {"id": self._exchange.faults.order(request.body)})

    def _drop_fault(self, request: ControlRequest) -> Reply:
        fault_id = request.names["id"]
        if not self._exchange.drop_fault(fault_id):
            raise not_found(f"no such fault: {fault_id}")
        return Reply(204)

    # Properties, as an administrator

    def _drop_property(self, request: ControlRequest) -> Reply:
        known, name = self._sandbox.type_of(request.names["type"]), request.names["name"]
        if name not in known.properties:
            raise not_found(f"no such property: {name}")
        left = {each: known.properties[each] for each in known.properties if each != name}
        self._store.define_type(replace(known, properties=left))
        return Reply(204)

    # Records, as a person in HubSpot

    def _parse_record(
        self, type_name: str, raw: Mapping[str, Any]
    ) -> tuple[str, dict[str, str | None]]:
        """The type's id and the values as HubSpot keeps them, or as given where `raw` says so."""
        object_type = self._sandbox.type_of(type_name)
        properties = raw.get("properties", {})
        if raw.get("as_is"):
            return object_type.type_id, keep_as_given(properties)
        kept = {
            name: normalize_value(object_type, name, value) for name, value in properties.items()
        }
        return object_type.type_id, kept

    def _create(self, request: ControlRequest) -> Reply:
        type_id, properties = self._parse_record(request.names["type"], request.body)
        with self._store.lock:
            record = self._store.create(type_id, properties, source=PERSON)
            for link in request.body.get("associations", ()):
                to_type = self._sandbox.type_of(link["to_type"]).type_id
                self._store.associate(type_id, record.id, to_type, link["to_id"], source=PERSON)
        return Reply(201, _render_record(record))

    def _list(self, request: ControlRequest) -> Reply:
        type_id = self._sandbox.type_of(request.names["type"]).type_id
        return Reply(
            200, {"results": [_render_record(each) for each in self._store.records(type_id)]}
        )

    def _read(self, request: ControlRequest) -> Reply:
        type_id = self._sandbox.type_of(request.names["type"]).type_id
        record = self._store.get(type_id, request.names["id"], archived=True)
        if record is None:
            raise UnknownRecord(request.names["id"])
        return Reply(200, _render_record(record))

    def _edit(self, request: ControlRequest) -> Reply:
        """As a person, or as the source that is named, `{"name", "id"}`: another app."""
        type_id, properties = self._parse_record(request.names["type"], request.body)
        named = request.body.get("source")
        source = PERSON if named is None else msgspec.convert(named, Source)
        record = self._store.update(type_id, request.names["id"], properties, source=source)
        return Reply(200, _render_record(record))

    def _archive(self, request: ControlRequest) -> Reply:
        type_id = self._sandbox.type_of(request.names["type"]).type_id
        if not self._store.archive(type_id, request.names["id"], source=PERSON):
            raise UnknownRecord(request.names["id"])
        return Reply(204)

    def _restore(self, request: ControlRequest) -> Reply:
        type_id = self._sandbox.type_of(request.names["type"]).type_id
        return Reply(200, _render_record(self._store.restore(type_id, request.names["id"])))

    def _merge(self, request: ControlRequest) -> Reply:
        type_id = self._sandbox.type_of(request.names["type"]).type_id
        other_id = str(request.body["merged"])
        return Reply(200, _render_record(self._store.merge(type_id, request.names["id"], other_id)))

    def _forget(self, request: ControlRequest) -> Reply:
        """Remove a record for good, as its person asked."""
        type_id = self._sandbox.type_of(request.names["type"]).type_id
        self._store.forget(type_id, request.names["id"])
        return Reply(204)

    # The change journal

    def _show_journal(self, _request: ControlRequest) -> Reply:
        """Counts, tokens given out, subscriptions, and the calls for files with whether a token
        came along."""
        journal = self._journal.journal
        return Reply(
            200,
            {
                **journal.counts(),
                "tokens": self._journal.tokens.count,
                "subscriptions": [each.as_json() for each in journal.subscriptions.all()],
                "file_calls": self._files.calls(),
                "files_url": journal.base_url,
            },
        )

    def _append_entry(self, request: ControlRequest) -> Reply:
        """Publish a file with these `events` as they are, whoever is subscribed to what."""
        return Reply(201, {"offset": self._journal.journal.append(request.body["events"]).offset})

    def _revoke_tokens(self, _request: ControlRequest) -> Reply:
        self._journal.tokens.forget()
        return Reply(204)

    def _bulk(self, request: ControlRequest) -> Reply:
        records = [
            (type_id, each.get("id"), properties)
            for each in request.body.get("records", ())
            for type_id, properties in [self._parse_record(each["type"], each)]
        ]
        links = [
            (self._sandbox.type_of(a).type_id, b, self._sandbox.type_of(c).type_id, d)
            for a, b, c, d in request.body.get("associations", ())
        ]
        return Reply(201, {"ids": self._store.load(records, links)})

    def _associate(self, request: ControlRequest) -> Reply:
        self._store.associate(*self._parse_ends(request), source=PERSON)
        return Reply(204)

    def _dissociate(self, request: ControlRequest) -> Reply:
        self._store.dissociate(*self._parse_ends(request), source=PERSON)
        return Reply(204)

    def _parse_ends(self, request: ControlRequest) -> tuple[str, str, str, str]:
        from_type = self._sandbox.type_of(request.body["from_type"]).type_id
        to_type = self._sandbox.type_of(request.body["to_type"]).type_id
        return from_type, request.body["from_id"], to_type, request.body["to_id"]


def _error_reply(status: int, message: str, **more: object) -> Reply:
    return Reply(status, {"status": "error", "message": message, **more})


def _render_record(record: Record) -> dict[str, Any]:
    return {
        "id": record.id,
        "properties": dict(record.properties),
        "archived": record.archived,
        "createdAt": iso(record.created_ms),
        "updatedAt": iso(record.updated_ms),
    }
