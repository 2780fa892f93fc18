"""A HubSpot that answers when told to, and callers whose joining can be waited for."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import orjson

from hubspot_sync.batching.coalescing import Coalescer
from hubspot_sync.batching.outcomes import Many
from hubspot_sync.batching.paging import SearchFilter
from hubspot_sync.batching.raw_records import RawRecord
from hubspot_sync.client import HubSpotClient
from hubspot_sync.errors import HubSpotError
from hubspot_sync.wire.call_context import CallContext, Priority
from hubspot_sync.wire.call_log import CallMeter
from hubspot_sync.wire.deadlines import Deadline
from tests.hubspot_sync.clients import CONTACTS, client_of
from tests.hubspot_sync.wire_server import WireServer, reply, wire_server

PATIENCE_S = 30.0


class Stage:
    """`results` and `searched` are what each caller got, by name."""

    def __init__(self) -> None:
        self.server: WireServer
        self.client: HubSpotClient
        self.arrived = threading.Semaphore(0)
        self.curtain = threading.Semaphore(0)
        self.results: dict[str, Many[RawRecord]] = {}
        self.searched: dict[str, tuple[str, ...] | HubSpotError] = {}
        self.threads: list[threading.Thread] = []
        self.broken: set[int] = set()
        """The numbers of the calls that are refused."""

    def behave(self, connection: socket.socket, number: int) -> bool:
        ids = self.asked(number)
        self.arrived.release()
        assert self.curtain.acquire(timeout=PATIENCE_S)
        if number in self.broken:
            connection.sendall(reply(b"{}", status="400 Bad Request"))
            return True
        if any(one.startswith("666") for one in ids):
            refusal = {"category": "VALIDATION_ERROR", "message": "666 is invalid"}
            connection.sendall(reply(orjson.dumps(refusal), status="400 Bad Request"))
            return True
        results = [{"id": one, "properties": {"call": str(number)}} for one in ids]
        body = {"results": results, "total": len(results)}
        connection.sendall(reply(orjson.dumps(body)))
        return True

    def asked(self, number: int) -> list[str]:
        """The ids of a call, from 1; a search is answered with its own number."""
        body = orjson.loads(self.server.requests[number - 1].split(b"\r\n\r\n")[1])
        return [one["id"] for one in body.get("inputs", [{"id": str(number)}])]

    def enter(
        self,
        name: str,
        ids: Sequence[str],
        *,
        seconds: float = PATIENCE_S,
        properties: Sequence[str] = (),
        meters: Sequence[CallMeter] = (),
        background: bool = False,
    ) -> None:
        """Have somebody ask; returns once they have joined a call."""

        def ask(context: CallContext) -> None:
            self.results[name] = self.client.coalescer.read(
                CONTACTS, ids, properties=properties, context=context
            )

        self._join(ask, seconds, meters, background=background)

    def enter_search(self, name: str, student_id: str) -> None:
        """Have somebody search; returns once they have joined a call."""
        same = SearchFilter(property_name="student_id", operator="EQ", value=student_id)

        def ask(context: CallContext) -> None:
            try:
                found = self.client.coalescer.search_ids(CONTACTS, [same], context=context)
            except HubSpotError as error:
                self.searched[name] = error
            else:
                self.searched[name] = found

        self._join(ask, PATIENCE_S, (), background=False)

    def _join(
        self,
        ask: Callable[[CallContext], None],
        seconds: float,
        meters: Sequence[CallMeter],
        *,
        background: bool,
    ) -> None:
        joined = threading.Event()

        def clock() -> float:
            # Looked at first when the caller, having joined, begins to wait.
            joined.set()
            return time.monotonic()

        context = CallContext(
            deadline=Deadline(at_s=time.monotonic() + seconds, clock=clock),
            priority=Priority.BACKGROUND if background else Priority.PEOPLE,
            meters=tuple(meters),
        )
        thread = threading.Thread(target=ask, args=[context])
        self.threads.append(thread)
        thread.start()
        assert joined.wait(PATIENCE_S)

    def wait_for_call(self) -> None:
        assert self.arrived.acquire(timeout=PATIENCE_S)

    def answer(self, times: int = 1) -> None:
        self.curtain.release(times)

    def finish(self) -> None:
        for thread in self.threads:
            thread.join(PATIENCE_S)

    @property
    def calls(self) -> int:
        return len(self.server.requests)


@contextmanager
def raised_stage(*, max_wait_behind_s: float = PATIENCE_S, **config: Any) -> Iterator[Stage]:
    """Nobody goes out beside a slow call unless a test says when: it answers when it is told to."""
    stage = Stage()
    with wire_server(stage.behave) as server, client_of(server.base_url, **config) as client:
        coalescer = Coalescer(client.batch, client.transport, max_wait_behind_s=max_wait_behind_s)
        stage.server, stage.client = server, replace(client, coalescer=coalescer)
        yield stage
        stage.finish()
