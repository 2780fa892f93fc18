"""Whatever JSON stands in an answer, it is read as what it is or as nothing; nothing is raised."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubspot_sync.errors import Unavailable
from hubspot_sync.wire.journal.entries import (
    JournalEntry,
    SignedAddress,
    parse_entries,
    parse_entry,
    parse_file,
    parse_instant,
)
from hubspot_sync.wire.journal.file_pieces import parse_in_pieces
from hubspot_sync.wire.journal.subscriptions import JournalSubscriptions, parse_subscription
from tests.hubspot_sync.journals import journal_calls_of, journal_config, soon
from tests.hubspot_sync.wire_server import answers, reply, wire_server

LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
JSON = st.recursive(
    LEAVES, lambda each: st.lists(each, max_size=3) | st.dictionaries(st.text(), each, max_size=3)
)
ENTRY = JournalEntry(offset="o", address=SignedAddress("https://x/"), expires_at=None)


def with_names(*names: str) -> st.SearchStrategy[object]:
    return JSON | st.fixed_dictionaries({}, optional=dict.fromkeys(names, JSON))


@given(with_names("currentOffset", "url", "expiresAt"))
def test_an_entry_is_one_or_none(body: object) -> None:
    entry = parse_entry(body)
    if entry is not None:
        assert entry.offset
        assert "address=SignedAddress()" in repr(entry)
        assert entry.expires_at is None or entry.expires_at.tzinfo is not None


@given(st.fixed_dictionaries({"results": JSON}))
def test_a_batch_has_all_of_its_entries_or_is_none(body: dict[str, object]) -> None:
    entries = parse_entries(body)
    listed = body["results"]
    assert entries is None or (isinstance(listed, list) and len(entries) == len(listed))


@given(with_names("offset", "publishedAt", "journalEvents"))
def test_every_event_of_a_file_is_read_or_counted(body: object) -> None:
    file = parse_file(ENTRY, body)
    if file is not None:
        assert isinstance(body, dict)
        assert len(file.events) + file.unreadable == len(body["journalEvents"])


@given(JSON)
def test_an_instant_has_a_zone_or_is_none(value: object) -> None:
    instant = parse_instant(value)
    assert instant is None or instant.tzinfo is not None


NAMES = ("id", "subscriptionType", "objectTypeId", "actions", "properties", "objectIds", "portalId")


@given(with_names(*NAMES, "associatedObjectTypeIds", "actionOverrides", "deletedAt"))
def test_a_subscription_is_one_or_none(raw: object) -> None:
    found = parse_subscription(raw, "62515")
    assert found is None or isinstance(found.actions, frozenset)


STORABLE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
EVENTS = st.lists(
    st.dictionaries(STORABLE, st.integers(-(2**53), 2**53) | STORABLE | st.lists(STORABLE))
)


@given(events=EVENTS, escaped=st.booleans())
def test_pieces_are_the_same_as_the_whole(events: list[dict[str, object]], escaped: bool) -> None:
    body = {"offset": "o", "journalEvents": events, "publishedAt": "now"}

    assert parse_in_pieces(json.dumps(body, ensure_ascii=escaped).encode()) == body


@given(st.binary())
def test_pieces_of_anything_are_a_file_or_nothing(content: bytes) -> None:
    found = parse_in_pieces(b'{"journalEvents":[' + content)
    assert found is None or isinstance(found["journalEvents"], list)


@pytest.mark.parametrize("cursor", ["same", 7, {"next": 1}])
def test_a_list_of_subscriptions_without_an_end_is_no_list(cursor: object) -> None:
    page = {"access_token": "t", "results": [], "paging": {"next": {"after": cursor}}}
    with (
        wire_server(answers(reply(json.dumps(page).encode()))) as server,
        journal_calls_of(server.base_url) as calls,
        pytest.raises(Unavailable),
    ):
        JournalSubscriptions(journal_config(server.base_url), calls).list_all(soon())
