"""The keys of the design's table: all are in use, each with its time to live, and no others."""

from __future__ import annotations

from itertools import chain

import pytest

from booking_api import composition
from tests.api import Api
from tests.builders import Portal

pytestmark = pytest.mark.django_db

LIST = "/api/bookings/list"
AVAILABLE = "/api/mock-exams/available"
CREDITS = "/api/mock-exams/validate-credits"

# cache.md's table; and whose a booking is, which is ours (docs/decisions/0005).
TTL_S_OF = {
    "booking:{booking}:details": 60,
    "bookings:list:{contact}:all:page:1": 120,
    "bookings:list:{contact}:all:page:2:limit:1": 120,
    "bookings:list:{contact}:all:after:{cursor}": 120,
    "bookings:list:{contact}:all:after:{cursor}:limit:1": 120,
    "mockexam:{exam}:details": 300,
    "mockexam:{exam}:capacity": 180,
    "mockexams:type:clinical:active": 180,
    "contact:{contact}:details": 300,
    "contact:{email}:details": 300,
    "contact:{contact}:credits:all": 1800,
    "contact:{contact}:credit:clinical": 1800,
    "assoc:booking:{booking}:mockexam": 120,
    "assoc:mockexam:{exam}:bookings": 120,
    "assoc:contact:{contact}:bookings": 120,
    "assoc:booking:{booking}:contact": 120,
}


def test_every_key_of_the_design_is_in_use_and_no_other(api: Api, portal: Portal) -> None:
    alice, exam = portal.student("alice"), portal.exam(in_days=3)
    booking = portal.booking(alice, exam)
    portal.booking(alice, exam)
    cursor = api.get(LIST, limit=1, **alice.pair).data["pagination"]["next"]
    api.get(LIST, **alice.pair)
    api.get(LIST, page=2, limit=1, **alice.pair)
    api.get(LIST, after=cursor, **alice.pair)
    api.get(LIST, after=cursor, limit=1, **alice.pair)
    api.get(f"/api/bookings/{booking.id}", **alice.pair)
    api.get(AVAILABLE, mock_type="clinical", realtime="true")
    api.post(CREDITS, mock_type="clinical", **alice.pair)

    cache = composition.services().cached.cache
    names = {"booking": booking.id, "exam": exam.id, "contact": alice.id}
    written = {
        pattern.format(**names, email=alice.email, cursor=cursor): ttl_s
        for pattern, ttl_s in TTL_S_OF.items()
    }
    parsed = {cache.catalogue.parse_key(text): ttl_s for text, ttl_s in written.items()}
    expected = {family_and_key[1].text: ttl_s for family_and_key, ttl_s in parsed.items()}
    held = set(chain.from_iterable(cache.backend.scan_keys()))
    known = {key: cache.catalogue.parse_key(key) for key in held}

    assert expected.keys() <= held
    assert {key: known[key][0].ttl_s for key in expected if known[key] is not None} == expected
    assert {shape_of(key) for key in held} == {shape_of(key) for key in expected}


def shape_of(key: str) -> str:
    """Return the key with its numbers, its cursor and the type of its exams left open."""
    segments = key.split(":")
    if segments[0] == "mockexams":
        segments[segments.index("type") + 1] = "#"
    if "after" in segments:
        segments[segments.index("after") + 1] = "#"
    return ":".join("#" if segment.isdigit() else segment for segment in segments)
