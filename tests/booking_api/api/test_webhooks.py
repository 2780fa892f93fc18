"""HubSpot's webhooks over HTTP: who may send them, and what is answered."""

from __future__ import annotations

import random
from typing import Any

import orjson
import pytest
from django.db import OperationalError, connection
from pytest_django import Settings

from booking_api import composition
from hubspot_sync.inbox.models import WebhookEvent
from tests.api import Api
from tests.webhooks import (
    BOOKING_SYNC,
    CACHE_INVALIDATION,
    HOST,
    SECRET,
    Events,
    post,
    signed,
    tell,
)

MAX_BODY = 8 * 1024 * 1024
OLD_SECRET = "zzzzzzzz-zzzz-zzzz-zzzz-zzzzzzzzzzzz"

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("webhook_secret")]


# Who may send them


@pytest.mark.parametrize("path", [BOOKING_SYNC, CACHE_INVALIDATION])
def test_signed_events_are_stored_and_the_answer_is_flat(
    path: str, api: Api, events: Events
) -> None:
    reply = tell(api, events.changed("9"), events.booking("creation", "77"), path=path)

    assert reply.status == 200
    assert reply.body == {
        "success": True,
        "processed": 2,
        "duplicates": 0,
        "mockExamsUpdated": 0,
        "errors": 0,
    }
    assert WebhookEvent.objects.count() == 2
    assert reply.headers["Server-Timing"].startswith('hubspot;desc="0 calls"')


def test_the_slashed_address_is_signed_as_it_was_called(api: Api, events: Events) -> None:
    body = orjson.dumps([events.changed("9")])
    headers = signed(body, f"{HOST}{BOOKING_SYNC}/?a=b%20c")

    reply = api.send("POST", f"{BOOKING_SYNC}/?a=b%20c", body=body, headers=headers)

    assert reply.status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-HubSpot-Signature-v3": "AAAA", "X-HubSpot-Request-Timestamp": "1"},
        {"X-HubSpot-Signature": "00", "X-HubSpot-Signature-Version": "v1"},
        signed(b"[]", f"{HOST}{BOOKING_SYNC}", secret="another secret"),
        signed(b"[1]", f"{HOST}{BOOKING_SYNC}"),
        signed(b"[]", f"{HOST}{CACHE_INVALIDATION}"),
        signed(b"[]", f"https://testserver{BOOKING_SYNC}"),
        signed(b"[]", f"{HOST}{BOOKING_SYNC}", method="GET"),
    ],
    ids=["none", "old", "v1", "secret", "body", "path", "scheme", "method"],
)
def test_what_hubspot_did_not_sign_is_refused_and_not_stored(
    headers: dict[str, str], api: Api
) -> None:
    reply = post(api, b"[]", headers=headers)

    assert (reply.status, reply.code) == (401, "INVALID_SIGNATURE")
    assert reply.body["error"] == "The signature is not valid."
    assert WebhookEvent.objects.count() == 0


def test_two_secrets_are_accepted_while_one_replaces_the_other(
    api: Api, events: Events, settings: Settings
) -> None:
    settings.HUBSPOT_WEBHOOK_SECRETS = [SECRET, OLD_SECRET]

    assert tell(api, events.changed("9"), secret=OLD_SECRET).status == 200
    assert tell(api, events.changed("9"), secret=SECRET).status == 200


def test_without_a_secret_webhooks_are_refused_unless_developing(
    api: Api, events: Events, settings: Settings
) -> None:
    settings.HUBSPOT_WEBHOOK_SECRETS = []
    body = orjson.dumps([events.changed("9")])

    settings.DEBUG = False
    assert post(api, body, headers={}).code == "INVALID_SIGNATURE"
    settings.DEBUG = True
    assert post(api, body, headers={}).status == 200


# The address that HubSpot called


PUBLIC = "https://booking.example.org"


def test_the_public_address_may_be_set(api: Api, events: Events, settings: Settings) -> None:
    settings.PUBLIC_BASE_URL = f"{PUBLIC}/mocks"
    body = orjson.dumps([events.changed("9")])

    assert post(api, body, headers=signed(body, f"{PUBLIC}/mocks{BOOKING_SYNC}")).status == 200
    assert post(api, body, headers=signed(body, f"{HOST}{BOOKING_SYNC}")).status == 401


@pytest.mark.parametrize(
    ("proxies", "forwarded_host", "status"),
    [
        (["127.0.0.1"], "booking.example.org", 200),
        (["127.0.0.0/8"], "evil.example.org, booking.example.org", 200),
        (["127.0.0.1"], "booking.example.org, evil.example.org", 401),
        (["10.0.0.1"], "booking.example.org", 401),
        ([], "booking.example.org", 401),
    ],
)
def test_what_proxies_say_of_it_is_believed_of_our_own_alone(
    proxies: list[str],
    forwarded_host: str,
    status: int,
    api: Api,
    events: Events,
    settings: Settings,
) -> None:
    settings.TRUSTED_PROXIES = proxies
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    body = orjson.dumps([events.changed("9")])
    headers = signed(body, f"{PUBLIC}{BOOKING_SYNC}")

    reply = post(
        api,
        body,
        headers=headers,
        HTTP_X_FORWARDED_PROTO="https",
        HTTP_X_FORWARDED_HOST=forwarded_host,
    )

    assert reply.status == status


# What is no event, too much of it, or comes at a bad time


@pytest.mark.parametrize("body", [b"", b"nonsense", b"[7]", b"{}", b'[{"subscriptionType": 1}]'])
def test_what_is_no_event_is_malformed(body: bytes, api: Api) -> None:
    reply = post(api, body)

    assert (reply.status, reply.code) == (400, "MALFORMED_EVENTS")
    assert reply.body["error"].count("JSON") <= 1
    assert ".." not in reply.body["error"]


ODD = [
    *("null", "7", '"words"', "[[]]", '{"eventId": 1}', '{"subscriptionType": null}'),
    '{"subscriptionType": {"a": 1}, "objectId": 1}',
]
ODD_VALUES = {
    "objectId": ["1e300", "-1", '"x"', "[7]", "99999999999999999999999999", "true"],
    "occurredAt": ["1e300", "-99999999999999", "99999999999999999999", '"soon"', "null", "0.5"],
    "eventId": ["null", "{}", "12345678901234567890123", f'"{"9" * 70_000}"'],
    "propertyName": ['"\\u0000"', '"\\ud83d"', f'"{"long" * 20_000}"', "7"],
    "propertyValue": ['"\\u0000"', '"\\ud83d"', "[[[]]]"],
    "changeSource": ['"\\ud83d\\u0000"'],
    "objectTypeId": ["null", "[]", '"\\u0000"'],
}


@pytest.mark.parametrize("odd", ODD)
def test_what_is_no_event_is_counted_and_the_others_are_stored(
    odd: str, api: Api, events: Events
) -> None:
    first, second = orjson.dumps(events.changed("9")), orjson.dumps(events.changed("8"))

    reply = post(api, b"[%s, %s, %s]" % (first, odd.encode(), second))

    assert (reply.status, reply.body["processed"], reply.body["errors"]) == (200, 2, 1)
    assert WebhookEvent.objects.count() == 2


@pytest.mark.parametrize(
    ("field", "value"), [(field, value) for field in ODD_VALUES for value in ODD_VALUES[field]]
)
def test_an_odd_value_in_one_event_costs_the_others_nothing(
    field: str, value: str, api: Api, events: Events
) -> None:
    """Whatever becomes of the odd one; and the staff's page of them is shown."""
    odd = orjson.dumps(events.changed("7") | {field: "ODD"}).replace(b'"ODD"', value.encode())
    first, second = orjson.dumps(events.changed("9")), orjson.dumps(events.changed("8"))

    reply = post(api, b"[%s, %s, %s]" % (first, odd, second))

    assert reply.status == 200
    assert reply.body["processed"] + reply.body["errors"] >= 3
    composition.services().webhooks.applier.apply_waiting()
    assert set(WebhookEvent.objects.values_list("state", flat=True)) <= {"applied", "ignored"}


def test_a_hundred_events_of_the_longest_values_are_taken_and_kept_short(
    api: Api, events: Events
) -> None:
    long = [events.changed("9", propertyValue="é" * 32_768) for _ in range(100)]

    reply = tell(api, *long)

    assert (reply.status, reply.body["processed"]) == (200, 100)
    assert max(len(raw) for raw in WebhookEvent.objects.values_list("raw", flat=True)) < 1_000


def test_more_than_eight_mebibytes_are_too_much(api: Api) -> None:
    assert post(api, b"[" + b" " * (MAX_BODY - 2) + b"]").status == 200

    reply = post(api, b"[" + b" " * (MAX_BODY - 1) + b"]")

    assert (reply.status, reply.code) == (413, "PAYLOAD_TOO_LARGE")


def test_other_addresses_take_no_such_bodies(api: Api) -> None:
    reply = api.send("POST", "/api/bookings/create", body=b" " * 1_048_577)

    assert (reply.status, reply.code) == (413, "PAYLOAD_TOO_LARGE")


@pytest.mark.chaos
def test_ten_thousand_events_are_taken_and_more_are_too_many(api: Api, events: Events) -> None:
    many = [events.changed("9") for _ in range(10_000)]

    assert tell(api, *many).body["processed"] == 10_000
    reply = tell(api, *many, events.changed("9"))

    assert (reply.status, reply.code) == (413, "PAYLOAD_TOO_LARGE")


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_only_posts_are_taken(method: str, api: Api) -> None:
    assert api.send(method, BOOKING_SYNC).code == "METHOD_NOT_ALLOWED"


def test_a_database_that_is_away_has_hubspot_send_it_again(api: Api, events: Events) -> None:
    def refuse(*_: Any) -> Any:
        raise OperationalError("the connection was cut")

    with connection.execute_wrapper(refuse):
        reply = tell(api, events.changed("9"))

    assert (reply.status, reply.code) == (503, "HUBSPOT_UNAVAILABLE")
    assert reply.headers["Retry-After"] == str(reply.body["retryAfter"])


def test_unknown_and_incomplete_events_are_kept(api: Api, events: Events) -> None:
    unknown = events.event("object.unheardOf", objectId=1)
    incomplete = events.booking("propertyChange", "9", propertyName=None)

    reply = tell(api, unknown, incomplete, events.contact("creation", "7"))

    assert (reply.body["processed"], reply.body["errors"]) == (3, 1)
    assert WebhookEvent.objects.filter(state="ignored").count() == 2


def test_an_event_that_no_database_could_hold_as_it_is_is_stored(api: Api, events: Events) -> None:
    odd = events.booking("creation", "9", propertyName="a\0b" * 200, changeSource="x" * 300)

    assert tell(api, odd, events.event("object.\0", eventId="9" * 99)).body["processed"] == 2


def test_mutated_requests_are_never_a_server_error_nor_a_stored_forgery(
    api: Api, events: Events
) -> None:
    """Seeded. The parts by themselves take twenty thousand: test_signature.py, test_events.py."""
    chance = random.Random(5)
    body = orjson.dumps([events.booking("creation", "9"), events.changed("9", "is_active")])
    good = signed(body, f"{HOST}{BOOKING_SYNC}")
    for _ in range(400):
        mutated = bytearray(body)
        mutated[chance.randrange(len(body))] = chance.randrange(256)
        headers = dict(good)
        if chance.random() < 0.5:
            name = chance.choice([*good])
            headers[name] = headers[name][: chance.randrange(40)] + chr(chance.randrange(32, 255))
        if bytes(mutated) == body and headers == good:
            continue

        reply = post(api, bytes(mutated), headers=headers)

        assert (reply.status, reply.code) == (401, "INVALID_SIGNATURE")
    assert WebhookEvent.objects.count() == 0


def test_mutated_events_that_hubspot_signed_are_never_a_server_error(
    api: Api, events: Events
) -> None:
    chance = random.Random(5)
    body = orjson.dumps([events.booking("merge", "9"), events.changed("9", "is_active")])
    statuses = set()
    for _ in range(300):
        mutated = bytearray(body)
        for _ in range(3):
            mutated[chance.randrange(len(body))] = chance.randrange(32, 127)
        statuses.add(post(api, bytes(mutated)).status)

    assert statuses == {200, 400}
