"""What every endpoint works on, and the small steps they share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hubspot_sync.sandbox.clock import Clock, iso
from hubspot_sync.sandbox.config import Config, LiveConfig
from hubspot_sync.sandbox.data.records import Record, Source
from hubspot_sync.sandbox.data.schemas import ObjectType
from hubspot_sync.sandbox.data.store import Store
from hubspot_sync.sandbox.messages import Request, invalid


@dataclass(frozen=True, slots=True)
class Sandbox:
    """One portal, its clock and its switches."""

    store: Store
    clock: Clock
    live: LiveConfig

    @property
    def config(self) -> Config:
        return self.live.now

    @property
    def source(self) -> Source:
        """Whom the history names for what comes by the API."""
        return Source(self.config.source_type, self.config.source_id)

    def stamp(self) -> str:
        return iso(self.clock.now_ms())

    def type_of(self, name: str) -> ObjectType:
        """A type by its id or standard name; raises Refusal for anything else."""
        known = self.store.type_named(name)
        if known is None:
            raise invalid(f"Unable to infer object type from: {name}")
        return known


def read_inputs(request: Request, most: int) -> list[dict[str, Any]]:
    """The inputs of a batch; raises Refusal where there are too many of them."""
    inputs = request.inputs
    if len(inputs) > most:
        raise invalid(
            f"Invalid input: {len(inputs)} inputs were given, the maximum batch size is {most}"
        )
    return inputs


def input_ids(inputs: Sequence[Mapping[str, Any]]) -> list[str]:
    """The `id` of each input; raises Refusal where one is missing or given twice."""
    ids = [text_id(each) for each in inputs]
    seen: set[str] = set()
    twice = [each for each in ids if each in seen or seen.add(each)]  # type: ignore[func-returns-value]  # add is None
    if twice:
        listed = ", ".join(dict.fromkeys(twice))
        raise invalid(f"Duplicate IDs found in batch input: [{listed}]. IDs must be unique")
    return ids


def text_id(holder: object) -> str:
    """The id in `{"id": …}` as text; raises Refusal where there is none."""
    value = holder.get("id") if isinstance(holder, Mapping) else None
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise invalid("Invalid input JSON: an id is missing")
    return str(value)


def render_record(
    record: Record,
    object_type: ObjectType,
    names: Sequence[str],
    history: Sequence[str] = (),
    history_limit: int = 0,
) -> dict[str, Any]:
    """A record as HubSpot writes it: the properties asked for, and the ones it always adds. Of a
    property's history at most so many values, 0 for all."""
    wanted = ("hs_object_id", *object_type.stamps, *names)
    body: dict[str, Any] = {
        "id": record.id,
        "properties": {
            name: record.properties[name] for name in wanted if name in record.properties
        },
        "createdAt": iso(record.created_ms),
        "updatedAt": iso(record.updated_ms),
        "archived": record.archived,
    }
    if history:
        latest = slice(history_limit or None)
        body["propertiesWithHistory"] = {
            name: render_history(record, name)[latest]
            for name in history
            if name in object_type.properties
        }
    if record.archived_ms is not None:
        body["archivedAt"] = iso(record.archived_ms)
    return body


def render_history(record: Record, name: str) -> list[dict[str, Any]]:
    """Every value a property had, newest first."""
    return [
        {
            "value": write.properties[name] or "",
            "timestamp": iso(write.at_ms),
            "sourceType": write.source.name,
            "sourceId": write.source.id,
        }
        for write in reversed(record.writes)
        if name in write.properties
    ]
