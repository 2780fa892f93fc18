"""Reads in batches: every id asked for is found, missing or unknown, in as few calls as may be."""

from __future__ import annotations

import socket
import threading
from datetime import UTC, datetime

import orjson
import pytest
import responses
from hypothesis import given, settings
from hypothesis import strategies as st
from requests import PreparedRequest

from hubspot_sync.batching.chunking import chunks
from hubspot_sync.errors import NotFound, Refused, Unavailable
from tests.hubspot_sync.clients import BOOKINGS, CONTACTS, asking, bulk_contacts, client_of
from tests.hubspot_sync.wire_server import reply, wire_server
from tests.sandbox import SandboxHandle

HUBSPOT = "https://api.hubapi.com"
READ = f"{HUBSPOT}/crm/objects/2026-09/0-1/batch/read"
PATIENCE_S = 30.0
UPDATE = f"{HUBSPOT}/crm/objects/2026-09/0-1/batch/update"


@given(st.lists(st.text(), unique=True), st.integers(1, 20))
def test_every_key_is_in_exactly_one_chunk_and_none_is_too_large(
    keys: list[str], limit: int
) -> None:
    parts = chunks(keys, limit)

    assert [key for part in parts for key in part] == keys
    assert all(0 < len(part) <= limit for part in parts)
    assert len(parts) == -(-len(keys) // limit)


def test_nothing_asked_is_nothing_sent(kind_sandbox: SandboxHandle) -> None:
    kind_sandbox.clear_calls()
    with client_of(kind_sandbox.base_url) as client:
        assert client.batch.read(CONTACTS, [], properties=[], context=asking()).complete
        assert client.batch.create(CONTACTS, [], context=asking()) == {}
        assert client.batch.update(CONTACTS, {}, context=asking()).complete

    assert kind_sandbox.calls() == []


def test_calls_grow_by_one_for_each_hundred(kind_sandbox: SandboxHandle) -> None:
    kind_sandbox.bulk(bulk_contacts(301))
    kind_sandbox.clear_calls()
    ids = [str(1001 + n) for n in range(301)]
    with client_of(kind_sandbox.base_url) as client:
        read = client.batch.read(CONTACTS, ids, properties=["email"], context=asking())

    assert read.found.keys() == set(ids)
    assert sorted(call["inputs"] for call in kind_sandbox.calls()) == [1, 100, 100, 100]


def test_chunks_go_out_at_the_same_time() -> None:
    """None is answered before all have come."""
    together = threading.Barrier(8, timeout=PATIENCE_S)

    def behave(connection: socket.socket, _number: int) -> bool:
        together.wait()
        connection.sendall(reply(b'{"results": []}'))
        return True

    ids = [str(n) for n in range(1, 801)]
    with wire_server(behave) as server, client_of(server.base_url) as client:
        client.batch.read(CONTACTS, ids, properties=[], context=asking())

    assert not together.broken
    assert len(server.requests) == 8


def test_missing_records_are_missing_and_the_same_id_is_asked_once(
    kind_sandbox: SandboxHandle,
) -> None:
    kind_sandbox.bulk(bulk_contacts(2))
    kind_sandbox.archive(CONTACTS, "1002")
    kind_sandbox.clear_calls()
    with client_of(kind_sandbox.base_url) as client:
        read = client.batch.read(
            CONTACTS, ["1001", "1001", " 1001 ", "1002", "404"], properties=[], context=asking()
        )

    assert read.found.keys() == {"1001"}
    assert read.missing == {"1002", "404"}
    assert read.complete
    asked = [(call["operation"], call["inputs"]) for call in kind_sandbox.calls()]
    assert asked[0] == ("objects.batch_read", 3)
    assert [operation for operation, _ in asked[1:]] == ["objects.read"] * 2


@pytest.mark.parametrize("nonsense", ["", "abc", "12a", "-1", "1.5", "0", "٣", "9" * 40, "1\n2"])
def test_what_cannot_be_an_id_is_missing_and_spoils_nobodys_batch(
    kind_sandbox: SandboxHandle, nonsense: str
) -> None:
    kind_sandbox.bulk(bulk_contacts(1))
    with client_of(kind_sandbox.base_url) as client:
        read = client.batch.read(CONTACTS, ["1001", nonsense], properties=[], context=asking())
        linked = client.batch.read_associations(
            CONTACTS, BOOKINGS, ["1001", nonsense], context=asking()
        )

    assert (read.found.keys(), read.missing) == ({"1001"}, {nonsense.strip()})
    assert (linked.found, linked.missing) == ({"1001": ()}, {nonsense.strip()})


def test_contacts_are_read_by_email_whatever_the_case(kind_sandbox: SandboxHandle) -> None:
    kind_sandbox.bulk(bulk_contacts(2))
    with client_of(kind_sandbox.base_url) as client:
        read = client.batch.read(
            CONTACTS,
            ["S0@Example.ORG", "s0@example.org", "nobody@example.org", "not an e-mail"],
            properties=["firstname"],
            id_property="email",
            context=asking(),
        )

    assert read.found["s0@example.org"].id == "1001"
    assert read.missing == {"nobody@example.org", "not an e-mail"}


def test_history_is_newest_first_and_asked_for_fifty_at_a_time(kind_sandbox: SandboxHandle) -> None:
    kind_sandbox.bulk(bulk_contacts(51))
    kind_sandbox.edit(CONTACTS, "1001", firstname="Ada")
    kind_sandbox.edit(CONTACTS, "1001", firstname="Grace")
    kind_sandbox.clear_calls()
    ids = [str(1001 + n) for n in range(51)]
    with client_of(kind_sandbox.base_url) as client:
        read = client.batch.read(
            CONTACTS, ids, properties=[], with_history=["firstname"], context=asking()
        )

    versions = read.found["1001"].history["firstname"]
    assert [one.value for one in versions] == ["Grace", "Ada"]
    assert versions[0].source_type == "CRM_UI"
    assert versions[0].at is not None
    assert sorted(call["inputs"] for call in kind_sandbox.calls()) == [1, 50]


@responses.activate
def test_a_record_as_hubspot_gives_it() -> None:
    record = {
        "id": 501,
        "properties": {"total": "20", "note": None},
        "createdAt": "2026-11-01T09:30:00.000Z",
        "updatedAt": "yesterday",
        "archived": False,
    }
    responses.post(READ, json={"results": [record]})
    with client_of(HUBSPOT) as client:
        found = client.batch.read(CONTACTS, ["501"], properties=[], context=asking()).found["501"]

    assert found.properties == {"total": "20", "note": None}
    assert found.created_at == datetime(2026, 11, 1, 9, 30, tzinfo=UTC)
    assert found.updated_at is None


@responses.activate
def test_results_are_matched_by_id_never_by_position() -> None:
    answer = {"results": [{"id": "2", "properties": {"n": "two"}}, {"id": "1", "properties": {}}]}
    responses.post(READ, json=answer)
    with client_of(HUBSPOT) as client:
        read = client.batch.read(CONTACTS, ["1", "2"], properties=["n"], context=asking())

    assert read.found["2"].properties == {"n": "two"}


@responses.activate
def test_what_the_answer_leaves_out_is_unknown_not_missing() -> None:
    responses.post(READ, json={"results": [{"id": "1", "properties": {}}]})
    with client_of(HUBSPOT) as client:
        read = client.batch.read(CONTACTS, ["1", "2"], properties=[], context=asking())

    assert read.unknown.keys() == {"2"}
    assert read.missing == frozenset()


@responses.activate
def test_an_error_nobody_has_seen_before_is_unknown() -> None:
    strange = {"category": "NEW_THING", "message": "?", "context": {"ids": ["2"]}}
    body = {"results": [{"id": "1", "properties": {}}], "errors": [strange]}
    responses.post(READ, json=body, status=207)
    with client_of(HUBSPOT) as client:
        read = client.batch.read(CONTACTS, ["1", "2"], properties=[], context=asking())

    assert read.unknown["2"].category == "NEW_THING"


@responses.activate
def test_a_contact_found_by_its_secondary_email_has_not_the_asked_one() -> None:
    responses.post(READ, json={"results": [{"id": "1", "properties": {"email": "main@x.org"}}]})
    with client_of(HUBSPOT) as client:
        read = client.batch.read(
            CONTACTS, ["second@x.org"], properties=[], id_property="email", context=asking()
        )

    assert read.missing == {"second@x.org"}
    assert orjson.loads(responses.calls[0].request.body)["properties"] == [
        "email",
        "hs_additional_emails",
        "hs_merged_object_ids",
    ]


@responses.activate
def test_a_record_that_comes_under_another_id_answers_for_nobody() -> None:
    responses.post(READ, json={"results": [{"id": "7", "properties": {}}]})
    with client_of(HUBSPOT) as client:
        read = client.batch.read(CONTACTS, ["1"], properties=[], context=asking())

    assert read.unknown.keys() == {"1"}


@responses.activate
def test_a_type_that_does_not_exist_makes_no_record_missing() -> None:
    responses.post(READ, json={"category": "OBJECT_NOT_FOUND", "message": "no type"}, status=404)
    with client_of(HUBSPOT) as client:
        read = client.batch.read(CONTACTS, ["1"], properties=[], context=asking())

    assert read.missing == frozenset()
    assert isinstance(read.unknown["1"], NotFound)


FATES = ("found", "missing", "strange", "left out")


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from(FATES), max_size=230), st.sets(st.integers(0, 2)))
def test_every_id_is_found_or_missing_or_unknown_whatever_comes_back(
    fates: list[str], failing: set[int]
) -> None:
    fate_of = {str(1 + number): fate for number, fate in enumerate(fates)}
    calls = iter(range(100))

    def answer(request: PreparedRequest) -> tuple[int, dict[str, str], bytes]:
        if next(calls) in failing:
            return 500, {}, b"{}"
        ids = [one["id"] for one in orjson.loads(request.body or b"{}")["inputs"]]
        named = {"missing": "OBJECT_NOT_FOUND", "strange": "NEW"}
        errors = [
            {"category": named[fate_of[one]], "message": "", "context": {"ids": [one]}}
            for one in ids
            if fate_of[one] in named
        ]
        found = [{"id": one, "properties": {}} for one in ids if fate_of[one] == "found"]
        return 207, {}, orjson.dumps({"results": found, "errors": errors})

    with responses.RequestsMock(assert_all_requests_are_fired=False) as wire:
        wire.add_callback(responses.POST, READ, callback=answer)
        with client_of(HUBSPOT, max_attempts=1) as client:
            read = client.batch.read(CONTACTS, list(fate_of), properties=[], context=asking())

    parts = [*read.found, *read.missing, *read.unknown]
    assert sorted(parts) == sorted(fate_of)
    assert all(fate_of[one] == "found" for one in read.found)
    assert all(fate_of[one] == "missing" for one in read.missing)


def test_an_update_answers_for_each_record(kind_sandbox: SandboxHandle) -> None:
    kind_sandbox.bulk(bulk_contacts(2))
    changes = {
        "1001": {"firstname": "Ada"},
        "1002": {"firstname": "Bea"},
        "404": {"firstname": "C"},
    }
    with client_of(kind_sandbox.base_url) as client:
        updated = client.batch.update(CONTACTS, changes, context=asking())

    assert updated.found["1001"].properties["firstname"] == "Ada"
    assert updated.missing == {"404"}
    assert kind_sandbox.record(CONTACTS, "1002")["properties"]["firstname"] == "Bea"


def test_an_update_finds_its_values_however_the_id_is_written(kind_sandbox: SandboxHandle) -> None:
    kind_sandbox.bulk(bulk_contacts(1))
    with client_of(kind_sandbox.base_url) as client:
        updated = client.batch.update(CONTACTS, {" 1001 ": {"firstname": "Ada"}}, context=asking())

    assert updated.found["1001"].properties["firstname"] == "Ada"


@responses.activate
def test_an_update_refused_for_an_unknown_record_says_missing() -> None:
    responses.post(UPDATE, json={"category": "OBJECT_NOT_FOUND", "message": "no"}, status=404)
    with client_of(HUBSPOT) as client:
        updated = client.batch.update(CONTACTS, {"1": {"a": "b"}}, context=asking())

    assert updated.missing == {"1"}


@responses.activate
def test_an_update_without_permission_is_refused_once_for_all() -> None:
    responses.post(UPDATE, json={"category": "MISSING_SCOPES", "message": "no"}, status=403)
    changes = {str(n): {"a": "b"} for n in range(1, 51)}
    with client_of(HUBSPOT) as client:
        updated = client.batch.update(CONTACTS, changes, context=asking())

    assert len(responses.calls) == 1
    assert all(isinstance(error, Refused) for error in updated.unknown.values())
    assert len(updated.unknown) == 50


def test_archived_records_are_gone_and_archiving_twice_is_no_error(
    kind_sandbox: SandboxHandle,
) -> None:
    kind_sandbox.bulk(bulk_contacts(2))
    with client_of(kind_sandbox.base_url) as client:
        first = client.batch.archive(CONTACTS, ["1001", "1002"], context=asking())
        again = client.batch.archive(CONTACTS, ["1001", "404"], context=asking())
        read = client.batch.read(CONTACTS, ["1001", "1002"], properties=[], context=asking())

    assert first.found.keys() == {"1001", "1002"}
    assert again.found.keys() == {"1001", "404"}
    assert read.missing == {"1001", "1002"}


def test_an_archive_that_failed_in_part_says_so(kind_sandbox: SandboxHandle) -> None:
    kind_sandbox.bulk(bulk_contacts(3))
    kind_sandbox.fault("partial", path="batch/archive", last=1, times=1)
    with client_of(kind_sandbox.base_url) as client:
        archived = client.batch.archive(CONTACTS, ["1001", "1002", "1003"], context=asking())

    assert "1003" in archived.unknown
    assert kind_sandbox.record(CONTACTS, "1003")["archived"] is False


def test_without_time_everything_is_unknown_and_nothing_is_sent(
    kind_sandbox: SandboxHandle,
) -> None:
    kind_sandbox.clear_calls()
    with client_of(kind_sandbox.base_url) as client:
        read = client.batch.read(CONTACTS, ["1", "2"], properties=[], context=asking(0))

    assert isinstance(read.unknown["1"], Unavailable)
    assert read.unknown.keys() == {"1", "2"}
    assert kind_sandbox.calls() == []
