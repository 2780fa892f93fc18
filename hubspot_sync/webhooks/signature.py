"""Whether a request comes from HubSpot: bytes, headers, method, URI, secrets, now → a verdict.

HubSpot signs in three ways, all over the raw bytes of the body (developers.hubspot.com, "Validating
requests"):

    v3  base64 of HMAC-SHA256(secret, method + URI + body + timestamp), not older than five minutes
    v2  hex SHA-256(secret + method + URI + body)
    v1  hex SHA-256(secret + body)

A request that carries a v3 signature must pass v3, whatever else it carries: the older two have no
time in them, and nobody may choose them by adding a header. Several secrets are accepted, for the
time in which one replaces another. Signatures are compared in constant time, so that nobody can
find one out byte by byte. Which kinds are taken at all, `signature_policy.py` says.
"""

from __future__ import annotations

import hmac
import re
from base64 import b64encode
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import hashlib

H = TypeVar("H", "hashlib._Hash", hmac.HMAC)

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


class SignatureVersion(StrEnum):
    """How HubSpot signs, the strongest first."""

    V3 = "v3"
    V2 = "v2"
    V1 = "v1"


ALL_VERSIONS = frozenset(SignatureVersion)


class SignatureResult(StrEnum):
    """What a signature turned out to be; all but the first are refusals."""

    VERIFIED = "verified"
    NO_SECRET = "no secret is set"  # noqa: S105 - a reason
    UNSIGNED = "not signed"
    UNKNOWN_VERSION = "signed in an unknown way"
    NOT_ACCEPTED = "signed in a way that is not accepted here"
    SUPERSEDED = "signed without a time, although this app's v3 signatures have been seen"
    OUT_OF_DATE = "signed without a time, and none of its events is of these days"
    NO_TIME = "no readable timestamp"
    TOO_OLD = "signed more than five minutes ago"
    FROM_THE_FUTURE = "signed more than five minutes in the future"
    WRONG = "the signature is not right"


class InvalidSignature(Exception):
    """A request that HubSpot did not sign; the reason is for the log, not for whoever sent it."""

    def __init__(self, reason: SignatureResult) -> None:
        super().__init__(str(reason))
        self.reason = reason


@dataclass(frozen=True, kw_only=True, slots=True)
class SignedRequest:
    """What HubSpot sent; `uri` is the public one, as HubSpot called it, and `headers` may be asked
    by any spelling that HubSpot uses."""

    method: str
    uri: str
    body: bytes
    headers: Mapping[str, str]


def claimed_version(
    request: SignedRequest, accepted: Collection[SignatureVersion] = ALL_VERSIONS
) -> SignatureVersion | SignatureResult:
    """Return which signature of the request counts, or why it has none that could. What is not
    accepted is not looked at."""
    if V3_HEADER in request.headers and SignatureVersion.V3 in accepted:
        return SignatureVersion.V3
    if OLDER_HEADER not in request.headers:
        unsigned = V3_HEADER not in request.headers
        return SignatureResult.UNSIGNED if unsigned else SignatureResult.NOT_ACCEPTED
    named = request.headers.get(OLDER_VERSION_HEADER)
    if named not in {SignatureVersion.V1, SignatureVersion.V2}:
        return SignatureResult.UNKNOWN_VERSION
    version = SignatureVersion(named)
    return version if version in accepted else SignatureResult.NOT_ACCEPTED


def verify(
    request: SignedRequest,
    secrets: Sequence[str],
    now: datetime,
    accepted: Collection[SignatureVersion] = ALL_VERSIONS,
) -> SignatureResult:
    """Return that one of the secrets made the request's signature, or why it is refused. `now` is
    an aware time."""
    if len(secrets) == 0:
        return SignatureResult.NO_SECRET
    keys = [_encode_secret(secret) for secret in secrets]
    version = claimed_version(request, accepted)
    if isinstance(version, SignatureResult):
        return version
    if version is SignatureVersion.V3:
        return _verify_v3(request, keys, now)
    head = b""
    if version is SignatureVersion.V2:
        head = _encode_method_and_uri(request.method, request.uri)
    expected = (_feed(sha256(key), head, request.body).hexdigest() for key in keys)
    return _compare(request.headers[OLDER_HEADER], expected)


def _verify_v3(request: SignedRequest, keys: Sequence[bytes], now: datetime) -> SignatureResult:
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
    signed = (_encode_method_and_uri(request.method, uri), request.body, timestamp.encode())
    expected = (_feed(hmac.new(key, digestmod=sha256), *signed).digest() for key in keys)
    return _compare(request.headers[V3_HEADER], (b64encode(digest).decode() for digest in expected))


def _feed(hash_: H, *parts: bytes) -> H:
    """Return the hash of the parts in a row. A body may be large: it is not copied for this."""
    for part in parts:
        hash_.update(part)
    return hash_


def _encode_secret(secret: str) -> bytes:
    # As the environment has it: what is no UTF-8 there is still a secret.
    return secret.encode(errors="surrogateescape")


def _encode_method_and_uri(method: str, uri: str) -> bytes:
    # What cannot be encoded was not signed by HubSpot either.
    return f"{method}{uri}".encode(errors="replace")


def _compare(given: str, expected: Iterable[str]) -> SignatureResult:
    sent = given.encode(errors="replace")
    # All of them, whichever is right: how long it takes says nothing of the secrets' order.
    matches = [hmac.compare_digest(signature.encode(), sent) for signature in expected]
    return SignatureResult.VERIFIED if any(matches) else SignatureResult.WRONG
