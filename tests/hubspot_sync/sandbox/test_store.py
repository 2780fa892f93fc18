"""The store's promises, for any sequence of writes: history, unique values, snapshots, news."""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubspot_sync.sandbox.clock import Clock
from hubspot_sync.sandbox.config import Config, LiveConfig
from hubspot_sync.sandbox.data.records import Change, UniqueConflict, UnknownRecord
from hubspot_sync.sandbox.data.schemas import Label, ObjectType, Property
from hubspot_sync.sandbox.data.store import Store
from hubspot_sync.sandbox.endpoints.context import Sandbox
from hubspot_sync.sandbox.endpoints.object_batches import batch_create
from hubspot_sync.sandbox.messages import Refusal, Request

CATS, OWNERS = "2-1", "2-2"
CHIPS = [f"chip {number}" for number in range(40)]

writes = st.lists(
    st.tuples(
        st.sampled_from(["create", "update", "archive", "restore"]),
        st.integers(0, 3),
        st.sampled_from(["x", "y", None]),
    ),
    max_size=25,
)


def new_store() -> Store:
    store = Store(Clock())
    chip = {"chip": Property(name="chip", unique=True)}
    for type_id in (CATS, OWNERS):
        object_type = ObjectType(
            type_id=type_id, name="cats", singular="Cat", plural="Cats", properties=chip
        )
        store.define_type(object_type)
    store.define_label(CATS, OWNERS, Label(type_id=1), Label(type_id=2))
    return store


@dataclass(slots=True)
class Model:
    """What the store should hold: each cat's chip, and whether it is archived."""

    chips: dict[str, str | None] = field(default_factory=dict)
    archived: set[str] = field(default_factory=set)

    def taken(self, chip: str | None, by_other_than: str) -> bool:
        live = {cat: value for cat, value in self.chips.items() if cat not in self.archived}
        return chip is not None and any(
            value == chip for cat, value in live.items() if cat != by_other_than
        )


def expected(model: Model, action: str, cat: str, chip: str | None) -> bool:
    """Whether the store should do it; the model does it then."""
    exists, archived = cat in model.chips, cat in model.archived
    fits = {
        "create": not exists and not model.taken(chip, cat),
        "update": exists and not archived and not model.taken(chip, cat),
        "archive": exists and not archived,
        "restore": archived and not model.taken(model.chips.get(cat), cat),
    }[action]
    if fits and action in ("create", "update"):
        model.chips[cat] = chip
    if fits and action == "archive":
        model.archived.add(cat)
    if fits and action == "restore":
        model.archived.discard(cat)
    return fits


def done(store: Store, action: str, cat: str, chip: str | None) -> bool:
    try:
        if action == "create":
            if store.get(CATS, cat, archived=True) is not None:
                return False
            store.create(CATS, {"chip": chip}, record_id=cat)
        elif action == "update":
            store.update(CATS, cat, {"chip": chip})
        elif action == "archive":
            return store.archive(CATS, cat)
        else:
            store.restore(CATS, cat)
    except (UniqueConflict, UnknownRecord):
        return False
    return True


@given(writes)
def test_the_store_does_what_a_simple_model_says(steps: list[tuple[str, int, str | None]]) -> None:
    store, model = new_store(), Model()

    for action, number, chip in steps:
        cat = str(number)
        assert done(store, action, cat, chip) == expected(model, action, cat, chip)

    held = {each.id: each.properties.get("chip") for each in store.records(CATS)}
    assert held == model.chips
    assert {each.id for each in store.records(CATS) if each.archived} == model.archived
    for value in ("x", "y"):
        holder = store.find(CATS, "chip", value)
        live = [c for c, v in held.items() if v == value and c not in model.archived]
        assert ([] if holder is None else [holder.id]) == live


@given(writes, writes)
def test_a_restored_snapshot_is_what_was_kept(
    before: list[tuple[str, int, str | None]], after: list[tuple[str, int, str | None]]
) -> None:
    store = new_store()
    for action, number, chip in before:
        done(store, action, str(number), chip)
    kept, records = store.snapshot(), store.records(CATS)

    for action, number, chip in after:
        done(store, action, str(number), chip)
    store.restore_snapshot(kept)

    assert store.records(CATS) == records


@given(st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=10))
def test_a_record_can_be_seen_as_it_stood_after_each_write(names: list[str]) -> None:
    store = new_store()
    cat = store.create(CATS, {})
    seen = []
    for name in names:
        store.clock.advance(1)
        cat = store.update(CATS, cat.id, {"name": name})
        seen.append((store.clock.now_ms(), name))
    store.clock.advance(1)

    for at_ms, name in seen:
        properties = cat.as_of(at_ms)
        assert properties is not None
        assert properties["name"] == name
    assert cat.as_of(cat.created_ms - 1) is None


def test_listeners_hear_of_each_change_once_and_in_order() -> None:
    store, heard = new_store(), list[Change]()
    store.subscribe(heard.append)
    store.load([(OWNERS, "9", {})])

    cat = store.create(CATS, {"name": "Tom"})
    store.associate(CATS, cat.id, OWNERS, "9")
    store.associate(CATS, cat.id, OWNERS, "9")
    store.update(CATS, cat.id, {"name": "Tom"})
    store.update(CATS, cat.id, {"name": "Tim"})
    store.archive(CATS, cat.id)
    store.restore(CATS, cat.id)

    assert [(each.kind, each.object_type) for each in heard] == [
        ("creation", CATS),
        ("associationChange", CATS),
        ("associationChange", OWNERS),
        ("propertyChange", CATS),
        ("deletion", CATS),
        ("restore", CATS),
    ]
    assert (heard[3].property_name, heard[3].property_value) == ("name", "Tim")


@pytest.fixture
def restless_threads() -> Iterator[None]:
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_of_batches_at_once_with_one_unique_value_one_is_made_and_whole(
    restless_threads: None,
) -> None:
    store = new_store()
    sandbox = Sandbox(store, store.clock, LiveConfig(Config()))
    statuses: list[int] = []
    together = threading.Barrier(8, timeout=30)

    def create_all() -> None:
        for chip in CHIPS:
            inputs = [{"properties": {"chip": each}} for each in ("", "", chip)]
            body = {"inputs": inputs}
            request = Request(method="POST", path="/", names={"type": CATS}, body=body)
            together.wait()
            try:
                statuses.append(batch_create(sandbox, request).status)
            except Refusal as refusal:
                statuses.append(refusal.status)

    threads = [threading.Thread(target=create_all) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(timeout=60)

    assert Counter(statuses) == {201: len(CHIPS), 409: 7 * len(CHIPS)}
    assert len(store.records(CATS)) == 3 * len(CHIPS)
