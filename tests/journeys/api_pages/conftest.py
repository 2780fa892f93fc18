"""The demo that the pages speak of, with a student like theirs for each language."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count

import pytest

from tests.sandbox import SandboxHandle
from tests.server import Server, serving

CONTACTS, BOOKINGS = "0-1", "2-50158943"


@dataclass(frozen=True, slots=True)
class Twin:
    """A student who is as the pages' own, under another id."""

    student_id: str
    email: str

    @property
    def pair(self) -> dict[str, str]:
        return {"student_id": self.student_id, "email": self.email}

    @property
    def environment(self) -> dict[str, str]:
        return {"STUDENT_ID": self.student_id, "EMAIL": self.email}


@dataclass(slots=True)
class Demo:
    """The API before the demo's data."""

    sandbox: SandboxHandle
    server: Server
    _numbers: Iterator[int] = field(default_factory=lambda: count(9001))

    def add_twin(self) -> Twin:
        twin = Twin(f"S{next(self._numbers)}", "")
        twin = Twin(twin.student_id, f"chiara.rossi.{twin.student_id.lower()}@example.org")
        properties = self.sandbox.record(CONTACTS, "101003")["properties"]
        named = {name: properties[name] for name in ("firstname", "lastname")}
        credits_ = {name: properties[name] for name in properties if name.startswith("credits_")}
        own = {"student_id": twin.student_id, "email": twin.email}
        self.sandbox.create(CONTACTS, {**named, **credits_, **own})
        return twin

    def active_bookings_of(self, twin: Twin) -> list[Mapping[str, str]]:
        found = (record["properties"] for record in self.sandbox.records(BOOKINGS))
        return [
            properties
            for properties in found
            if properties["student_id"] == twin.student_id and properties["is_active"] == "true"
        ]

    def cancel_bookings_of(self, twin: Twin) -> None:
        for booking in self.active_bookings_of(twin):
            address = f"/api/bookings/{booking['hs_object_id']}"
            cancelled = self.server.send("DELETE", address, json.dumps(twin.pair).encode())
            assert cancelled.status == 200, cancelled.body


@pytest.fixture(scope="module")
def demo(
    sandbox_process: SandboxHandle, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Demo]:
    sandbox_process.reset(seed="demo", portal="default")
    sandbox_process.kind()
    # So few that a test can be sent away.
    with serving(
        sandbox_process, tmp_path_factory.mktemp("api"), THROTTLE_READS="10/second"
    ) as api:
        yield Demo(sandbox_process, api)


@pytest.fixture
def twin(demo: Demo) -> Iterator[Twin]:
    """A student of the test's own; the seats they book are free again afterwards."""
    twin = demo.add_twin()
    yield twin
    demo.cancel_bookings_of(twin)
