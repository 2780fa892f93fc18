"""What a sandbox holds when it starts or is reset: nothing, the demo, or a file.

A file is JSON in the shape of `/_sandbox/bulk`, plus "portal" and, if wanted, "archived" (pairs of
type and id to archive). Whatever the seed, the portal's types, properties and association types are
there. Seeding is no change anybody made: no webhook tells of it.
"""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from hubspot_sync.sandbox.data.demo import demo_data
from hubspot_sync.sandbox.data.portals import PORTALS, Portal
from hubspot_sync.sandbox.data.records import UniqueConflict
from hubspot_sync.sandbox.data.store import Store

DEMO_BOOKINGS = 400
MAX_BOOKINGS = 50_000


class BadSeed(ValueError):
    """A seed that cannot be sown, with a sentence that says why."""


def seed(
    store: Store,
    *,
    portal: str,
    name: str,
    bookings: int | None,
    now: datetime,
    random_seed: int = 1,
) -> dict[str, Any]:
    """Empty `store`, make it the portal and fill it with `name`: "empty", "demo" or a file's path.

    Returns the portal's name and how many records and associations there are. Raises BadSeed for
    an unknown portal, an unreadable file or records that contradict each other, and then leaves
    the store as it was.
    """
    chosen, data = _load_data(portal, name, bookings, now, random_seed)
    with store.lock:
        before = store.snapshot()
        try:
            made = _sow(store, chosen, data)
        except (KeyError, TypeError, ValueError, UniqueConflict) as error:
            store.restore_snapshot(before)
            raise BadSeed(f"The seed {name!r} does not fit the portal: {error!r}") from error
    return {"portal": chosen.name, **made}


def _sow(store: Store, portal: Portal, data: dict[str, Any]) -> dict[str, int]:
    records = [(each["type"], each.get("id"), each["properties"]) for each in data["records"]]
    associations = [(str(a), str(b), str(c), str(d)) for a, b, c, d in data["associations"]]
    store.clear()
    install(store, portal)
    store.load(records, associations)
    for object_type, record_id in data.get("archived", ()):
        store.archive(object_type, record_id)
    return {"records": len(records), "associations": len(associations)}


def install(store: Store, portal: Portal) -> None:
    """Give `store` the portal's types, properties and association types."""
    for object_type in portal.object_types:
        store.define_type(object_type)
    for from_type, to_type, label, inverse in portal.labels:
        store.define_label(from_type, to_type, label, inverse)


def _load_data(
    portal: str, name: str, bookings: int | None, now: datetime, random_seed: int
) -> tuple[Portal, dict[str, Any]]:
    if name == "empty":
        return _portal(portal), {"records": [], "associations": []}
    if name == "demo":
        wanted = DEMO_BOOKINGS if bookings is None else bookings
        if not 0 <= wanted <= MAX_BOOKINGS:
            raise BadSeed(f"The demo has from 0 to {MAX_BOOKINGS} bookings, not {wanted}.")
        chosen = _portal(portal)
        return chosen, demo_data(chosen, bookings=wanted, now=now, random_seed=random_seed)
    data = _read(Path(name))
    return _portal(data.get("portal", portal)), data


def _portal(name: str) -> Portal:
    if name not in PORTALS:
        raise BadSeed(f"There is no portal {name!r}; there are {', '.join(PORTALS)}.")
    return PORTALS[name]


def _read(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadSeed(f"The seed file {path} cannot be read: {error}") from error
    if not isinstance(data, dict) or not isinstance(data.get("records"), list):
        raise BadSeed(f'The seed file {path} must be an object with a list "records".')
    return {"associations": [], **data}
