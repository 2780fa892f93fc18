"""The association endpoints: pages per `from`, "none" as an error, integers or strings, lag."""

from __future__ import annotations

from typing import Any

import pytest

from tests.hubspot_sync.sandbox.paths import BOOKINGS, CONTACTS, pairs
from tests.sandbox import Answer, SandboxHandle

NONE = "crm.associations.NO_ASSOCIATIONS_FOUND"


@pytest.fixture
def hub(kind_sandbox: SandboxHandle) -> SandboxHandle:
    """Contacts 1 and 2; the first has bookings 101 to 105."""
    bookings = [str(number) for number in range(101, 106)]
    ids = [*((CONTACTS, each) for each in ("1", "2")), *((BOOKINGS, each) for each in bookings)]
    records = [{"type": kind, "id": each, "properties": {}} for kind, each in ids]
    kind_sandbox.bulk(records, [(CONTACTS, "1", BOOKINGS, each) for each in bookings])
    return kind_sandbox


def read(hub: SandboxHandle, *inputs: dict[str, Any]) -> Answer:
    return hub.call("POST", pairs(CONTACTS, BOOKINGS, "/batch/read"), {"inputs": list(inputs)})


def targets(answer: Answer) -> dict[str, list[Any]]:
    return {
        each["from"]["id"]: [to["toObjectId"] for to in each["to"]]
        for each in answer.body["results"]
    }


def test_each_from_is_paged_by_itself(hub: SandboxHandle) -> None:
    hub.configure(association_page=2)
    found: list[str] = []
    cursor: dict[str, Any] = {}

    while True:
        answer = read(hub, {"id": "1", **cursor})
        found += targets(answer)["1"]
        following = answer.body["results"][0].get("paging")
        if following is None:
            break
        cursor = {"after": following["next"]["after"]}

    assert found == ["101", "102", "103", "104", "105"]
    assert hub.calls_count("associations.batch_read") == 3


def test_an_object_without_associations_is_an_error_that_means_zero(hub: SandboxHandle) -> None:
    answer = read(hub, {"id": "1"}, {"id": "2"})

    (error,) = answer.body["errors"]
    assert answer.status == 207
    assert (error["category"], error["subCategory"]) == ("OBJECT_NOT_FOUND", NONE)
    assert error["context"]["fromObjectId"] == ["2"]
    assert targets(answer) == {"1": ["101", "102", "103", "104", "105"]}


def test_target_ids_are_integers_in_the_legacy_family_alone(hub: SandboxHandle) -> None:
    legacy = hub.call(
        "POST",
        f"/crm/v4/associations/{CONTACTS}/{BOOKINGS}/batch/read",
        {"inputs": [{"id": "1"}]},
    )

    assert targets(legacy) == {"1": [101, 102, 103, 104, 105]}
    assert legacy.body["results"][0]["from"]["id"] == "1"


def test_links_to_archived_objects_disappear_and_come_back(hub: SandboxHandle) -> None:
    hub.archive(BOOKINGS, "103")
    assert "103" not in targets(read(hub, {"id": "1"}))["1"]

    hub.restore(BOOKINGS, "103")
    assert "103" in targets(read(hub, {"id": "1"}))["1"]


def test_told_to_lag_reads_show_links_as_they_were(hub: SandboxHandle) -> None:
    hub.configure(association_lag_s=60)
    hub.create(BOOKINGS, {"name": "new"}, [(CONTACTS, "2")])
    hub.dissociate(CONTACTS, "1", BOOKINGS, "101")

    before = read(hub, {"id": "1"}, {"id": "2"})
    hub.advance(61)
    after = read(hub, {"id": "1"}, {"id": "2"})

    assert ("101" in targets(before)["1"], "2" in targets(before)) == (True, False)
    assert ("101" in targets(after)["1"], "2" in targets(after)) == (False, True)


@pytest.mark.parametrize(
    ("action", "most", "each"),
    [
        ("read", 1000, {"id": "1"}),
        ("create", 2000, {"from": {"id": "1"}, "to": {"id": "2"}}),
        ("associate/default", 2000, {"from": {"id": "1"}, "to": {"id": "2"}}),
        ("archive", 2000, {"from": {"id": "1"}, "to": [{"id": "2"}]}),
    ],
)
def test_a_batch_over_its_limit_is_refused_whole(
    hub: SandboxHandle, action: str, most: int, each: dict[str, Any]
) -> None:
    path = pairs(CONTACTS, BOOKINGS, f"/batch/{action}")

    answer = hub.call("POST", path, {"inputs": [each] * (most + 1)})

    assert (answer.status, answer.body["category"]) == (400, "VALIDATION_ERROR")
    assert str(most) in answer.body["message"]


def test_links_are_made_and_removed_in_batches(hub: SandboxHandle) -> None:
    ends = {"from": {"id": "2"}, "to": {"id": "101"}}
    kind = {"associationCategory": "USER_DEFINED", "associationTypeId": 16}
    made = hub.call(
        "POST",
        pairs(CONTACTS, BOOKINGS, "/batch/create"),
        {"inputs": [{**ends, "types": [kind]}, {**ends, "to": {"id": "404"}, "types": [kind]}]},
    )
    assert (made.status, made.body["numErrors"]) == (207, 1)
    assert targets(read(hub, {"id": "2"})) == {"2": ["101"]}

    gone = hub.call(
        "POST",
        pairs(CONTACTS, BOOKINGS, "/batch/archive"),
        {"inputs": [{"from": {"id": "2"}, "to": [{"id": "101"}]}]},
    )
    assert (gone.status, targets(read(hub, {"id": "2"}))) == (204, {})


def test_the_type_of_the_other_direction_is_refused(hub: SandboxHandle) -> None:
    kind = {"associationCategory": "USER_DEFINED", "associationTypeId": 15}
    link = {"from": {"id": "2"}, "to": {"id": "101"}, "types": [kind]}

    answer = hub.call("POST", pairs(CONTACTS, BOOKINGS, "/batch/create"), {"inputs": [link]})

    assert (answer.status, targets(read(hub, {"id": "2"}))) == (400, {})


def test_a_default_link_is_put_by_a_path(hub: SandboxHandle) -> None:
    path = f"/crm/objects/2026-09/{CONTACTS}/2/associations/default/{BOOKINGS}/101"

    assert hub.call("PUT", path).status == 200
    assert targets(read(hub, {"id": "2"})) == {"2": ["101"]}
    assert hub.call("PUT", path.replace("101", "404")).status == 404


def test_one_objects_links_are_listed_in_the_legacy_family(hub: SandboxHandle) -> None:
    path = f"/crm/v4/objects/{CONTACTS}/1/associations/{BOOKINGS}"

    first = hub.call("GET", f"{path}?limit=3").body
    rest = hub.call("GET", f"{path}?limit=3&after={first['paging']['next']['after']}").body

    listed = [each["toObjectId"] for each in first["results"] + rest["results"]]
    assert listed == [101, 102, 103, 104, 105]
    assert hub.call("GET", f"{path}?limit=501").status == 400


def test_each_direction_has_type_ids_of_its_own(hub: SandboxHandle) -> None:
    there = hub.call("GET", pairs(CONTACTS, BOOKINGS, "/labels")).body["results"]
    back = hub.call("GET", pairs(BOOKINGS, CONTACTS, "/labels")).body["results"]

    assert [each["typeId"] for each in there] == [16]
    assert [each["typeId"] for each in back] == [15]
