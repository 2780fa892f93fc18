"""However a question is asked, before Django it is answered as Django would, or not at all."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from pytest_django import Settings

from booking_api.ops.metrics import metrics
from tests.api import Api
from tests.booking_api.cached_answers.test_given_again import KINDS, ask_questions
from tests.both_ways import COUNTED, Asked, BothWays, difference, make_warm
from tests.builders import Portal

pytestmark = pytest.mark.django_db(transaction=True)

ODD = ["", " ", "*", "a,b", "é", "\0", "x" * 3_000, "null", "gzip;q=0", "https://a.b"]
VALUES: dict[str, list[str]] = {
    "accept": ["*/*", "application/json", "text/html", "*/*;q=0"],
    "accept-encoding": ["gzip", "br, gzip", "gzip;q=0", "identity"],
    "access-control-request-method": ["GET"],
    "access-control-request-private-network": ["true"],
    "authorization": ["Token abc"],
    "content-type": ["text/plain", "application/json; charset=utf-7", ""],
    "cookie": ["theme=dark", "", "sessionid=x"],
    "expect": ["100-continue"],
    "forwarded": ["for=192.0.2.1"],
    "host": ["localhost", "localhost:8000", "evil.example.org", "a b", "", "LOCALHOST"],
    "if-modified-since": ["Thu, 26 Nov 2026 00:00:00 GMT"],
    "if-none-match": ["*", '"x"', 'W/"x"', "x"],
    "origin": ["https://school.example", "null", "http://[", "x"],
    "range": ["bytes=0-1"],
    "transfer-encoding": ["chunked"],
    "user-agent": ["curl/8", "Mozilla/5.0"],
    "x-forwarded-for": ["192.0.2.1", "192.0.2.1, 10.0.0.1", "nobody"],
    "x-forwarded-host": ["evil.example.org"],
    "x-forwarded-proto": ["https", "http", "HTTPS"],
    "x-http-method-override": ["DELETE"],
    "x-real-ip": ["192.0.2.7"],
    "x-request-id": ["trace-1", "not sane!", "S4711"],
}
HEADERS = st.dictionaries(
    st.sampled_from(sorted(VALUES)), st.none() | st.integers(0, 99), max_size=4
).map(
    lambda drawn: tuple(
        (name, choose(VALUES[name] if number is None else VALUES[name] + ODD, number or 0))
        for name, number in drawn.items()
    )
)
QUERIES = ["", "&", "&page=1", "&x=%00", "&x=%ff", "&x=\0", "&format=api", "&student_id=S2", "&é"]
PATHS = ["", "/", "//", "%2F", "%00", "%FF", ";x", "/../list"]


def choose(values: list[str], number: int) -> str:
    return values[number % len(values)]


@st.composite
def variations(draw: st.DrawFn) -> Callable[[Asked], Asked]:
    """Return how a question is asked: mostly as it stands, with some headers."""
    method = draw(st.sampled_from([*[""] * 8, "HEAD", "OPTIONS", "PUT", "get"]))
    query = draw(st.sampled_from([*[""] * 12, *QUERIES]))
    more = draw(st.sampled_from([*[""] * 12, *PATHS]))
    headers, peer = draw(HEADERS), draw(st.sampled_from(["127.0.0.1", "10.0.0.1", "::1"]))
    scheme = draw(st.sampled_from(["http", "http", "https"]))

    def vary(asked: Asked) -> Asked:
        path, mark, rest = asked.target.partition("?")
        target = f"{path}{more}{mark}{rest}{query if mark else ''}"
        return Asked(method or asked.method, target, asked.body, headers, peer, scheme)

    return vary


@pytest.fixture
def proxied(settings: Settings) -> None:
    settings.TRUSTED_PROXIES = ["10.0.0.0/8"]
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    settings.ALLOWED_HOSTS = ["localhost"]
    settings.SECURE_HSTS_SECONDS = 3_600
    settings.THROTTLE_RATES = {**settings.THROTTLE_RATES, "reads": (1_000_000, 86_400)}


PEERS = (("127.0.0.1", "http"), ("10.0.0.1", "http"), ("::1", "https"))
"""A stranger, a proxy that we trust, and one who comes by another address and scheme."""


@pytest.mark.parametrize("name", sorted(VALUES))
def test_each_header_does_what_it_does_with_django(
    api: Api, portal: Portal, proxied: None, name: str
) -> None:
    """One question after the other, so that none is sent what another's header has made. Every
    value comes from everybody with one of the questions, and from one or another with the rest."""
    ways, questions = BothWays(), ask_questions(portal)
    for place, kind in enumerate(("list", "available", "credits")):
        plain = questions[kind]
        make_warm(ways, plain)
        for number, value in enumerate((*VALUES[name], *ODD), start=place):
            peers = PEERS if place == 0 else PEERS[number % 3 :][:1]
            for peer, scheme in peers:
                asked = Asked(
                    plain.method, plain.target, plain.body, ((name, value),), peer, scheme
                )
                for _ in range(2):
                    assert ways.ask(asked).shown == ways.ask_django(asked).shown, asked
        assert ways.ask(plain).shown == ways.ask_django(plain).shown


def test_what_both_ways_are_to_count_alike_is_counted() -> None:
    counted = {family.name for family in metrics().registry.collect()}

    assert {name.removesuffix("_total").removesuffix("_count") for name in COUNTED} <= counted


def test_however_it_is_asked_both_ways_give_the_same(
    api: Api, portal: Portal, proxied: None
) -> None:
    ways, questions = BothWays(), ask_questions(portal)
    for asked in questions.values():
        make_warm(ways, asked)
    variants: set[tuple[str, Asked]] = set()

    @examples(
        max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )
    @given(kind=st.sampled_from(KINDS), variation=variations())
    def ask_both(kind: str, variation: Callable[[Asked], Asked]) -> None:
        asked = variation(questions[kind])
        for _ in range(3):
            passed = ways.passed
            by_warm, warm = difference(ways.ask, asked)
            was_sent_again = ways.passed == passed
            by_django, django = difference(ways.ask_django, asked)
            assert warm.shown == django.shown, asked
            if was_sent_again:
                assert (by_warm, warm.timing) == (by_django, django.timing), asked
                variants.add((kind, asked))
            ids = [dict(each.headers).get("X-Request-ID") for each in (warm, django)]
            if ("x-request-id", "trace-1") in asked.headers:
                assert ids == ["trace-1", "trace-1"]
            else:
                assert all(ids)

    ask_both()

    assert len(variants) >= 5
