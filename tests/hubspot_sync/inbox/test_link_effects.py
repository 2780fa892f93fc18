"""Links outlive an edit of properties at either end, and nothing else that happens there."""

from __future__ import annotations

from typing import Any

import pytest

from hubspot_sync.inbox.effects import effect_of
from hubspot_sync.inbox.events import read_event
from hubspot_sync.portal.profile import load_profile
from hubspot_sync.reading.tags import booking_tag, contact_tag, exam_tag, links_tag

PROFILE = load_profile("default")
TYPES = {contact_tag: "0-1", booking_tag: "2-50158943", exam_tag: "2-50158913"}
RECORDS = [(tag("5"), object_type) for tag, object_type in TYPES.items()]


def tags_of(object_type: str, change: str, **more: Any) -> frozenset[str]:
    raw = {"subscriptionType": f"object.{change}", "objectTypeId": object_type, "objectId": 5}
    event = read_event(raw | more, PROFILE.object_types)
    assert not event.incomplete
    return effect_of(event, PROFILE).tags


@pytest.mark.parametrize(("tag", "object_type"), RECORDS)
@pytest.mark.parametrize("change", ["creation", "deletion", "restore", "merge", "privacyDeletion"])
def test_what_happens_to_a_record_outdates_the_links_to_it(
    change: str, tag: str, object_type: str
) -> None:
    merged = {"primaryObjectId": 5, "mergedObjectIds": [6], "newObjectId": 5}

    assert {tag, links_tag(tag)} <= tags_of(object_type, change, **merged)


@pytest.mark.parametrize(("tag", "object_type"), RECORDS)
@pytest.mark.parametrize("name", ["is_active", "total_bookings", "email", "mock_exam_id"])
def test_an_edit_of_properties_leaves_them(name: str, tag: str, object_type: str) -> None:
    tags = tags_of(object_type, "propertyChange", propertyName=name)

    assert tag in tags
    assert links_tag(tag) not in tags


@pytest.mark.parametrize("owner", ["0-1", "2-50158913"])
@pytest.mark.parametrize("is_removed", [False, True])
@pytest.mark.parametrize("is_told_from_booking", [False, True])
def test_a_link_that_comes_or_goes_outdates_it_at_both_ends(
    is_told_from_booking: bool, is_removed: bool, owner: str
) -> None:
    ends = [("2-50158943", 5), (owner, 9)]
    (from_type, from_id), (to_type, to_id) = ends if is_told_from_booking else ends[::-1]
    raw = {
        "subscriptionType": "object.associationChange",
        "fromObjectTypeId": from_type,
        "fromObjectId": from_id,
        "toObjectTypeId": to_type,
        "toObjectId": to_id,
        "associationRemoved": is_removed,
    }
    tags = effect_of(read_event(raw, PROFILE.object_types), PROFILE).tags

    owner_tag = contact_tag("9") if owner == "0-1" else exam_tag("9")
    assert {links_tag(booking_tag("5")), booking_tag("5"), f"{owner_tag}/bookings"} <= tags
