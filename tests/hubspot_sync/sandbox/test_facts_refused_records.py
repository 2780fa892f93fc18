"""hubspot-facts.md: one bad record refuses a whole batch; the sender has to find out which."""

from __future__ import annotations

from typing import Any

import pytest

from tests.hubspot_sync.sandbox.hub import BOOKINGS, CONTACTS, Hub
from tests.sandbox import Answer, ControlError

READS = r".*read"


def refuse(hub: Hub, object_type: str, record_id: str, **more: Any) -> None:
    refused = {"object_type": object_type, "id": record_id, **more}
    hub.sandbox.configure(refused_records=[refused])


def update(hub: Hub, *ids: str) -> Answer:
    inputs = [{"id": each, "properties": {"name": "new"}} for each in ids]
    return hub.call("POST", "objects", f"{BOOKINGS}/batch/update", {"inputs": inputs})


def names(hub: Hub) -> list[str]:
    return [each["properties"]["name"] for each in hub.sandbox.records(BOOKINGS)]


@pytest.mark.parametrize(("status", "category"), [(400, "VALIDATION_ERROR"), (409, "CONFLICT")])
def test_a_batch_write_is_refused_whole_for_one_record(
    hub: Hub, status: int, category: str
) -> None:
    well, ill = hub.bookings(2)
    refuse(hub, BOOKINGS, ill, status=status, category=category)

    answer = update(hub, well, ill)

    assert (answer.status, answer.body["category"]) == (status, category)
    assert ill not in str(answer.body)
    assert names(hub) == ["B00000", "B00001"]
    assert (update(hub, well).status, update(hub, ill).status) == (200, status)
    assert hub.read(BOOKINGS, [well, ill]).status == 200


def test_a_batch_read_is_refused_whole_for_one_record(hub: Hub) -> None:
    well, ill = hub.bookings(2)
    refuse(hub, BOOKINGS, ill, operations=READS)

    assert hub.read(BOOKINGS, [well, ill]).status == 400
    assert hub.call("GET", "objects", f"{BOOKINGS}/{ill}").status == 400
    assert hub.read(BOOKINGS, [well]).status == 200
    assert update(hub, well, ill).status == 200


def test_a_refused_record_is_known_by_its_email_too(hub: Hub) -> None:
    ill = hub.sandbox.create(CONTACTS, {"email": "ada@example.org"})
    refuse(hub, CONTACTS, ill, operations=READS)

    asked = ("ADA@example.org", "nobody@example.org")
    assert hub.read(CONTACTS, asked, idProperty="email").status == 400
    assert hub.read(CONTACTS, asked[1:], idProperty="email").status == 207


def test_links_of_a_refused_record_are_refused_where_that_is_wanted(hub: Hub) -> None:
    well, ill = hub.bookings(2)
    refuse(hub, BOOKINGS, ill, operations=r"associations\.batch_read")

    both = [{"id": well}, {"id": ill}]
    assert hub.associated(BOOKINGS, CONTACTS, *both).status == 400
    assert hub.associated(BOOKINGS, CONTACTS, *both[:1]).status == 207


def test_a_new_record_is_refused_for_what_it_is_linked_to(hub: Hub) -> None:
    ill = hub.sandbox.create(CONTACTS, {})
    refuse(hub, CONTACTS, ill)
    kind = {
        "associationCategory": "USER_DEFINED",
        "associationTypeId": hub.type_id(BOOKINGS, CONTACTS),
    }
    linked = {"properties": {"name": "A"}, "associations": [{"to": {"id": ill}, "types": [kind]}]}

    assert hub.create(BOOKINGS, {"properties": {"name": "B"}}, linked).status == 400
    assert hub.sandbox.records(BOOKINGS) == []
    assert hub.create(BOOKINGS, {"properties": {"name": "B"}}).status == 201


def test_the_answer_names_the_record_where_that_is_wanted(hub: Hub) -> None:
    (ill,) = hub.bookings(1)
    refuse(hub, BOOKINGS, ill, named=True)

    assert update(hub, ill).body["context"] == {"ids": [ill]}


def test_a_body_that_is_none_has_hubspots_own_words_still(hub: Hub) -> None:
    refuse(hub, BOOKINGS, "1", operations=".*")

    for body in (None, [], {"inputs": 5}, {"inputs": [5]}, {"inputs": [{"id": None}]}):
        answer = hub.call("POST", "objects", f"{BOOKINGS}/batch/read", body)
        assert (answer.status, answer.body["category"]) == (400, "VALIDATION_ERROR")


@pytest.mark.parametrize("wrong", [{"operations": "("}, {"no_such": 1}])
def test_a_refusal_that_cannot_be_is_not_taken(hub: Hub, wrong: dict[str, Any]) -> None:
    with pytest.raises(ControlError, match="400"):
        refuse(hub, BOOKINGS, "1", **wrong)
