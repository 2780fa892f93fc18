"""hubspot-facts.md, line by line: reading objects, what a batch may hold, what a 207 means."""

from __future__ import annotations

from typing import Any

import pytest
from hubspot.crm.objects.exceptions import ApiException, NotFoundException
from hubspot.crm.objects.models import BatchResponseSimplePublicObjectWithErrors

from tests.hubspot_sync.sandbox.hub import BOOKINGS, CONTACTS, Hub, said

WRITES: dict[str, dict[str, Any]] = {
    "batch/create": {"properties": {"name": "Amy"}},
    "batch/update": {"properties": {"name": "Amy"}},
    "batch/upsert": {"idProperty": "idempotency_key", "properties": {"name": "Amy"}},
    "batch/archive": {},
}


@pytest.mark.parametrize("operation", ["batch/read", *WRITES])
def test_a_hundred_inputs_are_taken_and_one_more_refuses_the_whole_request(
    hub: Hub, operation: str
) -> None:
    ids = hub.bookings(101)
    inputs = [{"id": each, **WRITES.get(operation, {})} for each in ids]
    if operation == "batch/create":
        inputs = [{"properties": {"name": "Amy"}}] * 101

    refused = hub.call("POST", "objects", f"{BOOKINGS}/{operation}", {"inputs": inputs})
    taken = hub.call("POST", "objects", f"{BOOKINGS}/{operation}", {"inputs": inputs[:100]})

    assert (refused.status, refused.body["category"]) == (400, "VALIDATION_ERROR")
    assert taken.status == {"batch/create": 201, "batch/archive": 204}.get(operation, 200)


def test_nothing_of_a_refused_write_happens(hub: Hub) -> None:
    inputs = [{"properties": {"name": "Amy"}}] * 101

    assert hub.create(BOOKINGS, *inputs).status == 400
    assert hub.sandbox.records(BOOKINGS) == []


@pytest.mark.parametrize("operation", ["batch/read", "batch/update", "batch/archive"])
def test_duplicate_ids_in_a_batch_are_refused_whole_and_named(hub: Hub, operation: str) -> None:
    one, other = hub.bookings(2)
    inputs = [{"id": each, **WRITES.get(operation, {})} for each in (one, other, one)]

    answer = hub.call("POST", "objects", f"{BOOKINGS}/{operation}", {"inputs": inputs})

    assert answer.status == 400
    assert answer.body["message"] == (
        f"Duplicate IDs found in batch input: [{one}]. IDs must be unique"
    )
    assert (
        hub.read(BOOKINGS, [other], ["name"]).body["results"][0]["properties"]["name"] == "B00001"
    )


def test_a_partly_answerable_read_is_207_with_the_unknown_ids_in_its_context(hub: Hub) -> None:
    known, gone = hub.bookings(2)
    hub.sandbox.archive(BOOKINGS, gone)

    answer = hub.read(BOOKINGS, [known, "404", gone])

    assert answer.status == 207
    assert answer.body["status"] == "COMPLETE"
    assert [each["id"] for each in answer.body["results"]] == [known]
    assert answer.body["numErrors"] == 1
    (error,) = answer.body["errors"]
    assert (error["status"], error["category"]) == ("error", "OBJECT_NOT_FOUND")
    assert error["context"] == {"ids": ["404", gone]}
    assert error["message"].startswith("Could not get some ")
    assert error["message"].endswith(
        " objects, they may be deleted or not exist. Check that ids are valid."
    )


def test_the_official_client_reads_a_207_as_results_and_errors(hub: Hub) -> None:
    (known,) = hub.bookings(1)
    body = {"inputs": [{"id": known}, {"id": "404"}], "properties": ["name"]}

    answer = hub.client.crm.objects.batch_api.read(BOOKINGS, body)

    assert isinstance(answer, BatchResponseSimplePublicObjectWithErrors)
    assert answer.results[0].properties["name"] == "B00000"
    assert answer.num_errors == 1
    assert answer.errors[0].context == {"ids": ["404"]}


def test_results_do_not_align_with_inputs(hub: Hub) -> None:
    ids = hub.bookings(5)

    came = [each["id"] for each in hub.read(BOOKINGS, ids).body["results"]]

    assert sorted(came) == sorted(ids)
    assert came != ids


def test_an_unreadable_batch_is_207_with_no_results(hub: Hub) -> None:
    answer = hub.read(BOOKINGS, ["404", "405"])

    assert (answer.status, answer.body["results"]) == (207, [])


def test_deleting_archives_with_204_and_a_later_read_is_404(hub: Hub) -> None:
    (booking,) = hub.bookings(1)

    answer = hub.call("DELETE", "objects", f"{BOOKINGS}/{booking}")

    assert (answer.status, answer.body) == (204, None)
    assert hub.sandbox.record(BOOKINGS, booking)["archived"] is True
    with pytest.raises(NotFoundException) as missing:
        hub.client.crm.objects.basic_api.get_by_id(BOOKINGS, booking)
    assert said(missing.value)["category"] == "OBJECT_NOT_FOUND"


def test_reading_an_unknown_id_is_404(hub: Hub) -> None:
    with pytest.raises(NotFoundException):
        hub.client.crm.objects.basic_api.get_by_id(BOOKINGS, "404")


def test_archiving_a_batch_is_204(hub: Hub) -> None:
    ids = hub.bookings(2)

    assert (
        hub.client.crm.objects.batch_api.archive(
            BOOKINGS, {"inputs": [{"id": each} for each in ids]}
        )
        is None
    )
    assert all(each["archived"] for each in hub.sandbox.records(BOOKINGS))


def test_one_object_is_made_read_changed_and_listed_by_the_official_client(hub: Hub) -> None:
    api = hub.client.crm.objects.basic_api
    made = api.create(BOOKINGS, {"properties": {"name": "Amy"}})

    changed = api.update(BOOKINGS, made.id, {"properties": {"name": "Bea"}})
    read = api.get_by_id(BOOKINGS, made.id, properties=["name"])
    listed = api.get_page(BOOKINGS, limit=10, properties=["name"])

    assert changed.properties["name"] == read.properties["name"] == "Bea"
    assert read.updated_at >= read.created_at
    assert [each.id for each in listed.results] == [made.id]


def test_contacts_are_read_by_email_a_hundred_at_a_time_unknown_ones_in_the_context(
    hub: Hub,
) -> None:
    emails = [f"student{number}@example.org" for number in range(100)]
    hub.sandbox.bulk([{"type": CONTACTS, "properties": {"email": each}} for each in emails[:99]])

    answer = hub.read(CONTACTS, emails, ["email"], idProperty="email")

    assert answer.status == 207
    assert {each["properties"]["email"] for each in answer.body["results"]} == set(emails[:99])
    assert answer.body["errors"][0]["context"]["ids"] == [emails[99]]
    over = hub.read(CONTACTS, [*emails, "one@example.org"], idProperty="email")
    assert over.status == 400


def test_emails_are_stored_lower_cased_and_found_however_they_are_written(hub: Hub) -> None:
    made = hub.client.crm.contacts.basic_api.create({"properties": {"email": "Amy@Example.ORG"}})

    (found,) = hub.read(CONTACTS, ["AMY@example.org"], ["email"], idProperty="email").body[
        "results"
    ]

    assert (found["id"], found["properties"]["email"]) == (made.id, "amy@example.org")


def test_contacts_read_by_email_are_current_while_search_lags(hub: Hub) -> None:
    hub.sandbox.configure(search_lag_s=60)
    hub.client.crm.contacts.basic_api.create({"properties": {"email": "amy@example.org"}})

    read = hub.read(CONTACTS, ["amy@example.org"], idProperty="email")
    found = hub.search(CONTACTS)

    assert len(read.body["results"]) == 1
    assert found.body["total"] == 0


def test_reading_by_email_is_outside_the_search_limit(hub: Hub) -> None:
    hub.sandbox.configure(search_rate=1)
    hub.sandbox.bulk([{"type": CONTACTS, "properties": {"email": "amy@example.org"}}])

    statuses = {
        hub.read(CONTACTS, ["amy@example.org"], idProperty="email").status for _ in range(3)
    }

    assert statuses == {200}


def test_history_lowers_the_limit_of_a_read_to_fifty(hub: Hub) -> None:
    ids = hub.bookings(51)

    assert hub.read(BOOKINGS, ids, propertiesWithHistory=["name"]).status == 400
    assert hub.read(BOOKINGS, ids[:50], propertiesWithHistory=["name"]).status == 200


def test_history_gives_each_value_with_time_and_source_newest_first(hub: Hub) -> None:
    made = hub.client.crm.objects.basic_api.create(BOOKINGS, {"properties": {"name": "Amy"}})
    hub.sandbox.advance(60)
    hub.sandbox.edit(BOOKINGS, made.id, name="Bea")
    body = {"inputs": [{"id": made.id}], "properties": [], "propertiesWithHistory": ["name"]}

    read = hub.client.crm.objects.batch_api.read(BOOKINGS, body).results[0]

    newest, oldest = read.properties_with_history["name"]
    assert (newest.value, newest.source_type) == ("Bea", "CRM_UI")
    assert (oldest.value, oldest.source_type) == ("Amy", "INTEGRATION")
    assert newest.source_id
    assert oldest.source_id
    assert (newest.timestamp - oldest.timestamp).total_seconds() >= 60


def test_reads_by_id_are_current(hub: Hub) -> None:
    (booking,) = hub.bookings(1)
    hub.sandbox.configure(search_lag_s=60)
    hub.sandbox.edit(BOOKINGS, booking, name="Bea")

    (result,) = hub.read(BOOKINGS, [booking], ["name"]).body["results"]

    assert result["properties"]["name"] == "Bea"


def test_an_error_carries_status_category_message_and_correlation_id(hub: Hub) -> None:
    with pytest.raises(ApiException) as refused:
        hub.client.crm.objects.batch_api.read(BOOKINGS, {"inputs": [{"id": "1"}, {"id": "1"}]})

    body = said(refused.value)
    assert refused.value.status == 400
    assert (body["status"], body["category"]) == ("error", "VALIDATION_ERROR")
    assert body["message"]
    assert body["correlationId"]
