"""hubspot-facts.md, "A merged record": what the old id means, and what the survivor takes over."""

from __future__ import annotations

from typing import Any

import pytest

from tests.hubspot_sync.sandbox.hub import BOOKINGS, CONTACTS, EXAMS, Hub
from tests.sandbox import Answer

MERGED = "hs_merged_object_ids"


def merge(hub: Hub, object_type: str, survivor_id: str, other_id: str) -> Answer:
    body = {"primaryObjectId": survivor_id, "objectIdToMerge": other_id}
    return hub.call("POST", "objects", f"{object_type}/merge", body)


def contact(hub: Hub, email: str, **properties: str) -> str:
    return hub.sandbox.create(CONTACTS, {"email": email, **properties})


@pytest.mark.parametrize("object_type", [CONTACTS, BOOKINGS, EXAMS])
def test_a_single_read_of_the_old_id_answers_with_the_survivor(hub: Hub, object_type: str) -> None:
    survivor, one, other = (hub.sandbox.create(object_type, {}) for _ in range(3))

    assert merge(hub, object_type, one, other).body["id"] == one
    assert merge(hub, object_type, survivor, one).status == 200

    for old in (one, other):
        read = hub.call("GET", "objects", f"{object_type}/{old}?properties={MERGED}")
        assert (read.status, read.body["id"]) == (200, survivor)
        assert set(read.body["properties"][MERGED].split(";")) == {one, other}
    assert [each["id"] for each in hub.sandbox.records(object_type)] == [survivor]


def test_what_cannot_be_merged_is_refused(hub: Hub) -> None:
    (known,) = hub.bookings(1)

    assert merge(hub, BOOKINGS, known, known).status == 400
    assert merge(hub, BOOKINGS, known, "404").status == 404
    assert merge(hub, BOOKINGS, "404", known).status == 404


def test_the_survivor_takes_over_links_emails_and_what_it_had_no_value_of(hub: Hub) -> None:
    survivor = contact(hub, "a@example.org", firstname="Ann")
    other = contact(hub, "b@example.org", firstname="Bea", lastname="Bee")
    booking, second = hub.bookings(2)
    for each in (booking, second):
        hub.sandbox.associate(BOOKINGS, each, CONTACTS, other)
    hub.sandbox.associate(BOOKINGS, booking, CONTACTS, survivor)

    merge(hub, CONTACTS, survivor, other)

    names = ["firstname", "lastname", "email", "hs_additional_emails"]
    found = hub.read(CONTACTS, ["B@example.org"], names, idProperty="email").body["results"]
    assert [each["id"] for each in found] == [survivor]
    assert {name: found[0]["properties"][name] for name in names} == {
        "firstname": "Ann",
        "lastname": "Bee",
        "email": "a@example.org",
        "hs_additional_emails": "b@example.org",
    }
    answer = hub.associated(CONTACTS, BOOKINGS, {"id": survivor})
    linked = {str(each["toObjectId"]) for each in answer.body["results"][0]["to"]}
    assert linked == {booking, second}
    back = hub.associated(BOOKINGS, CONTACTS, {"id": second}).body["results"][0]["to"]
    assert [str(each["toObjectId"]) for each in back] == [survivor]


@pytest.mark.parametrize("known", [True, False], ids=["survivor", "left out"])
def test_batches_answer_with_the_survivor_or_leave_the_old_id_out(hub: Hub, known: bool) -> None:
    survivor, other = hub.bookings(2)
    exam = hub.sandbox.create(EXAMS, {})
    hub.sandbox.associate(BOOKINGS, other, EXAMS, exam)
    hub.sandbox.merge(BOOKINGS, survivor, other)
    hub.sandbox.configure(batches_know_merged=known)

    read = hub.read(BOOKINGS, [other], [MERGED])
    inputs = [{"id": other, "properties": {"name": "Amy"}}]
    update = hub.call("POST", "objects", f"{BOOKINGS}/batch/update", {"inputs": inputs})
    links = hub.associated(BOOKINGS, EXAMS, {"id": other})

    wanted = [survivor] if known else []
    assert [each["id"] for each in read.body["results"]] == wanted
    assert [each["id"] for each in update.body["results"]] == wanted
    assert [each["from"]["id"] for each in links.body["results"]] == wanted
    for answer in (read, update):
        errors: list[dict[str, Any]] = answer.body.get("errors", [])
        named = [each["context"]["ids"] for each in errors]
        assert named == ([] if known else [[other]])
    assert [each["id"] for each in hub.read(BOOKINGS, [survivor, other]).body["results"]] == [
        survivor
    ]
