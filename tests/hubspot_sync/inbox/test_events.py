"""Events as HubSpot sends them, captured, and what is made of those it never sent before."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubspot_sync.inbox.events import (
    MAX_EVENTS,
    MAX_MERGED,
    Event,
    EventKind,
    MalformedEvents,
    ObjectKind,
    RecordRef,
    TooManyEvents,
    read_event,
    read_events,
)
from hubspot_sync.portal.profile import load_profile

WIRE = Path(__file__).resolve().parents[2] / "wire" / "webhooks"
TYPES = load_profile("default").object_types
BOOKING = RecordRef(ObjectKind.BOOKING, "900001")
CONTACT = RecordRef(ObjectKind.CONTACT, "101001")
EXAM = RecordRef(ObjectKind.EXAM, "500001")

CAPTURED: dict[str, tuple[EventKind, tuple[RecordRef, ...]]] = {
    "object.creation": (EventKind.CREATION, (BOOKING,)),
    "object.deletion": (EventKind.DELETION, (BOOKING,)),
    "object.restore": (EventKind.RESTORE, (BOOKING,)),
    "object.propertyChange": (EventKind.PROPERTY_CHANGE, (BOOKING,)),
    "object.associationChange": (EventKind.ASSOCIATION_CHANGE, (BOOKING, EXAM)),
    "object.merge": (
        EventKind.MERGE,
        (BOOKING, RecordRef(ObjectKind.BOOKING, "900003"), RecordRef(ObjectKind.BOOKING, "900002")),
    ),
    "contact.creation": (EventKind.CREATION, (CONTACT,)),
    "contact.deletion": (EventKind.DELETION, (CONTACT,)),
    "contact.privacyDeletion": (EventKind.PRIVACY_DELETION, (CONTACT,)),
    "contact.restore": (EventKind.RESTORE, (CONTACT,)),
    "contact.propertyChange": (EventKind.PROPERTY_CHANGE, (CONTACT,)),
    "contact.associationChange": (EventKind.ASSOCIATION_CHANGE, (CONTACT, BOOKING)),
    "contact.merge": (EventKind.MERGE, (CONTACT, RecordRef(ObjectKind.CONTACT, "101002"))),
    "booking.creation": (EventKind.CREATION, (BOOKING,)),
    "booking.deletion": (EventKind.DELETION, (BOOKING,)),
    "booking.propertyChange": (EventKind.PROPERTY_CHANGE, (BOOKING,)),
    "mockexam.propertyChange": (EventKind.PROPERTY_CHANGE, (EXAM,)),
}


def captured(name: str) -> bytes:
    return (WIRE / f"{name}.json").read_bytes()


def one(**fields: Any) -> Event:
    """A property change of a booking, with changes."""
    raw = json.loads(captured("object.propertyChange"))[0]
    return read_event({**raw, **fields}, TYPES)


def test_every_captured_event_has_a_row_and_every_row_was_captured() -> None:
    assert {path.stem for path in WIRE.glob("*.json")} == set(CAPTURED)


@pytest.mark.parametrize("name", CAPTURED)
def test_captured_events_are_understood(name: str) -> None:
    (event,) = read_events(captured(name), TYPES).events

    assert (event.kind, event.records) == CAPTURED[name]
    assert event.subscription == name
    assert event.occurred_at is not None
    assert event.raw == json.loads(captured(name))[0]
    assert not event.incomplete


def test_a_single_event_need_not_be_an_array() -> None:
    alone = orjson.dumps(json.loads(captured("object.creation"))[0])

    assert read_events(alone, TYPES) == read_events(captured("object.creation"), TYPES)


@pytest.mark.parametrize(
    ("type_id", "kind"),
    [
        (TYPES.contacts, ObjectKind.CONTACT),
        (TYPES.mock_exams, ObjectKind.EXAM),
        ("0-2", ObjectKind.OTHER),
        (None, ObjectKind.OTHER),
        (7, ObjectKind.OTHER),
    ],
)
def test_the_type_id_says_what_an_event_is_about(type_id: Any, kind: ObjectKind) -> None:
    assert one(objectTypeId=type_id).records == (RecordRef(kind, "900001"),)


def test_portals_have_types_of_their_own() -> None:
    types = load_profile("prepdoctors").object_types

    event = read_event(
        {"subscriptionType": "object.creation", "objectTypeId": "2-41701559", "objectId": 1}, types
    )

    assert event.records == (RecordRef(ObjectKind.ENROLLMENT, "1"),)


@pytest.mark.parametrize(
    "fields",
    [
        {"subscriptionType": "object.somethingNew"},
        {"subscriptionType": "company.creation"},
        {"subscriptionType": "creation"},
        {"subscriptionType": "."},
    ],
)
def test_kinds_that_hubspot_may_have_and_we_do_not_are_unknown(fields: dict[str, str]) -> None:
    event = one(**fields)

    assert event.kind is EventKind.UNKNOWN
    assert not event.incomplete


@pytest.mark.parametrize(
    "word", ["privacyDeletion", "privacy_deletion", "PRIVACY_DELETION", "gdprDelete", "GDPR_DELETE"]
)
@pytest.mark.parametrize("subject", ["contact", "object"])
def test_whoever_wants_to_be_forgotten_is_understood_in_any_spelling(
    word: str, subject: str
) -> None:
    event = one(subscriptionType=f"{subject}.{word}", objectTypeId=TYPES.contacts)

    assert (event.kind, [ref.kind for ref in event.records]) == (
        EventKind.PRIVACY_DELETION,
        [ObjectKind.CONTACT],
    )


def test_a_merge_of_more_records_than_there_can_be_is_not_understood() -> None:
    merged = list(range(1, MAX_MERGED + 2))

    assert one(subscriptionType="object.merge", mergedObjectIds=merged[1:]).records != ()
    assert one(subscriptionType="object.merge", mergedObjectIds=merged).incomplete


def test_more_events_than_any_delivery_has_are_refused() -> None:
    event = captured("object.creation").strip().removeprefix(b"[").removesuffix(b"]")

    assert len(read_events(b"[%s]" % b",".join([event] * MAX_EVENTS), TYPES).events) == MAX_EVENTS
    with pytest.raises(TooManyEvents):
        read_events(b"[%s]" % b",".join([event] * (MAX_EVENTS + 1)), TYPES)


@pytest.mark.parametrize(
    "fields",
    [
        {"objectId": None},
        {"objectId": "seven"},
        {"objectId": -7},
        {"objectId": 0},
        {"objectId": 7.5},
        {"objectId": True},
        {"objectId": [7]},
        {"objectId": "7:*"},
        {"propertyName": None},
        {"propertyName": {}},
        {"subscriptionType": "object.associationChange"},
        {"subscriptionType": "object.merge", "mergedObjectIds": [1, "x"]},
    ],
)
def test_a_known_kind_without_what_it_needs_is_kept_and_said(fields: dict[str, Any]) -> None:
    event = one(**fields)

    assert (event.kind, event.records, event.incomplete) == (EventKind.UNKNOWN, (), True)


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"nonsense", b"7", b"null", b'"object.creation"', b"[7]", b"[[]]", b"[{}]", b"{}"),
        *(b'[{"subscriptionType": 7}]', b'[{"subscriptionType": ""}]', b'{"subscriptionType"'),
        *(b"\xff", b"[null, 7, []]"),
        pytest.param(b"[" * 100_000, id="very deep"),
    ],
)
def test_what_is_no_event_is_refused_whole(body: bytes) -> None:
    with pytest.raises(MalformedEvents, match=r"\.$"):
        read_events(body, TYPES)


@pytest.mark.parametrize(
    "other",
    [
        *(None, 7, "words", [], [[]], {}, {"eventId": 1}, {"subscriptionType": None}),
        *({"subscriptionType": 7, "objectId": 1}, {"subscriptionType": ["object.creation"]}),
        *(True, 1e300, {"subscriptionType": ""}, [{"subscriptionType": "object.creation"}]),
    ],
)
def test_what_is_no_event_costs_the_others_nothing(other: object) -> None:
    event = json.loads(captured("object.creation"))[0]

    read = read_events(json.dumps([event, other, event]).encode(), TYPES)

    assert (len(read.events), read.no_events) == (2, 1)


@pytest.mark.parametrize("text", ["\\ud83d", "\\ud83d words", "\\u0000", "\\udc00\\ud83d"])
def test_text_that_is_hardly_one_costs_nothing(text: str) -> None:
    event = captured("contact.propertyChange")
    odd = json.dumps(json.loads(event)[0] | {"propertyValue": "TEXT", "eventId": "TEXT"})
    body = b"[%s, %s]" % (json.dumps(json.loads(event)[0]).encode(), odd.encode())

    read = read_events(body.replace(b"TEXT", text.encode()), TYPES)

    assert [event.kind for event in read.events] == [EventKind.PROPERTY_CHANGE] * 2


def test_an_array_of_none_is_an_array() -> None:
    assert read_events(b"[]", TYPES).events == ()


@pytest.mark.parametrize(
    "fields",
    [
        {"eventId": 1},
        {"subscriptionId": 1},
        {"subscriptionType": "object.deletion"},
        {"objectId": 900002},
        {"objectTypeId": TYPES.mock_exams},
        {"propertyName": "is_active"},
        {"occurredAt": 1},
        {"portalId": 1},
    ],
)
def test_events_that_differ_in_what_makes_them_the_same_are_two(fields: dict[str, Any]) -> None:
    assert one(**fields).digest != one().digest


def test_another_attempt_at_delivery_is_the_same_event() -> None:
    assert one(attemptNumber=3).digest == one().digest


@pytest.mark.parametrize("end", ["fromObjectId", "toObjectId", "associationRemoved"])
def test_links_are_the_same_only_between_the_same_ends(end: str) -> None:
    raw = json.loads(captured("object.associationChange"))[0]

    assert read_event(raw, TYPES).digest != read_event({**raw, end: 1}, TYPES).digest


@pytest.mark.parametrize(
    ("source", "source_id", "ours"),
    [
        ("INTEGRATION", "54321", True),
        pytest.param("INTEGRATION", 54321, True, id="as a number"),
        ("INTEGRATION", "77777", False),
        ("INTEGRATION", None, False),
        ("CRM_UI", "54321", False),
    ],
)
def test_our_own_writes_are_recognised_by_their_source(
    source: str, source_id: Any, ours: bool
) -> None:
    assert one(changeSource=source, sourceId=source_id).by_subscriber is ours


@pytest.mark.parametrize("occurred_at", [None, "now", 1e400, 10**18, -(10**18), True, [1]])
def test_a_time_that_is_none_leaves_the_event(occurred_at: Any) -> None:
    event = one(occurredAt=occurred_at)

    assert event.occurred_at is None
    assert event.records == (BOOKING,)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
FIELDS = sorted({name for file in CAPTURED for name in json.loads(captured(file))[0]})
KINDS = [*CAPTURED, "object.unheardOf", "x"]


@given(
    fields=st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=6),
    kind=st.sampled_from(KINDS) | JSON,
)
def test_any_json_is_an_event_or_is_refused(fields: dict[str, Any], kind: Any) -> None:
    body = orjson.dumps({**fields, "subscriptionType": kind})
    try:
        (event,) = read_events(body, TYPES).events
    except MalformedEvents:
        assert not isinstance(kind, str) or kind == ""
    else:
        assert (event.kind is EventKind.UNKNOWN) == (event.records == ())


def test_twenty_thousand_mutated_bodies_are_events_or_are_refused() -> None:
    """Seeded, so that a failure can be seen again."""
    chance = random.Random(5)
    bodies = [captured(name) for name in CAPTURED]
    read = refused = 0
    for _ in range(20_000):
        body = bytearray(chance.choice(bodies))
        for _ in range(chance.randint(1, 3)):
            start = chance.randrange(len(body))
            body[start : start + chance.randint(0, 3)] = chance.randbytes(chance.randint(0, 3))
        try:
            read += len(read_events(bytes(body), TYPES).events)
        except MalformedEvents:
            refused += 1

    assert read > 1_000
    assert refused > 1_000
