"""Records asked for by an id that was merged away, in both forms that HubSpot's batches answer."""

from __future__ import annotations

from dataclasses import replace

import orjson
import pytest
import responses

from hubspot_sync.wire.call_context import Priority
from tests.hubspot_sync.clients import BOOKINGS, CONTACTS, asking, client_of
from tests.sandbox import SandboxHandle

HUBSPOT = "https://api.hubapi.com"
READ = f"{HUBSPOT}/crm/objects/2026-09/{CONTACTS}/batch/read"
SINGLE = f"{HUBSPOT}/crm/objects/2026-09/{CONTACTS}/"


def left_out(*ids: str) -> dict[str, object]:
    error = {"status": "error", "category": "OBJECT_NOT_FOUND", "context": {"ids": list(ids)}}
    return {"status": "COMPLETE", "results": [], "numErrors": 1, "errors": [error]}


@pytest.mark.parametrize("version", ["legacy", "2026-03", "2026-09"])
@pytest.mark.parametrize("known", [True, False], ids=["survivor", "left out"])
def test_an_old_id_means_its_survivor(
    kind_sandbox: SandboxHandle, version: str, known: bool
) -> None:
    survivor, one, other = (kind_sandbox.create(BOOKINGS, {"name": "Amy"}) for _ in range(3))
    kind_sandbox.merge(BOOKINGS, one, other)
    kind_sandbox.merge(BOOKINGS, survivor, one)
    kind_sandbox.configure(batches_know_merged=known)
    with client_of(kind_sandbox.base_url, api_version=version) as client:
        kind_sandbox.clear_calls()
        read = client.batch.read(
            BOOKINGS, [survivor, one, other, "404"], properties=["name"], context=asking()
        )

        assert {key: record.id for key, record in read.found.items()} == dict.fromkeys(
            (survivor, one, other), survivor
        )
        assert (read.missing, read.unknown) == ({"404"}, {})
        assert kind_sandbox.calls_count("objects.read") == 1  # the survivor names the others
        alone = client.batch.read(BOOKINGS, [other], properties=["name"], context=asking())

    assert alone.found[other] == read.found[survivor]
    assert kind_sandbox.calls_count("objects.read") == (1 if known else 2)


def test_what_is_gone_is_asked_for_singly_each_time_and_not_for_just_anybody(
    kind_sandbox: SandboxHandle,
) -> None:
    with client_of(kind_sandbox.base_url) as client:
        for priority in (Priority.UNPROVEN, Priority.ANONYMOUS):
            context = replace(asking(), priority=priority)
            read = client.batch.read(BOOKINGS, ["404"], properties=[], context=context)
            assert read.missing == {"404"}
            assert kind_sandbox.calls_count("objects.read") == 0
        for number in (1, 2):
            read = client.batch.read(BOOKINGS, ["404"], properties=[], context=asking())
            assert read.missing == {"404"}
            assert kind_sandbox.calls_count("objects.read") == number


@responses.activate
def test_a_single_read_that_fails_says_nothing_of_the_record() -> None:
    responses.post(READ, json=left_out("1"), status=207)
    responses.get(f"{SINGLE}1", json={"message": "no"}, status=503)
    with client_of(HUBSPOT, max_attempts=1) as client:
        read = client.batch.read(CONTACTS, ["1"], properties=[], context=asking())

    assert (read.found, read.missing, read.unknown.keys()) == ({}, frozenset(), {"1"})


@responses.activate
def test_an_answer_that_leaves_out_everybody_is_not_asked_for_one_by_one() -> None:
    responses.post(READ, json={"results": []})
    ids = [str(number) for number in range(1, 100)]
    with client_of(HUBSPOT) as client:
        read = client.batch.read(CONTACTS, ids, properties=[], context=asking())

    assert read.unknown.keys() == set(ids)
    assert len(responses.calls) == 1


@responses.activate
def test_a_contact_is_found_by_an_additional_email_and_by_its_own_before_that() -> None:
    main = {"email": "main@x.org", "hs_additional_emails": "second@x.org;own@x.org"}
    results = [
        {"id": "1", "properties": main},
        {"id": "2", "properties": {"email": "own@x.org"}},
    ]
    responses.post(READ, json={"results": results})
    asked = ["Second@x.org", "own@x.org", "main@x.org"]
    with client_of(HUBSPOT) as client:
        read = client.batch.read(
            CONTACTS, asked, properties=[], id_property="email", context=asking()
        )

    found = {key: record.id for key, record in read.found.items()}
    assert found == {"second@x.org": "1", "own@x.org": "2", "main@x.org": "1"}
    assert "hs_additional_emails" in orjson.loads(responses.calls[0].request.body)["properties"]
