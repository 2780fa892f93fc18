"""hubspot-facts.md, line by line: who is linked to whom, page by page; none told as an error."""

from __future__ import annotations

from typing import Any

import pytest

from tests.hubspot_sync.sandbox.hub import BOOKINGS, CONTACTS, EXAMS, LEGACY, NOTES, Hub

NONE_FOUND = "crm.associations.NO_ASSOCIATIONS_FOUND"


def exam_with(hub: Hub, bookings: int) -> tuple[str, list[str]]:
    """An exam and the bookings linked to it, an hour ago."""
    (exam,) = hub.sandbox.bulk([{"type": EXAMS, "properties": {"capacity": "900"}}])
    ids = hub.bookings(bookings)
    hub.sandbox.bulk((), [(EXAMS, exam, BOOKINGS, each) for each in ids])
    return exam, ids


def pairs(hub: Hub, number: int) -> list[tuple[str, str]]:
    """That many pairs of a booking and an exam that are not linked yet."""
    exams = hub.sandbox.bulk([{"type": EXAMS, "properties": {}}] * number)
    return list(zip(hub.bookings(number), exams, strict=True))


def targets(result: dict[str, Any]) -> list[str]:
    return [str(each["toObjectId"]) for each in result["to"]]


def test_a_batch_read_answers_each_from_with_its_targets_and_types(hub: Hub) -> None:
    exam, ids = exam_with(hub, 2)

    (result,) = hub.associated(EXAMS, BOOKINGS, {"id": exam}).body["results"]

    assert result["from"] == {"id": exam}
    assert sorted(targets(result)) == sorted(ids)
    kind = {"category": "USER_DEFINED", "typeId": hub.type_id(EXAMS, BOOKINGS), "label": None}
    assert result["to"][0]["associationTypes"] == [kind]


def test_the_official_client_reads_a_batch_of_associations(hub: Hub) -> None:
    exam, ids = exam_with(hub, 3)
    body = {"inputs": [{"id": exam}, {"id": "404"}]}

    answer = hub.client.crm.associations.v4.batch_api.get_page(EXAMS, BOOKINGS, body)

    assert sorted(str(each.to_object_id) for each in answer.results[0].to) == sorted(ids)
    assert answer.results[0].to[0].association_types[0].category == "USER_DEFINED"
    assert answer.errors[0].sub_category == NONE_FOUND


def test_a_thousand_inputs_are_read_and_one_more_is_refused(hub: Hub) -> None:
    inputs = [{"id": str(number)} for number in range(1, 1_002)]

    assert hub.associated(BOOKINGS, EXAMS, *inputs[:1_000]).status == 207
    assert hub.associated(BOOKINGS, EXAMS, *inputs).status == 400


@pytest.mark.sampled(2)
@pytest.mark.parametrize("operation", ["create", "associate/default", "archive"])
def test_two_thousand_links_are_written_and_one_more_is_refused(hub: Hub, operation: str) -> None:
    made = pairs(hub, 2_001)
    kind = {
        "associationCategory": "USER_DEFINED",
        "associationTypeId": hub.type_id(BOOKINGS, EXAMS),
    }
    extra: dict[str, Any] = {"types": [kind]} if operation == "create" else {}
    inputs = [
        {"from": {"id": one}, "to": [{"id": other}] if operation == "archive" else {"id": other}}
        | extra
        for one, other in made
    ]
    rest = f"{BOOKINGS}/{EXAMS}/batch/{operation}"

    refused = hub.call("POST", "associations", rest, {"inputs": inputs})
    taken = hub.call("POST", "associations", rest, {"inputs": inputs[:2_000]})

    assert refused.status == 400
    assert taken.status == {"create": 201, "associate/default": 200, "archive": 204}[operation]


def test_paging_is_per_from_object_each_with_its_own_cursor(hub: Hub) -> None:
    big, big_ids = exam_with(hub, 620)
    small, small_ids = exam_with(hub, 3)
    answer = hub.associated(EXAMS, BOOKINGS, {"id": big}, {"id": small})
    by_exam = {each["from"]["id"]: each for each in answer.body["results"]}

    after = by_exam[big]["paging"]["next"]["after"]
    rest = hub.associated(EXAMS, BOOKINGS, {"id": big, "after": after}).body["results"][0]

    assert len(by_exam[big]["to"]) == 500
    assert "paging" not in by_exam[small]
    assert sorted(targets(by_exam[small])) == sorted(small_ids)
    assert sorted(targets(by_exam[big]) + targets(rest)) == sorted(big_ids)
    assert "paging" not in rest


def test_the_official_client_sees_that_a_from_object_has_more(hub: Hub) -> None:
    exam, _ = exam_with(hub, 501)

    answer = hub.client.crm.associations.v4.batch_api.get_page(
        EXAMS, BOOKINGS, {"inputs": [{"id": exam}]}
    )

    assert len(answer.results[0].to) == 500
    assert answer.results[0].paging.next.after


def test_an_object_without_associations_is_an_error_inside_a_207(hub: Hub) -> None:
    exam, ids = exam_with(hub, 1)
    (lonely,) = hub.sandbox.bulk([{"type": EXAMS, "properties": {}}])

    answer = hub.associated(EXAMS, BOOKINGS, {"id": exam}, {"id": lonely})

    assert answer.status == 207
    assert [targets(each) for each in answer.body["results"]] == [ids]
    (error,) = answer.body["errors"]
    assert (error["category"], error["subCategory"]) == ("OBJECT_NOT_FOUND", NONE_FOUND)
    assert error["context"]["fromObjectId"] == [lonely]


def test_any_other_error_in_the_same_207_has_no_such_subcategory(hub: Hub) -> None:
    exam, _ = exam_with(hub, 1)
    (lonely,) = hub.sandbox.bulk([{"type": EXAMS, "properties": {}}])
    hub.sandbox.fault("partial", path="associations", last=1, times=1)

    answer = hub.associated(EXAMS, BOOKINGS, {"id": lonely}, {"id": exam})

    kinds = {
        each["context"]["fromObjectId"][0]: each.get("subCategory")
        for each in answer.body["errors"]
    }
    assert answer.status == 207
    assert kinds == {lonely: NONE_FOUND, exam: None}


def test_associations_to_archived_objects_disappear_from_reads(hub: Hub) -> None:
    exam, (kept, gone) = exam_with(hub, 2)

    hub.sandbox.archive(BOOKINGS, gone)

    (result,) = hub.associated(EXAMS, BOOKINGS, {"id": exam}).body["results"]
    assert targets(result) == [kept]


def test_a_restored_object_is_associated_as_before(hub: Hub) -> None:
    exam, (booking,) = exam_with(hub, 1)
    hub.sandbox.archive(BOOKINGS, booking)
    hub.sandbox.restore(BOOKINGS, booking)

    (result,) = hub.associated(EXAMS, BOOKINGS, {"id": exam}).body["results"]

    assert targets(result) == [booking]


@pytest.mark.parametrize("hub", [LEGACY], indirect=True)
def test_one_objects_associations_are_listed_500_a_page_in_the_legacy_family(hub: Hub) -> None:
    exam, ids = exam_with(hub, 620)
    api = hub.client.crm.associations.v4.basic_api

    first = api.get_page(EXAMS, exam, BOOKINGS, limit=500)
    rest = api.get_page(EXAMS, exam, BOOKINGS, after=first.paging.next.after, limit=500)

    assert (len(first.results), len(rest.results)) == (500, 120)
    came = {str(each.to_object_id) for each in first.results + rest.results}
    assert came == set(ids)
    over = hub.call("GET", "links", f"{EXAMS}/{exam}/associations/{BOOKINGS}?limit=501")
    assert over.status == 400


def test_put_makes_the_default_unlabelled_association(hub: Hub) -> None:
    ((booking, exam),) = pairs(hub, 1)

    answer = hub.client.crm.associations.v4.basic_api.create_default(BOOKINGS, booking, EXAMS, exam)

    made = {each.association_spec.association_type_id for each in answer.results}
    assert made == {hub.type_id(BOOKINGS, EXAMS), hub.type_id(EXAMS, BOOKINGS)}
    (result,) = hub.associated(BOOKINGS, EXAMS, {"id": booking}).body["results"]
    assert targets(result) == [exam]


def test_the_official_client_links_and_unlinks_in_batches(hub: Hub) -> None:
    ((booking, exam),) = pairs(hub, 1)
    api = hub.client.crm.associations.v4.batch_api
    kind = {
        "associationCategory": "USER_DEFINED",
        "associationTypeId": hub.type_id(BOOKINGS, EXAMS),
    }
    link = {"from": {"id": booking}, "to": {"id": exam}, "types": [kind]}
    made = api.create(BOOKINGS, EXAMS, {"inputs": [link]})

    api.archive(BOOKINGS, EXAMS, {"inputs": [{"from": {"id": booking}, "to": [{"id": exam}]}]})

    assert [str(each.to_object_id) for each in made.results] == [exam]
    assert hub.associated(BOOKINGS, EXAMS, {"id": booking}).body["results"] == []


@pytest.mark.parametrize("portal", ["default", "prepdoctors"])
def test_labels_give_the_type_ids_that_differ_by_direction(hub: Hub, portal: str) -> None:
    hub.sandbox.reset(seed="empty", portal=portal)

    there = hub.call("GET", "associations", f"{BOOKINGS}/{CONTACTS}/labels").body["results"]
    back = hub.call("GET", "associations", f"{CONTACTS}/{BOOKINGS}/labels").body["results"]

    assert {each["category"] for each in there} == {"USER_DEFINED"}
    assert None in {each["label"] for each in there}
    assert not {each["typeId"] for each in there} & {each["typeId"] for each in back}


def test_type_ids_differ_from_portal_to_portal(hub: Hub) -> None:
    ids = set()
    for portal in ("default", "prepdoctors"):
        hub.sandbox.reset(seed="empty", portal=portal)
        ids.add(hub.type_id(BOOKINGS, CONTACTS))

    assert len(ids) == 2


def test_note_to_contact_is_202_hubspot_defined(hub: Hub) -> None:
    answer = hub.call("GET", "associations", f"{NOTES}/{CONTACTS}/labels")

    assert answer.body["results"] == [{"category": "HUBSPOT_DEFINED", "typeId": 202, "label": None}]


def test_association_reads_are_current_unless_told_to_lag(hub: Hub) -> None:
    ((booking, exam),) = pairs(hub, 1)
    hub.sandbox.associate(BOOKINGS, booking, EXAMS, exam)
    current = hub.associated(BOOKINGS, EXAMS, {"id": booking}).body["results"]

    hub.sandbox.configure(association_lag_s=5)
    lagging = hub.associated(BOOKINGS, EXAMS, {"id": booking}).body["results"]
    hub.sandbox.advance(5)
    later = hub.associated(BOOKINGS, EXAMS, {"id": booking}).body["results"]

    assert [targets(each) for each in current] == [[exam]]
    assert lagging == []
    assert [targets(each) for each in later] == [[exam]]


def test_the_read_of_one_object_tells_the_links_it_is_asked_for(hub: Hub) -> None:
    booking, lonely = hub.bookings(2)
    contact, exam = hub.sandbox.create(CONTACTS, {}), hub.sandbox.create(EXAMS, {})
    hub.sandbox.associate(BOOKINGS, booking, CONTACTS, contact)
    hub.sandbox.associate(BOOKINGS, booking, EXAMS, exam)
    asked = f"associations={CONTACTS},{EXAMS}"

    told = hub.call("GET", "objects", f"{BOOKINGS}/{booking}?{asked}").body["associations"]
    none = hub.call("GET", "objects", f"{BOOKINGS}/{lonely}?{asked}").body
    strange = hub.call("GET", "objects", f"{BOOKINGS}/{booking}?associations=2-404")

    assert [each["id"] for each in told.pop("contacts")["results"]] == [contact]
    (exams,) = told.values()
    assert [each["id"] for each in exams["results"]] == [exam]
    assert "associations" not in none
    assert strange.status == 400


def test_links_told_with_an_object_are_paged_and_lag_as_others_do(hub: Hub) -> None:
    (booking,) = hub.bookings(1)
    for _ in range(2):
        hub.sandbox.associate(BOOKINGS, booking, CONTACTS, hub.sandbox.create(CONTACTS, {}))
    path = f"{BOOKINGS}/{booking}?associations={CONTACTS}"

    hub.sandbox.configure(association_page=1)
    links = hub.call("GET", "objects", path).body["associations"]["contacts"]
    hub.sandbox.configure(association_lag_s=60)
    late = hub.call("GET", "objects", path).body
    hub.sandbox.configure(association_lag_s=0, reads_tell_links=False)
    silent = hub.call("GET", "objects", path).body

    assert len(links["results"]) == 1
    assert links["paging"]["next"]["after"] == links["results"][0]["id"]
    assert "associations" not in late
    assert "associations" not in silent
