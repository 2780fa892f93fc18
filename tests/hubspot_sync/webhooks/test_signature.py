"""Signatures: HubSpot's published vectors, its own client as an oracle, and everything forged."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hubspot.utils.signature import Signature
from hypothesis import assume, given
from hypothesis import strategies as st

from hubspot_sync.sandbox.webhooks.payloads import signature_v3
from hubspot_sync.webhooks.signature import SignatureResult, SignedRequest, verify

SECRET, OTHER_SECRET = (
    "yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy",
    "zzzzzzzz-zzzz-zzzz-zzzz-zzzzzzzzzzzz",
)
NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
URI = "https://booking.example.org/api/webhooks/booking-sync?portal=1&day=24%2F11"
BODY = b'[{"eventId":1,"subscriptionType":"object.creation","objectId":7}]'


def ms(moment: datetime) -> str:
    return str(int(moment.timestamp() * 1000))


@dataclass(frozen=True, slots=True)
class Sent:
    """A request as HubSpot sends it, to be tampered with."""

    request: SignedRequest

    def verdict(self, *secrets: str, now: datetime = NOW, **changes: Any) -> SignatureResult:
        return verify(replace(self.request, **changes), secrets or (SECRET,), now)

    def with_headers(self, **headers: str) -> Mapping[str, str]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return {**self.request.headers, **named}


def signed(version: str, *, at: datetime = NOW, body: bytes = BODY, uri: str = URI) -> Sent:
    """Sign as HubSpot's own client does; it decodes no percent-encodings, so the URI is decoded."""
    made = Signature.get_signature(
        client_secret=SECRET,
        request_body=body.decode(),
        signature_version=version,
        http_uri=uri.replace("%2F", "/") if version == "v3" else uri,
        http_method="POST",
        timestamp=ms(at),
    )
    headers = {"X-HubSpot-Signature": made, "X-HubSpot-Signature-Version": version}
    if version == "v3":
        headers = {"X-HubSpot-Signature-v3": made, "X-HubSpot-Request-Timestamp": ms(at)}
    return Sent(SignedRequest(method="POST", uri=uri, body=body, headers=headers))


def test_hubspots_published_vector_of_v1_is_verified() -> None:
    body = (
        b'[{"eventId":1,"subscriptionId":12345,"portalId":62515,"occurredAt":1564113600000,'
        b'"subscriptionType":"contact.creation","attemptNumber":0,"objectId":123,'
        b'"changeSource":"CRM","changeFlag":"NEW","appId":54321}]'
    )
    headers = {
        "X-HubSpot-Signature": "232db2615f3d666fe21a8ec971ac7b5402d33b9a925784df3ca654d05f4817de",
        "X-HubSpot-Signature-Version": "v1",
    }
    request = SignedRequest(method="POST", uri=URI, body=body, headers=headers)

    assert verify(request, [SECRET], NOW) is SignatureResult.VERIFIED


def test_hubspots_published_vector_of_v2_is_verified() -> None:
    headers = {
        "X-HubSpot-Signature": "eee2dddcc73c94d699f5e395f4b9d454a069a6855fbfa152e91e88823087200e",
        "X-HubSpot-Signature-Version": "v2",
    }
    uri = "https://www.example.com/webhook_uri"
    request = SignedRequest(method="GET", uri=uri, body=b"", headers=headers)

    assert verify(request, [SECRET], NOW) is SignatureResult.VERIFIED


@pytest.mark.parametrize("version", ["v1", "v2", "v3"])
def test_what_hubspots_client_signs_is_verified(version: str) -> None:
    assert signed(version).verdict() is SignatureResult.VERIFIED


@pytest.mark.parametrize("encoded", ["%3A", "%3a", "%2F", "%3F", "%40", "%21", "%24", "%27", "%28"])
def test_what_hubspot_decodes_before_signing_is_decoded(encoded: str) -> None:
    uri = f"{URI}&x=a{encoded}b"
    given = signature_v3(SECRET, "POST", uri, BODY, ms(NOW))
    headers = {"X-HubSpot-Signature-v3": given, "X-HubSpot-Request-Timestamp": ms(NOW)}

    assert Sent(SignedRequest(method="POST", uri=uri, body=BODY, headers=headers)).verdict() is (
        SignatureResult.VERIFIED
    )


@pytest.mark.parametrize("encoded", ["%20", "%26", "%3D", "%25", "%2B"])
def test_nothing_else_is_decoded(encoded: str) -> None:
    sent = signed("v3", uri=f"{URI}&x=a{encoded}b")

    assert sent.verdict() is SignatureResult.VERIFIED


@given(body=st.text(max_size=200), path=st.from_regex(r"/[a-z0-9/._~-]{0,40}", fullmatch=True))
@pytest.mark.parametrize("version", ["v1", "v2", "v3"])
def test_any_body_that_hubspots_client_signs_is_verified(
    version: str, body: str, path: str
) -> None:
    uri = f"https://booking.example.org{path}"

    assert signed(version, body=body.encode(), uri=uri).verdict() is SignatureResult.VERIFIED


@pytest.mark.parametrize(
    ("changes", "spares"),
    [
        ({"body": BODY.replace(b"7", b"8")}, ()),
        ({"body": BODY + b" "}, ()),
        ({"body": b""}, ()),
        ({"method": "PUT"}, ("v1",)),
        ({"uri": URI.replace("https", "http")}, ("v1",)),
        ({"uri": URI.replace("booking.example", "evil.example")}, ("v1",)),
        ({"uri": URI.replace("booking-sync", "cache-invalidation")}, ("v1",)),
        ({"uri": URI.replace("portal=1", "portal=2")}, ("v1",)),
        ({"uri": URI.partition("?")[0]}, ("v1",)),
    ],
    ids=["body", "longer", "empty", "method", "scheme", "host", "path", "query", "no-query"],
)
@pytest.mark.parametrize("version", ["v1", "v2", "v3"])
def test_what_was_changed_on_the_way_is_refused(
    version: str, changes: dict[str, Any], spares: tuple[str, ...]
) -> None:
    expected = SignatureResult.VERIFIED if version in spares else SignatureResult.WRONG

    assert signed(version).verdict(**changes) is expected


@pytest.mark.parametrize("version", ["v1", "v2", "v3"])
def test_one_flipped_bit_anywhere_is_refused(version: str) -> None:
    sent = signed(version)
    body_bits = [(place, bit) for place in range(len(BODY)) for bit in range(8)]
    name = "X-HubSpot-Signature-v3" if version == "v3" else "X-HubSpot-Signature"
    signature = sent.request.headers[name]

    for place, bit in body_bits:
        flipped = bytearray(BODY)
        flipped[place] ^= 1 << bit
        assert sent.verdict(body=bytes(flipped)) is SignatureResult.WRONG
    for place in range(len(signature)):
        changed = f"{signature[:place]}{chr(ord(signature[place]) ^ 1)}{signature[place + 1 :]}"
        headers = {**sent.request.headers, name: changed}
        assert sent.verdict(headers=headers) is SignatureResult.WRONG


@pytest.mark.parametrize(
    ("late", "expected"),
    [
        (timedelta(0), SignatureResult.VERIFIED),
        (timedelta(minutes=5), SignatureResult.VERIFIED),
        (timedelta(minutes=5, milliseconds=1), SignatureResult.TOO_OLD),
        (timedelta(days=400), SignatureResult.TOO_OLD),
        (timedelta(minutes=-5), SignatureResult.VERIFIED),
        (timedelta(minutes=-5, milliseconds=-1), SignatureResult.FROM_THE_FUTURE),
    ],
)
def test_a_request_is_good_for_five_minutes(late: timedelta, expected: SignatureResult) -> None:
    assert signed("v3").verdict(now=NOW + late) is expected


def test_another_time_than_the_signed_one_is_refused() -> None:
    sent = signed("v3")
    later = sent.with_headers(X_HubSpot_Request_Timestamp=ms(NOW + timedelta(seconds=1)))

    assert sent.verdict(headers=later) is SignatureResult.WRONG


@pytest.mark.parametrize("timestamp", ["", "soon", "1e12", "-1", "17.5", " 1795471200000", "٣٣٣"])
def test_a_time_that_cannot_be_read_is_refused(timestamp: str) -> None:
    sent = signed("v3")

    headers = sent.with_headers(X_HubSpot_Request_Timestamp=timestamp)

    assert sent.verdict(headers=headers) is SignatureResult.NO_TIME


@pytest.mark.parametrize("version", ["v1", "v2", "v3"])
def test_the_old_and_the_new_secret_are_accepted_while_one_replaces_the_other(version: str) -> None:
    sent = signed(version)

    assert sent.verdict(OTHER_SECRET, SECRET) is SignatureResult.VERIFIED
    assert sent.verdict(SECRET, OTHER_SECRET) is SignatureResult.VERIFIED
    assert sent.verdict(OTHER_SECRET) is SignatureResult.WRONG


def test_who_sends_a_v3_signature_must_pass_it() -> None:
    older = signed("v1")
    both = older.with_headers(X_HubSpot_Signature_v3="forged", X_HubSpot_Request_Timestamp=ms(NOW))

    assert older.verdict() is SignatureResult.VERIFIED
    assert older.verdict(headers=both) is SignatureResult.WRONG


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, SignatureResult.UNSIGNED),
        ({"X-HubSpot-Signature": "a"}, SignatureResult.UNKNOWN_VERSION),
        (
            {"X-HubSpot-Signature": "a", "X-HubSpot-Signature-Version": "v4"},
            SignatureResult.UNKNOWN_VERSION,
        ),
        ({"X-HubSpot-Signature-v3": "a"}, SignatureResult.NO_TIME),
    ],
)
def test_what_is_not_signed_as_hubspot_does_is_refused(
    headers: dict[str, str], expected: SignatureResult
) -> None:
    request = SignedRequest(method="POST", uri=URI, body=BODY, headers=headers)

    assert verify(request, [SECRET], NOW) is expected


def test_without_a_secret_nothing_is_verified() -> None:
    assert verify(signed("v3").request, [], NOW) is SignatureResult.NO_SECRET


def test_an_empty_signature_is_not_the_signature_of_anything() -> None:
    sent = signed("v1")

    assert sent.verdict(headers=sent.with_headers(X_HubSpot_Signature="")) is SignatureResult.WRONG


def test_a_signature_of_another_form_is_refused() -> None:
    """Of the same digest: upper case, or the bytes as base64."""
    sent = signed("v1")
    shouted = sent.request.headers["X-HubSpot-Signature"].upper()

    assert (
        sent.verdict(headers=sent.with_headers(X_HubSpot_Signature=shouted))
        is SignatureResult.WRONG
    )


@given(junk=st.text(), where=st.sampled_from(["uri", "method"]))
def test_what_no_request_can_hold_is_refused_and_raises_nothing(junk: str, where: str) -> None:
    sent = signed("v3")
    assume(junk not in {URI, "POST"})

    assert sent.verdict(**{where: junk}) is SignatureResult.WRONG
    assert sent.verdict(headers={"X-HubSpot-Signature-v3": junk}) is SignatureResult.NO_TIME


def test_twenty_thousand_mutated_requests_are_refused() -> None:
    """Seeded, so that a failure can be seen again."""
    chance = random.Random(5)
    for _ in range(20_000):
        sent = signed(chance.choice(["v1", "v2", "v3"]))
        body = bytearray(BODY)
        for _ in range(chance.randint(1, 4)):
            body[chance.randrange(len(body))] = chance.randrange(256)
        headers = dict(sent.request.headers)
        name = chance.choice([*headers, ""])
        if name:
            value = headers.pop(name)
            headers[name] = value[: chance.randrange(len(value))] + chr(chance.randrange(1, 0x3000))
        if bytes(body) == BODY and headers == sent.request.headers:
            continue

        verdict = sent.verdict(body=bytes(body), headers=headers)

        assert verdict is not SignatureResult.VERIFIED, (bytes(body), headers)


def test_the_digest_is_not_of_the_body_alone() -> None:
    headers = {
        "X-HubSpot-Signature": hashlib.sha256(BODY).hexdigest(),
        "X-HubSpot-Signature-Version": "v1",
    }
    request = SignedRequest(method="POST", uri=URI, body=BODY, headers=headers)

    assert verify(request, [SECRET], NOW) is SignatureResult.WRONG
