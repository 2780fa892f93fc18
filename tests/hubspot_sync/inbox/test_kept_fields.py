"""What is kept of events: enough to know and to apply them, and no values."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubspot_sync.inbox.effects import effect_of
from hubspot_sync.inbox.events import MalformedEvents, dump_json, read_event
from hubspot_sync.inbox.kept_fields import KEPT_FIELDS, keep_fields
from hubspot_sync.portal.profile import load_profile

WIRE = Path(__file__).resolve().parents[2] / "wire" / "webhooks"
PROFILE = load_profile("default")
CAPTURED = {path.stem: json.loads(path.read_bytes())[0] for path in WIRE.glob("*.json")}
WORDS = sorted(CAPTURED)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.text(alphabet="9", min_size=4_000, max_size=5_000)
    | st.integers(min_value=10**4_000, max_value=10**4_200)
)
VALUES = SCALARS | st.lists(SCALARS, max_size=4) | st.dictionaries(st.text(), SCALARS, max_size=2)


@pytest.mark.parametrize("name", WORDS)
def test_a_captured_event_has_the_same_effect_when_it_is_read_back(name: str) -> None:
    raw = CAPTURED[name]
    event = read_event(raw, PROFILE.object_types)
    again = read_event(keep_fields(raw), PROFILE.object_types)

    assert effect_of(again, PROFILE) == effect_of(event, PROFILE)
    assert again.digest == event.digest


@given(
    fields=st.dictionaries(st.sampled_from([*KEPT_FIELDS, "propertyValue"]), VALUES),
    name=st.sampled_from(WORDS),
)
def test_any_event_has_the_same_effect_when_it_is_read_back(
    fields: dict[str, Any], name: str
) -> None:
    raw = CAPTURED[name] | fields | {"subscriptionType": name}
    event = read_event(raw, PROFILE.object_types)
    kept = keep_fields(raw)

    assert effect_of(read_event(kept, PROFILE.object_types), PROFILE) == effect_of(event, PROFILE)
    assert len(dump_json(kept)) < 60_000


@pytest.mark.parametrize("value", ["Alice Moreau", "x" * 65_536, {"first": "Alice"}, ["Alice"], 17])
def test_no_value_of_a_property_is_kept(value: Any) -> None:
    raw = CAPTURED["contact.propertyChange"] | {"propertyValue": value, "unheardOf": value}

    kept = keep_fields(raw)

    assert kept["notKept"] == ["propertyValue", "unheardOf"]
    assert json.dumps(value) not in json.dumps(kept | {"objectId": 0, "occurredAt": 0})


def test_what_is_no_event_when_it_is_read_back_was_none_before() -> None:
    with pytest.raises(MalformedEvents):
        read_event(keep_fields({"propertyValue": "x"}), PROFILE.object_types)
