"""hubspot-facts.md, "The change journal": what is told, to whom, and in which form."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from tests.hubspot_sync.sandbox.hub import BOOKINGS, CONTACTS, EXAMS
from tests.hubspot_sync.sandbox.journal_reader import PORTAL_ID, JournalReader
from tests.sandbox import SandboxHandle


@pytest.fixture
def journal(kind_sandbox: SandboxHandle) -> JournalReader:
    return JournalReader(kind_sandbox)


def told(journal: JournalReader, *names: str) -> list[tuple[Any, ...]]:
    return [tuple(event.get(name) for name in names) for event in journal.all_events()]


# Events


def test_only_what_was_subscribed_to_is_published(journal: JournalReader) -> None:
    journal.sandbox.create(CONTACTS, {"email": "before@example.org"})
    journal.subscribe_to_object(CONTACTS, "email")
    journal.sandbox.create(CONTACTS, {"email": "s@example.org"})
    journal.sandbox.create(BOOKINGS, {"name": "B"})

    assert told(journal, "action", "objectTypeId") == [("CREATE", CONTACTS)]


def test_a_creation_has_the_properties_asked_for(journal: JournalReader) -> None:
    journal.subscribe_to_object(CONTACTS, "email")
    contact = journal.sandbox.create(CONTACTS, {"email": "s@example.org", "firstname": "Ada"})

    (event,) = journal.all_events()

    assert datetime.fromisoformat(event.pop("occurredAt")).tzinfo is not None
    assert event == {
        "type": "crmObject",
        "portalId": PORTAL_ID,
        "action": "CREATE",
        "objectTypeId": CONTACTS,
        "objectId": contact,
        "propertyChanges": {"email": "s@example.org"},
    }


def test_one_write_of_several_properties_is_one_event_with_new_values(
    journal: JournalReader,
) -> None:
    contact = journal.sandbox.create(CONTACTS, {"email": "s@example.org", "firstname": "Ada"})
    journal.subscribe_to_object(CONTACTS, "email", "firstname")
    journal.sandbox.edit(CONTACTS, contact, email="t@example.org", firstname="")
    journal.sandbox.edit(CONTACTS, contact, firstname="Bea")

    assert told(journal, "action", "propertyChanges") == [
        ("UPDATE", {"email": "t@example.org", "firstname": None}),
        ("UPDATE", {"firstname": "Bea"}),
    ]


def test_a_change_of_nothing_that_was_asked_for_is_not_told(journal: JournalReader) -> None:
    contact = journal.sandbox.create(CONTACTS, {"email": "s@example.org"})
    journal.subscribe_to_object(CONTACTS, "email")

    journal.sandbox.edit(CONTACTS, contact, firstname="Ada")

    assert journal.all_events() == []


def test_a_deletion_names_no_exam_and_a_restoration_follows(journal: JournalReader) -> None:
    exam = journal.sandbox.create(EXAMS, {"location": "Hall"})
    booking = journal.sandbox.create(BOOKINGS, {"name": "B"}, [(EXAMS, exam)])
    journal.subscribe_to_object(BOOKINGS, "name")
    journal.sandbox.archive(BOOKINGS, booking)
    journal.sandbox.restore(BOOKINGS, booking)

    assert told(journal, "action", "objectId", "propertyChanges") == [
        ("DELETE", booking, {}),
        ("RESTORE", booking, {}),
    ]


def test_an_association_is_told_from_the_side_that_was_subscribed(journal: JournalReader) -> None:
    exam = journal.sandbox.create(EXAMS, {"location": "Hall"})
    booking = journal.sandbox.create(BOOKINGS, {"name": "B"})
    journal.subscribe_to_links(EXAMS, BOOKINGS)
    journal.sandbox.associate(BOOKINGS, booking, EXAMS, exam)
    journal.sandbox.dissociate(BOOKINGS, booking, EXAMS, exam)

    ends = ("fromObjectTypeId", "fromObjectId", "toObjectTypeId", "toObjectId")
    assert told(journal, "type", "action", *ends) == [
        ("association", "ASSOCIATION_ADDED", EXAMS, exam, BOOKINGS, booking),
        ("association", "ASSOCIATION_REMOVED", EXAMS, exam, BOOKINGS, booking),
    ]
    assert {"associationTypeId", "associationCategory", "isPrimary"} <= set(journal.all_events()[0])


@pytest.mark.parametrize("links", [True, False])
def test_whether_a_deletion_tells_its_associations_is_a_switch(
    journal: JournalReader, links: bool
) -> None:
    journal.sandbox.configure(journal={"deletion_links": links})
    exam = journal.sandbox.create(EXAMS, {"location": "Hall"})
    booking = journal.sandbox.create(BOOKINGS, {"name": "B"}, [(EXAMS, exam)])
    journal.subscribe_to_object(BOOKINGS, "name")
    journal.subscribe_to_links(EXAMS, BOOKINGS)

    journal.sandbox.archive(BOOKINGS, booking)

    expected = [("DELETE",), ("ASSOCIATION_REMOVED",)] if links else [("DELETE",)]
    assert told(journal, "action") == expected


@pytest.mark.parametrize("names", [True, False])
def test_whether_a_merge_names_what_was_merged_is_a_switch(
    journal: JournalReader, names: bool
) -> None:
    journal.sandbox.configure(journal={"merged_ids": names})
    one, other = (journal.sandbox.create(BOOKINGS, {"name": name}) for name in "AB")
    journal.subscribe_to_object(BOOKINGS, "name")
    journal.sandbox.merge(BOOKINGS, one, other)

    expected = [other] if names else None
    assert told(journal, "action", "objectId", "mergedObjectIds") == [("MERGE", one, expected)]


@pytest.mark.parametrize("links", [True, False])
def test_whether_a_merge_tells_the_links_that_move_is_a_switch(
    journal: JournalReader, links: bool
) -> None:
    journal.sandbox.configure(journal={"merge_links": links})
    exam = journal.sandbox.create(EXAMS, {"location": "Hall"})
    one = journal.sandbox.create(BOOKINGS, {"name": "A"})
    other = journal.sandbox.create(BOOKINGS, {"name": "B"}, [(EXAMS, exam)])
    journal.subscribe_to_links(BOOKINGS, EXAMS)

    journal.sandbox.merge(BOOKINGS, one, other)

    moved = [("ASSOCIATION_REMOVED", other), ("ASSOCIATION_ADDED", one)]
    assert told(journal, "action", "fromObjectId") == (moved if links else [])


@pytest.mark.parametrize("form", ["crmObject", "gdprPrivacyDeletion"])
def test_a_privacy_deletion_is_told_in_a_form_that_is_a_switch(
    journal: JournalReader, form: str
) -> None:
    journal.sandbox.configure(journal={"privacy_type": form})
    contact = journal.sandbox.create(CONTACTS, {"email": "s@example.org"})
    journal.subscribe(
        subscriptionType="GDPR_PRIVACY_DELETION", objectTypeId=CONTACTS, actions=["GDPR_DELETE"]
    )

    journal.sandbox.forget(CONTACTS, contact)

    assert told(journal, "type", "action", "objectId") == [(form, "GDPR_DELETE", contact)]
    assert journal.sandbox.call("GET", f"/crm/v3/objects/contacts/{contact}").status == 404


@pytest.mark.parametrize("ids", ["text", "number"])
def test_ids_are_texts_or_numbers(journal: JournalReader, ids: str) -> None:
    journal.sandbox.configure(journal={"ids": ids})
    journal.subscribe_to_object(BOOKINGS, "name")
    booking = journal.sandbox.create(BOOKINGS, {"name": "B"})

    expected = booking if ids == "text" else int(booking)
    assert told(journal, "objectId") == [(expected,)]


def test_what_an_event_says_of_a_value_is_what_is_stored(journal: JournalReader) -> None:
    booking = journal.sandbox.create(BOOKINGS, {"name": "B"})
    journal.subscribe_to_object(BOOKINGS, "name")

    journal.sandbox.poison(BOOKINGS, booking, name="half \ud83d and \u0000")

    assert told(journal, "propertyChanges") == [({"name": "half \ud83d and \u0000"},)]


# Subscriptions


def test_a_post_is_an_upsert_and_a_delete_is_204(journal: JournalReader) -> None:
    made = journal.subscribe_to_object(CONTACTS, "email")
    again = journal.subscribe_to_object(CONTACTS, "email", "firstname")
    listed = journal.call("GET", journal.subscriptions()).body["results"]
    one = journal.call("GET", journal.subscriptions(f"/{made.body['id']}"))

    assert (made.status, again.status) == (200, 200)
    assert [each["properties"] for each in listed] == [["email", "firstname"]]
    assert one.body == listed[0]
    assert journal.call("DELETE", journal.subscriptions(f"/{made.body['id']}")).status == 204
    assert journal.call("GET", journal.subscriptions()).body["results"] == []


@pytest.mark.parametrize(("same", "count"), [("type", 1), ("whole", 2), ("none", 3)])
def test_what_counts_as_the_same_subscription_is_a_switch(
    journal: JournalReader, same: str, count: int
) -> None:
    journal.sandbox.configure(journal={"same_subscription": same})
    for names in (["email"], ["email", "firstname"], ["email"]):
        journal.subscribe_to_object(CONTACTS, *names)

    assert len(journal.sandbox.journal()["subscriptions"]) == count


def test_all_of_a_portals_subscriptions_can_be_deleted(journal: JournalReader) -> None:
    journal.subscribe_to_object(CONTACTS, "email")

    assert journal.call("DELETE", journal.subscriptions(f"/portals/{PORTAL_ID}")).status == 204
    assert journal.sandbox.journal()["subscriptions"] == []


@pytest.mark.parametrize(
    "without", ["properties", "actions", "objectTypeId", "portalId", "subscriptionType"]
)
def test_what_is_required_is_refused_without(journal: JournalReader, without: str) -> None:
    refused = journal.subscribe_to_object(CONTACTS, "email", **{without: None})

    assert (refused.status, refused.body["category"]) == (400, "VALIDATION_ERROR")


def test_an_association_needs_the_other_ends_types(journal: JournalReader) -> None:
    assert journal.subscribe_to_links(EXAMS, BOOKINGS, associatedObjectTypeIds=None).status == 400


@pytest.mark.parametrize(("missing", "told_of"), [("all", 1), ("none", 0)])
def test_whom_a_subscription_without_objects_hears_of_is_a_switch(
    journal: JournalReader, missing: str, told_of: int
) -> None:
    journal.sandbox.configure(journal={"missing_objects": missing})
    journal.subscribe_to_object(BOOKINGS, "name")
    journal.sandbox.create(BOOKINGS, {"name": "B"})

    assert len(journal.all_events()) == told_of


def test_a_list_of_objects_may_be_required(journal: JournalReader) -> None:
    journal.sandbox.configure(journal={"missing_objects": "refused"})

    assert journal.subscribe_to_object(BOOKINGS, "name").status == 400
    assert journal.subscribe_to_object(BOOKINGS, "name", objectIds=[]).status == 200


@pytest.mark.parametrize(("empty", "told_of"), [("all", 1), ("none", 0)])
def test_whom_a_subscription_with_no_objects_hears_of_is_a_switch(
    journal: JournalReader, empty: str, told_of: int
) -> None:
    journal.sandbox.configure(journal={"empty_objects": empty})
    journal.subscribe_to_object(BOOKINGS, "name", objectIds=[])
    journal.sandbox.create(BOOKINGS, {"name": "B"})

    assert len(journal.all_events()) == told_of


def test_a_subscription_with_objects_hears_of_those(journal: JournalReader) -> None:
    one, other = (journal.sandbox.create(BOOKINGS, {"name": name}) for name in "AB")
    journal.subscribe_to_object(BOOKINGS, "name", objectIds=[int(one)])
    for booking in (one, other):
        journal.sandbox.edit(BOOKINGS, booking, name="C")

    assert told(journal, "objectId") == [(one,)]


@pytest.mark.parametrize(("empty", "told_of"), [("all", [{"name": "C"}]), ("none", [])])
def test_what_a_subscription_without_properties_hears_of_is_a_switch(
    journal: JournalReader, empty: str, told_of: list[dict[str, str]]
) -> None:
    journal.sandbox.configure(journal={"empty_properties": empty})
    booking = journal.sandbox.create(BOOKINGS, {"name": "B"})
    journal.subscribe_to_object(BOOKINGS)
    journal.sandbox.edit(BOOKINGS, booking, name="C")

    assert [changes for (changes,) in told(journal, "propertyChanges")] == told_of


def test_a_filter_drops_events(journal: JournalReader) -> None:
    held = journal.subscribe_to_object(BOOKINGS, "name").body["id"]
    condition = {
        "filterType": "CRM_OBJECT_PROPERTY",
        "property": "name",
        "operator": "EQ",
        "value": "kept",
    }
    body = {"subscriptionId": held, "filter": {"conditions": [condition]}}
    made = journal.call("POST", journal.subscriptions("/filters"), body)
    for name in ("kept", "dropped"):
        journal.sandbox.create(BOOKINGS, {"name": name})

    listed = journal.call("GET", journal.subscriptions(f"/filters/subscription/{held}")).body
    assert [each["filter"]["conditions"] for each in listed] == [[condition]]
    assert told(journal, "propertyChanges") == [({"name": "kept"},)]
    path = journal.subscriptions(f"/filters/{made.body['filterId']}")
    assert journal.call("DELETE", path).status == 204
    assert journal.call("GET", journal.subscriptions(f"/filters/subscription/{held}")).body == []
