"""hubspot-facts.md, line by line: what webhooks say and how they are signed.

Delivery itself (batches, retries, disorder) is in test_webhooks.py; here the sandbox's own process
sends, as it does for the application.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hubspot.utils.signature import Signature

from hubspot_sync.sandbox.webhooks.payloads import signature_v1, signature_v3
from tests.hubspot_sync.sandbox.hub import BOOKINGS, CONTACTS, EXAMS, Hub, connected
from tests.hubspot_sync.sandbox.receiver import Receiver, receiving
from tests.sandbox import SandboxHandle

SECRET = "yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy"
PUBLISHED_V1_BODY = (
    b'[{"eventId":1,"subscriptionId":12345,"portalId":62515,"occurredAt":1564113600000,'
    b'"subscriptionType":"contact.creation","attemptNumber":0,"objectId":123,"changeSource":"CRM",'
    b'"changeFlag":"NEW","appId":54321}]'
)
PUBLISHED_V1 = "232db2615f3d666fe21a8ec971ac7b5402d33b9a925784df3ca654d05f4817de"
PUBLISHED_V2 = "eee2dddcc73c94d699f5e395f4b9d454a069a6855fbfa152e91e88823087200e"
PAYLOADS = Path(__file__).parents[2] / "wire" / "webhooks"


@pytest.fixture
def receiver(kind_sandbox: SandboxHandle) -> Iterator[Receiver]:
    """Where the sandbox sends its webhooks during one test."""
    with receiving() as started:
        kind_sandbox.configure(webhook={"url": started.url, "secret": SECRET, "signature": "both"})
        yield started
        kind_sandbox.configure(webhook={"url": ""})


@pytest.fixture
def hub(kind_sandbox: SandboxHandle, receiver: Receiver) -> Iterator[Hub]:
    with connected(kind_sandbox, "2026-09") as reached:
        yield reached


def shape(event: dict[str, Any]) -> dict[str, type]:
    return {name: type(value) for name, value in event.items()}


def is_as_documented(event: dict[str, Any]) -> bool:
    """Whether the event has the fields of its kind in tests/wire, of their types, and no others."""
    path = PAYLOADS / f"{event['subscriptionType']}.json"
    (documented,) = json.loads(path.read_text(encoding="utf-8"))
    return shape(event) == shape(documented)


def told(receiver: Receiver, number: int) -> dict[str, dict[str, Any]]:
    """That many events by their subscription type."""
    return {each["subscriptionType"]: each for each in receiver.wait_for_events(number)}


def test_a_request_is_a_json_array_of_events(hub: Hub, receiver: Receiver) -> None:
    hub.sandbox.create(BOOKINGS, {"name": "Amy"})
    receiver.wait_for_events(1)

    request = receiver.requests[0]

    assert request.body.startswith(b"[{")
    assert request.headers["Content-Type"] == "application/json"


def test_a_custom_objects_creation_names_its_type_and_integer_id(
    hub: Hub, receiver: Receiver
) -> None:
    booking = hub.sandbox.create(BOOKINGS, {"name": "Amy"})

    event = told(receiver, 1)["object.creation"]

    assert is_as_documented(event)
    assert (str(event["objectId"]), event["objectTypeId"]) == (booking, BOOKINGS)


def test_a_property_change_carries_the_property_and_its_value_one_event_each(
    hub: Hub, receiver: Receiver
) -> None:
    (booking,) = hub.bookings(1)

    hub.sandbox.edit(BOOKINGS, booking, email="amy@example.org", name="Amy")

    events = receiver.wait_for_events(2)
    assert all(map(is_as_documented, events))
    assert {(each["propertyName"], each["propertyValue"]) for each in events} == {
        ("email", "amy@example.org"),
        ("name", "Amy"),
    }


def test_a_deletion_carries_no_properties(hub: Hub, receiver: Receiver) -> None:
    (booking,) = hub.bookings(1, email="amy@example.org")

    hub.sandbox.archive(BOOKINGS, booking)

    event = told(receiver, 1)["object.deletion"]
    assert is_as_documented(event)
    assert str(event["objectId"]) == booking


def test_a_restored_object_is_told_of(hub: Hub, receiver: Receiver) -> None:
    (booking,) = hub.bookings(1)
    hub.sandbox.archive(BOOKINGS, booking)

    hub.sandbox.restore(BOOKINGS, booking)

    event = told(receiver, 2)["object.restore"]
    assert is_as_documented(event)
    assert str(event["objectId"]) == booking


def test_a_merge_names_the_survivor_and_what_became_part_of_it(
    hub: Hub, receiver: Receiver
) -> None:
    (one, other), person = hub.bookings(2), [hub.sandbox.create(CONTACTS, {}) for _ in range(2)]

    hub.sandbox.merge(BOOKINGS, one, other)
    hub.sandbox.merge(CONTACTS, *person)

    events = told(receiver, 4)
    for kind, (survivor, merged) in {"object": (one, other), "contact": person}.items():
        event = events[f"{kind}.merge"]
        assert is_as_documented(event)
        assert event["primaryObjectId"] == event["objectId"] == int(survivor)
        assert event["mergedObjectIds"] == [int(merged)]


def test_an_association_change_names_both_ends_their_types_and_whether_it_was_removed(
    hub: Hub, receiver: Receiver
) -> None:
    (booking,) = hub.bookings(1)
    (exam,) = hub.sandbox.bulk([{"type": EXAMS, "properties": {}}])

    hub.sandbox.associate(BOOKINGS, booking, EXAMS, exam)
    added = receiver.wait_for_events(2)
    hub.sandbox.dissociate(BOOKINGS, booking, EXAMS, exam)
    removed = receiver.wait_for_events(4)[2:]

    assert all(map(is_as_documented, added + removed))
    assert {(each["fromObjectTypeId"], str(each["fromObjectId"])) for each in added} == {
        (BOOKINGS, booking),
        (EXAMS, exam),
    }
    assert {each["associationRemoved"] for each in added} == {False}
    assert {each["associationRemoved"] for each in removed} == {True}


def test_contacts_are_also_told_of_in_the_older_words(hub: Hub, receiver: Receiver) -> None:
    contact = hub.sandbox.create(CONTACTS, {"email": "amy@example.org"})
    hub.sandbox.edit(CONTACTS, contact, firstname="Amy")
    (booking,) = hub.bookings(1)
    hub.sandbox.associate(CONTACTS, contact, BOOKINGS, booking)
    hub.sandbox.archive(CONTACTS, contact)

    events = told(receiver, 5)

    assert set(events) == {
        "contact.creation",
        "contact.propertyChange",
        "contact.associationChange",
        "object.associationChange",
        "contact.deletion",
    }
    assert all(map(is_as_documented, events.values()))


def test_a_creation_comes_before_its_association_events(hub: Hub, receiver: Receiver) -> None:
    contact = hub.sandbox.bulk([{"type": CONTACTS, "properties": {"email": "a@example.org"}}])[0]
    hub.sandbox.create(BOOKINGS, {"name": "Amy"}, [(CONTACTS, contact)])

    kinds = [each["subscriptionType"] for each in receiver.wait_for_events(3)]

    assert kinds[0] == "object.creation"
    assert sorted(kinds[1:]) == ["contact.associationChange", "object.associationChange"]


def test_the_source_tells_a_person_in_hubspot_from_an_integration(
    hub: Hub, receiver: Receiver
) -> None:
    hub.sandbox.create(BOOKINGS, {"name": "by hand"})
    receiver.wait_for_events(1)
    hub.client.crm.objects.basic_api.create(BOOKINGS, {"properties": {"name": "by an app"}})

    by_hand, by_app = receiver.wait_for_events(2)

    assert (by_hand["changeSource"], by_app["changeSource"]) == ("CRM_UI", "INTEGRATION")
    assert by_hand["sourceId"] != by_app["sourceId"]


def test_event_ids_are_not_unique_but_with_subscription_object_and_time_events_are(
    hub: Hub, receiver: Receiver
) -> None:
    for number in range(1_100):
        hub.sandbox.create(BOOKINGS, {"name": str(number)})

    events = receiver.wait_for_events(1_100)

    assert len({each["eventId"] for each in events}) < 1_100
    whole = {
        (each["eventId"], each["subscriptionId"], each["objectId"], each["occurredAt"])
        for each in events
    }
    assert len(whole) == 1_100


def test_bulk_loads_and_resets_tell_nobody(hub: Hub, receiver: Receiver) -> None:
    hub.bookings(3)
    hub.sandbox.create(BOOKINGS, {"name": "Amy"})
    receiver.wait_for_events(1)
    hub.sandbox.reset(seed="demo")

    assert len(receiver.events) == 1
    assert hub.sandbox.webhooks()["pending"] == 0


def test_the_sandbox_counts_what_it_delivered(hub: Hub, receiver: Receiver) -> None:
    receiver.statuses = [500]
    hub.sandbox.configure(webhook={"retry_s": 0.01})
    hub.sandbox.create(BOOKINGS, {"name": "Amy"})
    receiver.wait_for_events(2)
    hub.sandbox.create(BOOKINGS, {"name": "Bea"})
    receiver.wait_for_events(3)

    counts = hub.sandbox.webhooks()

    assert (counts["retries"], counts["failed"], counts["lost"]) == (1, 0, 0)
    assert counts["pending"] + counts["delivered"] == 2


def test_v3_signs_method_uri_body_and_timestamp_with_some_encodings_decoded(
    hub: Hub, receiver: Receiver
) -> None:
    hub.sandbox.create(BOOKINGS, {"name": "Zoë"})
    receiver.wait_for_events(1)
    request = receiver.requests[0]
    timestamp = request.headers["X-HubSpot-Request-Timestamp"]

    assert "%3A" in receiver.url
    uri = receiver.url.replace("%3A", ":")
    signed = f"POST{uri}".encode() + request.body + timestamp.encode()
    by_hand = b64encode(hmac.new(SECRET.encode(), signed, hashlib.sha256).digest()).decode()
    assert request.headers["X-HubSpot-Signature-v3"] == by_hand
    assert Signature.is_valid(by_hand, SECRET, request.body.decode(), uri, "POST", "v3", timestamp)


def test_certain_percent_encodings_and_no_others_are_decoded_before_signing() -> None:
    def signed(query: str) -> str:
        return signature_v3(SECRET, "POST", f"https://example.org/hook?q={query}", b"[]", "1")

    encodings = ("%3A", "%2F", "%3F", "%40", "%21", "%24", "%27", "%28", "%29", "%2A", "%2C", "%3B")
    for encoded, decoded in zip(encodings, ":/?@!$'()*,;", strict=True):
        assert signed(encoded) == signed(decoded)
    for encoded, decoded in (("%20", " "), ("%26", "&"), ("%3D", "="), ("%253A", "%3A")):
        assert signed(encoded) != signed(decoded)


def test_the_published_v1_vector_holds_for_the_sandbox_and_the_official_client() -> None:
    body = PUBLISHED_V1_BODY.decode()

    assert signature_v1(SECRET, PUBLISHED_V1_BODY) == PUBLISHED_V1
    assert Signature.is_valid(PUBLISHED_V1, SECRET, body, signature_version="v1")


def test_the_published_v2_vector_holds_by_hand_and_for_the_official_client() -> None:
    uri = "https://www.example.com/webhook_uri"

    assert hashlib.sha256(f"{SECRET}GET{uri}".encode()).hexdigest() == PUBLISHED_V2
    assert Signature.is_valid(PUBLISHED_V2, SECRET, "", uri, "GET", "v2")
