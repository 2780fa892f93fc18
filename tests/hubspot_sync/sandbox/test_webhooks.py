"""How the sandbox delivers webhooks: batches, repeats, disorder, an orderly end."""

from __future__ import annotations

import hashlib
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from hubspot.utils.signature import Signature

from hubspot_sync.sandbox.clock import Clock
from hubspot_sync.sandbox.config import Config, LiveConfig
from hubspot_sync.sandbox.data.portals import BOOKINGS
from hubspot_sync.sandbox.data.records import PERSON
from hubspot_sync.sandbox.data.schemas import CONTACTS
from hubspot_sync.sandbox.data.seeds import seed
from hubspot_sync.sandbox.data.store import Store
from hubspot_sync.sandbox.webhooks.delivery import Deliverer
from tests.hubspot_sync.sandbox.receiver import WAIT_S, Receiver, receiving
from tests.sandbox import start_sandbox

SECRET = "yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy"


@dataclass(frozen=True, slots=True)
class Portal:
    """A portal whose changes are delivered, and the one they are delivered to."""

    store: Store
    clock: Clock
    live: LiveConfig
    deliverer: Deliverer
    receiver: Receiver

    def configure(self, **webhook: Any) -> None:
        self.live.patch({"webhook": webhook})

    def create(self, number: int) -> list[int]:
        made = [
            self.store.create(BOOKINGS, {"name": f"B{n}"}, source=PERSON) for n in range(number)
        ]
        return [int(each.id) for each in made]

    def wait_until(self, seen: Callable[[dict[str, int]], bool]) -> dict[str, int]:
        """Look at the counts until they are as wanted: they change after an answer has left."""
        look = threading.Event()
        for _ in range(int(WAIT_S / 0.01)):
            counts = self.deliverer.counts()
            if seen(counts):
                return counts
            look.wait(0.01)
        pytest.fail(f"the counts stayed at {self.deliverer.counts()}")

    def wait_until_idle(self) -> dict[str, int]:
        return self.wait_until(lambda counts: counts["pending"] == 0)

    def wait_for_a_retry(self) -> None:
        self.wait_until(lambda counts: counts["retries"] > 0)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as started:
        yield started


@pytest.fixture
def portal(receiver: Receiver) -> Iterator[Portal]:
    clock = Clock()
    store = Store(clock)
    seed(store, portal="default", name="empty", bookings=None, now=clock.now())
    live = LiveConfig(Config())
    live.patch({"webhook": {"url": receiver.url, "secret": SECRET, "retry_s": 0.02}})
    deliverer = Deliverer(store, clock, live)
    deliverer.start()
    yield Portal(store, clock, live, deliverer, receiver)
    receiver.gate.set()
    deliverer.stop(drain_s=0)


def ids(events: list[dict[str, Any]]) -> list[int]:
    return [event["objectId"] for event in events]


def test_events_made_together_travel_in_one_request(portal: Portal) -> None:
    portal.deliverer.stop(drain_s=0)
    made = portal.create(5)
    portal.deliverer.start()

    assert ids(portal.receiver.wait_for_events(5)) == made
    assert len(portal.receiver.requests) == 1


def test_a_refused_request_is_repeated_with_its_attempt_number(portal: Portal) -> None:
    portal.receiver.statuses = [500, 302]
    (made,) = portal.create(1)

    events = portal.receiver.wait_for_events(3)

    assert [(each["objectId"], each["attemptNumber"]) for each in events] == [
        (made, 0),
        (made, 1),
        (made, 2),
    ]
    assert portal.wait_until_idle() == {
        "pending": 0,
        "delivered": 1,
        "failed": 0,
        "lost": 0,
        "duplicated": 0,
        "requests": 3,
        "retries": 2,
    }


def test_an_event_refused_eleven_times_is_given_up(portal: Portal) -> None:
    portal.configure(retry_s=0.001)
    portal.receiver.statuses = [503] * 20
    portal.create(1)

    events = portal.receiver.wait_for_events(11)

    assert [each["attemptNumber"] for each in events] == list(range(11))
    assert portal.wait_until_idle()["failed"] == 1


def test_the_clock_moved_forward_brings_the_next_repeat(portal: Portal) -> None:
    portal.configure(retry_s=600.0)
    portal.receiver.statuses = [500]
    portal.create(1)
    portal.receiver.wait_for_events(1)
    portal.wait_for_a_retry()

    portal.clock.advance(600)

    assert portal.receiver.wait_for_events(2)[1]["attemptNumber"] == 1


def test_nobody_listening_is_no_answer_and_is_repeated(portal: Portal) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    there = portal.receiver.url
    portal.configure(url=f"http://127.0.0.1:{port}/")
    (made,) = portal.create(1)
    portal.wait_for_a_retry()

    portal.configure(url=there)

    assert ids(portal.receiver.wait_for_events(1)) == [made]


def test_an_answer_that_takes_too_long_is_none(portal: Portal) -> None:
    portal.configure(timeout_s=0.1)
    portal.receiver.gate.clear()
    (made,) = portal.create(1)

    portal.receiver.wait_until(lambda: len(portal.receiver.requests) >= 2)
    portal.receiver.gate.set()

    assert set(ids(portal.receiver.events)) == {made}
    assert portal.receiver.events[1]["attemptNumber"] == 1


def test_at_most_a_hundred_events_a_request_and_ten_requests_at_once(portal: Portal) -> None:
    portal.receiver.gate.clear()
    made = portal.create(1_250)
    portal.receiver.wait_for_requests_at_once(10)
    portal.receiver.gate.set()
    portal.receiver.wait_for_events(1_250)

    assert Counter(ids(portal.receiver.events)) == Counter(made)
    assert max(len(each.events) for each in portal.receiver.requests) == 100
    assert portal.receiver.most_at_once == 10


@pytest.mark.parametrize("copies", [1, 2])
def test_duplicated_events_come_again_word_for_word(copies: int, portal: Portal) -> None:
    portal.configure(duplicate=float(copies))
    portal.create(3)

    events = portal.receiver.wait_for_events(3 + 3 * copies)

    assert all(events.count(event) == 1 + copies for event in events)
    assert portal.wait_until_idle()["duplicated"] == 3 * copies


def test_lost_events_never_come_and_are_counted(portal: Portal) -> None:
    portal.configure(lose=1.0)
    portal.create(4)
    portal.configure(lose=0.0)
    (kept,) = portal.create(1)

    assert ids(portal.receiver.wait_for_events(1)) == [kept]
    assert portal.wait_until_idle()["lost"] == 4


def test_reordered_events_all_come_in_another_order(portal: Portal) -> None:
    portal.configure(reorder=True)
    made = portal.create(30)

    came = ids(portal.receiver.wait_for_events(30))

    assert came != made
    assert sorted(came) == sorted(made)


def test_late_events_wait_for_their_time(portal: Portal) -> None:
    portal.configure(late_s=900.0)
    (late,) = portal.create(1)
    portal.configure(late_s=0.0)
    (prompt,) = portal.create(1)
    assert ids(portal.receiver.wait_for_events(1)) == [prompt]

    portal.clock.advance(900)

    assert ids(portal.receiver.wait_for_events(2)) == [prompt, late]


def test_stopping_sends_what_is_still_waiting(portal: Portal) -> None:
    portal.configure(late_s=900.0)
    made = portal.create(3)

    assert portal.deliverer.stop() == 0
    assert ids(portal.receiver.events) == made


def test_stopping_at_once_says_how_many_it_gave_up(portal: Portal) -> None:
    portal.configure(late_s=900.0)
    portal.create(3)

    assert portal.deliverer.stop(drain_s=0) == 3
    assert portal.receiver.events == []


def test_a_sandbox_told_to_end_sends_what_is_still_waiting_first(receiver: Receiver) -> None:
    sandbox = start_sandbox(webhook_url=receiver.url, webhook_secret=SECRET)
    sandbox.configure(webhook={"late_s": 900.0})
    booking = sandbox.create(BOOKINGS, {"name": "Amy"})

    assert sandbox.stop() == 0
    assert ids(receiver.events) == [int(booking)]


def test_what_is_forgotten_is_not_sent_nor_counted(portal: Portal) -> None:
    portal.configure(late_s=900.0)
    portal.create(3)
    portal.deliverer.forget()
    portal.configure(late_s=0.0)
    (kept,) = portal.create(1)

    assert ids(portal.receiver.wait_for_events(1)) == [kept]
    assert portal.wait_until_idle()["delivered"] == 1


def test_without_an_address_nothing_is_noted(portal: Portal) -> None:
    there = portal.receiver.url
    portal.configure(url="")
    portal.create(1)
    portal.configure(url=there)
    (kept,) = portal.create(1)

    assert ids(portal.receiver.wait_for_events(1)) == [kept]


def test_contacts_are_told_of_in_older_or_general_words_or_both(portal: Portal) -> None:
    for words in ("contact", "object", "both"):
        portal.configure(contact_words=words)
        portal.store.create(CONTACTS, {"email": f"{words}@example.org"})

    events = portal.receiver.wait_for_events(4)

    said = Counter((each["subscriptionType"], each.get("objectTypeId")) for each in events)
    assert said == {("contact.creation", None): 2, ("object.creation", "0-1"): 2}


@pytest.mark.parametrize("signature", ["v3", "v1", "both"])
def test_the_official_validator_accepts_every_signature(portal: Portal, signature: str) -> None:
    portal.configure(signature=signature)
    portal.create(1)
    portal.receiver.wait_for_events(1)
    (request,) = portal.receiver.requests
    body, headers = request.body.decode(), request.headers

    timestamp = headers["X-HubSpot-Request-Timestamp"]
    # The official one decodes nothing, so it is given the URI as HubSpot signs it.
    uri = portal.receiver.url.replace("%3A", ":")
    if signature in {"v3", "both"}:
        assert Signature.is_valid(
            headers["X-HubSpot-Signature-v3"], SECRET, body, uri, "POST", "v3", timestamp
        )
        sent_ms = int(timestamp)
        assert abs(datetime.now(UTC).timestamp() * 1000 - sent_ms) < 300_000
    if signature in {"v1", "both"}:
        assert headers["X-HubSpot-Signature-Version"] == "v1"
        assert Signature.is_valid(
            headers["X-HubSpot-Signature"], SECRET, body, signature_version="v1"
        )
        by_hand = hashlib.sha256(SECRET.encode() + request.body).hexdigest()
        assert headers["X-HubSpot-Signature"] == by_hand
    assert ("X-HubSpot-Signature-v3" in headers) == (signature != "v1")
    assert ("X-HubSpot-Signature" in headers) == (signature != "v3")
