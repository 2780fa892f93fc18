"""The ASGI application that the server runs: bodies first, then a thread and the WSGI application.

A request goes: head → body, on the event loop, within bounds → a lane of threads → the application.
What the server itself refuses goes through the application too, by a lane of its own, so that such
an answer has the same shape, headers, metrics and log line as any other. Health, and what is asked
about readiness and metrics, have lanes of their own: they answer while all other threads are busy.
So have webhooks, since HubSpot waits for five seconds, and who reads in a rush for longer.
"""

from __future__ import annotations

import asyncio
import io
import math
import signal
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import structlog

from booking_api.api.context import WEBHOOKS_PREFIX
from booking_api.server.bodies import BodyReader, Refused
from booking_api.server.config import ANSWERING_S, MAX_CONNECTIONS, ServerConfig
from booking_api.server.environ import base_environ
from booking_api.server.lanes import Lane
from booking_api.server.requests import Receive, Request, Send, open_request
from booking_api.server.responses import Answerer

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

SMALL_LANE_THREADS = 2
# hubspot-facts: HubSpot sends ten at once; of them, one address has three quarters at most.
WEBHOOK_LANE_THREADS = 16
UNBOUNDED = 2 * MAX_CONNECTIONS
HEALTH_PATHS = frozenset({"/api/health", "/api/health/"})
PROBE_PATHS = frozenset({"/api/ready", "/api/ready/", "/metrics"})

log = structlog.get_logger(__name__)


def do_nothing() -> None:
    """For an application that has nothing to do then."""


class ServerApplication:
    """ASGI 3.0; by its `lifespan` it learns its event loop, and when to end. `on_stop` is called
    when it is told to stop, before those who wait are answered, and `on_end` once they are."""

    def __init__(
        self,
        wsgi: WSGIApplication,
        config: ServerConfig,
        on_stop: Callable[[], None] = do_nothing,
        on_end: Callable[[], None] = do_nothing,
    ) -> None:
        self._wsgi = wsgi
        self._config = config
        self._on_stop = on_stop
        self._on_end = on_end
        self._reader = BodyReader(config)
        self._finished: deque[tuple[Lane, Request]] = deque()
        self._is_woken = False
        self._idle = asyncio.Event()
        self._under_way: dict[Request, Lane] = {}
        self._stops_waiting_at_s = math.inf

    @property
    def queued(self) -> int:
        """How many requests wait for a thread."""
        return sum(lane.queued for lane in self._lanes)

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            await self._serve(open_request(scope, send, self._config.trusted_proxies), receive)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        self._start(asyncio.get_running_loop())
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._wait_until_idle()
        self._on_end()
        await send({"type": "lifespan.shutdown.complete"})

    def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        base = base_environ(workers=self._config.workers)
        self._answerer = Answerer(self._wsgi, base, loop)
        self._main = self._make_lane("request", self._config.threads, self._config.max_queued)
        self._webhooks = self._make_lane("webhook", WEBHOOK_LANE_THREADS, self._config.max_queued)
        # Of these nobody is refused a place: the number of connections bounds them.
        self._health = self._make_lane("health", SMALL_LANE_THREADS, UNBOUNDED)
        self._probes = self._make_lane("probe", SMALL_LANE_THREADS, UNBOUNDED)
        self._refusals = self._make_lane("refusal", SMALL_LANE_THREADS, UNBOUNDED)
        for number in (signal.SIGTERM, signal.SIGINT):
            # Beside the server's own handling, which asyncio's wake-up descriptor starts: a stop is
            # not to wait for bodies.
            signal.signal(number, self._handle_stop)
            signal.siginterrupt(number, False)

    def _make_lane(self, name: str, threads: int, max_queued: int) -> Lane:
        def work(request: Request) -> None:
            self._answerer.answer(request)
            self._finished.append((lane, request))
            self._wake()

        lane = Lane(name, threads=threads, max_queued=max_queued, work=work)
        return lane

    def _handle_stop(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop)

    def _stop(self) -> None:
        if self._stops_waiting_at_s < math.inf:
            return  # it was told twice
        self._stops_waiting_at_s = time.monotonic() + self._config.max_stop_wait_s
        self._loop.call_later(self._config.max_stop_wait_s, self._answer_without_waiting)
        self._reader.stop()
        self._on_stop()

    def _answer_without_waiting(self) -> None:
        """Refuse all that are still under way: the process is about to end."""
        for request, lane in list(self._under_way.items()):
            if request.is_queued:
                lane.withdraw(request)
                self._refuse(request, "STOPPING")
            elif not request.done.done() and request.refusal is None:
                log.warning("stopped_before_answer", path=request.path)
                self._refusals.submit(request.stand_in("STOPPING"))

    def _wake(self) -> None:
        """Have the event loop look at what is finished; once for many."""
        if self._is_woken:
            return
        self._is_woken = True
        try:
            self._loop.call_soon_threadsafe(self._collect)
        except RuntimeError:
            return  # the loop has ended: nobody is served any more

    def _collect(self) -> None:
        self._is_woken = False
        while self._finished:
            lane, request = self._finished.popleft()
            lane.finish(request)
            if not request.done.done():
                request.done.set_result(None)
        if not self._is_busy:
            self._idle.set()

    @property
    def _is_busy(self) -> bool:
        return any(lane.is_busy for lane in self._lanes)

    @property
    def _lanes(self) -> tuple[Lane, ...]:
        return (self._main, self._webhooks, self._health, self._probes, self._refusals)

    async def _wait_until_idle(self) -> None:
        """Wait for the work of clients who have gone; for the others the server has waited."""
        self._idle.clear()
        if not self._is_busy:
            return
        left_s = self._stops_waiting_at_s + ANSWERING_S - time.monotonic()
        try:
            await asyncio.wait_for(
                self._idle.wait(), min(self._config.max_wait_s, max(0.0, left_s))
            )
        except TimeoutError:
            log.warning("stopped_amid_work")

    async def _serve(self, request: Request, receive: Receive) -> None:
        try:
            lane = self._under_way[request] = await self._admit(request, receive)
            if request.is_queued:
                await self._wait_in_queue(request, lane, receive)
            await request.done
            if request.is_cut_off and request.rest_is_read:
                await self._reader.discard(receive)
        finally:
            self._under_way.pop(request, None)
            self._reader.budget.release(request)

    async def _admit(self, request: Request, receive: Receive) -> Lane:
        """Read the body and have the request served; return the lane that does."""
        try:
            if request.has_body:
                await self._reader.read(request, receive)
                request.arrived_s = time.monotonic()
            lane = self._choose_lane(request.path)
            lane.submit(request)
        except Refused as refused:
            lane = self._refuse(request, refused.code)
        return lane

    def _choose_lane(self, path: str) -> Lane:
        if path in HEALTH_PATHS:
            return self._health
        if path.startswith(WEBHOOKS_PREFIX):
            return self._webhooks
        return self._probes if path in PROBE_PATHS else self._main

    def _refuse(self, request: Request, code: str) -> Lane:
        request.refusal = code
        request.body = io.BytesIO()
        self._reader.budget.release(request)
        self._refusals.submit(request)
        return self._refusals

    async def _wait_in_queue(self, request: Request, lane: Lane, receive: Receive) -> None:
        """Wait until the request is answered, its client has gone, or it has waited too long."""
        gone = asyncio.ensure_future(wait_until_gone(request, receive))
        waits_s = request.arrived_s + self._config.max_wait_s - time.monotonic()
        try:
            await asyncio.wait(
                {gone, request.done}, timeout=waits_s, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            gone.cancel()
        if not request.is_queued:
            return
        lane.withdraw(request)
        if gone.done() and not gone.cancelled():
            request.done.set_result(None)
        else:
            self._refuse(request, "RATE_LIMITED")


async def wait_until_gone(request: Request, receive: Receive) -> None:
    """Return when the client has gone, never where that cannot be told. What is left of messages
    before that is the body's end."""
    if request.is_broken_off:
        await asyncio.get_running_loop().create_future()
    while (await receive())["type"] != "http.disconnect":
        continue
