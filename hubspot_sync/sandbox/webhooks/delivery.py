"""Delivering the portal's changes as HubSpot does: at least once, in no promised order.

Takes note of every change while a target URL is configured, gathers events into requests of at most
a hundred, sends at most ten requests at a time and repeats a refused or unanswered one with growing
waits, ten times at most. On request it is worse: events sent twice, out of order, late, or never.
HubSpot spreads its repeats over 24 hours; here they are squeezed into minutes by the sandbox's own
clock, which can be moved forward. What an event says is `payloads.py`.
"""

from __future__ import annotations

import heapq
import http.client
import itertools
import json
import random
import threading
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from hubspot_sync.sandbox.clock import Clock
from hubspot_sync.sandbox.config import LiveConfig, WebhookConfig
from hubspot_sync.sandbox.data.records import Change
from hubspot_sync.sandbox.data.store import Store
from hubspot_sync.sandbox.webhooks.payloads import events_of, signed_headers

MAX_EVENTS_PER_REQUEST = 100
MAX_CONCURRENT_REQUESTS = 10
MAX_RETRIES = 10
GATHER_S = 0.05
DISORDER_S = 0.5
MAX_WAIT_S = 60.0
# The clock may be moved while somebody waits by it, so no wait trusts it for longer than this.
LOOK_AGAIN_S = 0.1
# HubSpot does not promise event ids to be unique, so here they come round again.
EVENT_IDS = 1_000


@dataclass(frozen=True, slots=True, order=True)
class Delivery:
    """An event on its way: when it is due, its place among those due then, its attempt."""

    due_s: float
    place: int
    event: dict[str, Any] = field(compare=False)
    attempt: int = field(compare=False, default=0)
    generation: int = field(compare=False, default=0)


class Deliverer:
    """Sends the store's changes to the configured URL from threads of its own."""

    def __init__(
        self, store: Store, clock: Clock, live: LiveConfig, *, random_seed: int = 1
    ) -> None:
        self._clock = clock
        self._live = live
        self._chance = random.Random(random_seed)
        self._changed = threading.Condition()
        self._waiting: list[Delivery] = []
        self._in_flight = 0
        self._counts: Counter[str] = Counter()
        self._generation = 0
        self._stopped = False
        self._threads: list[threading.Thread] = []
        self._event_ids = itertools.cycle(range(1, EVENT_IDS + 1))
        self._places = itertools.count()
        store.subscribe(self._enqueue_events)

    def start(self) -> None:
        """Start delivering; changes made before are sent too."""
        with self._changed:
            self._stopped = False
            self._threads = [
                threading.Thread(
                    target=self._deliver_until_stopped, name=f"webhooks-{number}", daemon=True
                )
                for number in range(MAX_CONCURRENT_REQUESTS)
            ]
        for thread in self._threads:
            thread.start()

    def stop(self, *, drain_s: float = 5.0) -> int:
        """Send what is still waiting, due or not, for at most `drain_s` seconds, and end.

        Returns how many events remain unsent; 0 seconds gives them up at once.
        """
        with self._changed:
            if drain_s > 0:
                now_s = self._clock.now_s()
                self._waiting = [replace(each, due_s=now_s) for each in self._waiting]
                heapq.heapify(self._waiting)
            self._changed.notify_all()
            self._changed.wait_for(self._is_idle, timeout=drain_s)
            self._stopped = True
            self._changed.notify_all()
            left = len(self._waiting) + self._in_flight
        for thread in self._threads:
            thread.join(timeout=self._live.webhook.timeout_s + 1)
        return left

    def forget(self) -> None:
        """Drop what is waiting and start counting anew, as after a reset."""
        with self._changed:
            self._generation += 1
            self._waiting.clear()
            self._counts.clear()
            self._changed.notify_all()

    def counts(self) -> dict[str, int]:
        """Return events `pending`, `delivered`, `failed` (given up), `lost` and `duplicated` on
        purpose, and `requests` and `retries` made."""
        with self._changed:
            names = ("delivered", "failed", "lost", "duplicated", "requests", "retries")
            pending = len(self._waiting) + self._in_flight
            return {"pending": pending, **{name: self._counts[name] for name in names}}

    # Taking note -------------------------------------------------------------------------------

    def _enqueue_events(self, change: Change) -> None:
        config = self._live.webhook
        if not config.url:
            return
        with self._changed:
            event_id = next(self._event_ids)
            for event in events_of(change, event_id=event_id, contact_words=config.contact_words):
                self._enqueue(event, config)
            self._changed.notify_all()

    def _enqueue(self, event: dict[str, Any], config: WebhookConfig) -> None:
        if self._chance.random() < config.lose:
            self._counts["lost"] += 1
            return
        self._schedule(event, 0, config)
        surely, perhaps = divmod(config.duplicate, 1)
        for _ in range(int(surely) + (self._chance.random() < perhaps)):
            self._counts["duplicated"] += 1
            self._schedule(event, 0, config)

    def _schedule(self, event: dict[str, Any], attempt: int, config: WebhookConfig) -> None:
        wait_s = GATHER_S + config.late_s
        if attempt:
            wait_s = min(config.retry_s * 2 ** (attempt - 1), MAX_WAIT_S)
        if config.reorder:
            wait_s += self._chance.uniform(0, DISORDER_S)
        due_s = self._clock.now_s() + wait_s
        delivery = Delivery(due_s, next(self._places), event, attempt, self._generation)
        heapq.heappush(self._waiting, delivery)

    # Sending -----------------------------------------------------------------------------------

    def _deliver_until_stopped(self) -> None:
        while (batch := self._next_batch()) is not None:
            accepted = self._send(batch)
            self._record_outcome(batch, accepted=accepted)

    def _next_batch(self) -> list[Delivery] | None:
        """Wait for events that are due and return them; None when it is time to end."""
        with self._changed:
            while not self._stopped:
                batch = self._take_due()
                if batch:
                    self._in_flight += len(batch)
                    self._counts["requests"] += 1
                    return batch
                self._changed.wait(self._wait_s())
        return None

    def _wait_s(self) -> float | None:
        if not self._waiting:
            return None
        if not self._live.webhook.url:
            return LOOK_AGAIN_S
        return min(LOOK_AGAIN_S, max(0.0, self._waiting[0].due_s - self._clock.now_s()))

    def _take_due(self) -> list[Delivery]:
        """Take the oldest, if it is due, and those that came while it gathered."""
        now_s, waiting = self._clock.now_s(), self._waiting
        batch: list[Delivery] = []
        if not waiting or waiting[0].due_s > now_s or not self._live.webhook.url:
            return batch
        while waiting and waiting[0].due_s <= now_s + GATHER_S:
            batch.append(heapq.heappop(waiting))
            if len(batch) == MAX_EVENTS_PER_REQUEST:
                break
        return batch

    def _record_outcome(self, batch: list[Delivery], *, accepted: bool) -> None:
        with self._changed:
            self._in_flight -= len(batch)
            current = [each for each in batch if each.generation == self._generation]
            if accepted:
                self._counts["delivered"] += len(current)
            else:
                self._schedule_again(current)
            self._changed.notify_all()

    def _schedule_again(self, refused: list[Delivery]) -> None:
        for delivery in refused:
            if delivery.attempt >= MAX_RETRIES:
                self._counts["failed"] += 1
                continue
            self._counts["retries"] += 1
            self._schedule(delivery.event, delivery.attempt + 1, self._live.webhook)

    def _send(self, batch: list[Delivery]) -> bool:
        """Post the events and return whether the answer was a 2xx."""
        config = self._live.webhook
        events = [{**each.event, "attemptNumber": each.attempt} for each in batch]
        body = json.dumps(events, separators=(",", ":")).encode()
        # The receiver's clock is the wall's, and it refuses what was signed long ago: the
        # sandbox's own time, which tests move, is not for this.
        at_ms = int(datetime.now(UTC).timestamp() * 1000)
        headers = signed_headers(
            body, url=config.url, secret=config.secret, signature=config.signature, at_ms=at_ms
        )
        headers["Content-Type"] = "application/json"
        headers["User-Agent"] = "HubSpot Connect 2.0 (http://dev.hubspot.com/) - WebHooks"
        try:
            return 200 <= post(config.url, body, headers, timeout_s=config.timeout_s) < 300
        except (OSError, http.client.HTTPException):
            return False

    def _is_idle(self) -> bool:
        return not self._waiting and not self._in_flight


def post(url: str, body: bytes, headers: dict[str, str], *, timeout_s: float) -> int:
    """Post and return the status; raises OSError or HTTPException where none came in time."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.netloc, timeout=timeout_s)
    try:
        target = parts.path or "/"
        connection.request(
            "POST", target + (f"?{parts.query}" if parts.query else ""), body, headers
        )
        return connection.getresponse().status
    finally:
        connection.close()
