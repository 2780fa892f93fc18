"""Whether a request comes from HubSpot: bytes, headers, method, URI, secrets, now → a verdict.

HubSpot signs in three ways, all over the raw bytes of the body (developers.hubspot.com, "Validating
requests"):

    v3  base64 of HMAC-SHA256(secret, method + URI + body + timestamp), not older than five minutes
    v2  hex SHA-256(secret + method + URI + body)
    v1  hex SHA-256(secret + body)

A request that carries a v3 signature must pass v3, whatever else it carries: the older two have no
time in them, and nobody may choose them by adding a header. Several secrets are accepted, for the
time in which one replaces another. Signatures are compared in constant time, so that nobody can
find one out byte by byte.
"""

from __future__ import annotations

import hmac
import re
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256

V3_HEADER, OLDER_HEADER, OLDER_VERSION_HEADER = (
    "X-HubSpot-Signature-v3",
    "X-HubSpot-Signature",
    "X-HubSpot-Signature-Version",
)
TIMESTAMP_HEADER = "X-HubSpot-Request-Timestamp"
MAX_AGE = timedelta(minutes=5)

# HubSpot signs the URI with these decoded, and only these.
_DECODED = {
    "%3A": ":",
    "%2F": "/",
    "%3F": "?",
    "%40": "@",
    "%21": "!",
    "%24": "$",
    "%27": "'",
    "%28": "(",
    "%29": ")",
    "%2A": "*",
    "%2C": ",",
    "%3B": ";",
}
_ENCODED = re.compile("|".join(_DECODED), re.IGNORECASE)
_MILLISECONDS = re.compile(r"[0-9]{1,15}", re.ASCII)


class SignatureResult(StrEnum):
    """What a signature turned out to be; all but the first are refusals."""

    VERIFIED = "verified"
    NO_SECRET = "no secret is set"  # noqa: S105 - a reason
    UNSIGNED = "not signed"
    UNKNOWN_VERSION = "signed in an unknown way"
    NO_TIME = "no readable timestamp"
    TOO_OLD = "signed more than five minutes ago"
    FROM_THE_FUTURE = "signed more than five minutes in the future"
    WRONG = "the signature is not right"


class InvalidSignature(Exception):
    """A request that HubSpot did not sign; the reason is for the log, not for whoever sent it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SignedRequest:
    """What HubSpot sent; `uri` is the public one, as HubSpot called it, and `headers` may be asked
    by any spelling that HubSpot uses."""

    method: str
    uri: str
    body: bytes
    headers: Mapping[str, str]


def verify(request: SignedRequest, secrets: Sequence[str], now: datetime) -> SignatureResult:
    """Return that one of the secrets made the request's signature, or why it is refused. `now` is
    an aware time."""
    if len(secrets) == 0:
        return SignatureResult.NO_SECRET
    v3 = request.headers.get(V3_HEADER)
    if v3 is not None:
        return _verify_v3(request, v3, secrets, now)
    given = request.headers.get(OLDER_HEADER)
    if given is None:
        return SignatureResult.UNSIGNED
    version = request.headers.get(OLDER_VERSION_HEADER)
    if version not in {"v1", "v2"}:
        return SignatureResult.UNKNOWN_VERSION
    method_and_uri = _encode_method_and_uri(request.method, request.uri) if version == "v2" else b""
    signed = method_and_uri + request.body
    return _compare(given, (sha256(secret.encode() + signed).hexdigest() for secret in secrets))


def _verify_v3(
    request: SignedRequest, given: str, secrets: Sequence[str], now: datetime
) -> SignatureResult:
    timestamp = request.headers.get(TIMESTAMP_HEADER, "")
    if _MILLISECONDS.fullmatch(timestamp) is None:
        return SignatureResult.NO_TIME
    # Before the comparison: an old request is refused whether or not it was once right.
    age = timedelta(milliseconds=now.timestamp() * 1000 - int(timestamp))
    if age > MAX_AGE:
        return SignatureResult.TOO_OLD
    if age < -MAX_AGE:
        return SignatureResult.FROM_THE_FUTURE
    uri = _ENCODED.sub(lambda found: _DECODED[found[0].upper()], request.uri)
    signed = _encode_method_and_uri(request.method, uri) + request.body + timestamp.encode()
    expected = (hmac.new(secret.encode(), signed, sha256).digest() for secret in secrets)
    return _compare(given, (b64encode(digest).decode() for digest in expected))


def _encode_method_and_uri(method: str, uri: str) -> bytes:
    # What cannot be encoded was not signed by HubSpot either.
    return f"{method}{uri}".encode(errors="replace")


def _compare(given: str, expected: Iterable[str]) -> SignatureResult:
    sent = given.encode(errors="replace")
    matches = any(hmac.compare_digest(signature.encode(), sent) for signature in expected)
    return SignatureResult.VERIFIED if matches else SignatureResult.WRONG
