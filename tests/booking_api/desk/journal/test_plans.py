"""Plans in the journal: what any release wrote is read as it was meant, and nothing else is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from booking_api.desk.errors import UnreadablePlan
from booking_api.desk.journal.models import JournalEntry, RequestKind
from booking_api.desk.journal.plans import (
    CancelPlan,
    CreatePlan,
    Plan,
    UpdatePlan,
    contact_ids_of,
    find_seat_number,
    read_plan,
)
from tests.plans import CANCELS, CREATES, UPDATES, Json, canceled

STORED: list[tuple[RequestKind, Json]] = [
    *((RequestKind.CREATE, plan) for plan in CREATES.values()),
    *((RequestKind.CANCEL, plan) for plan in CANCELS.values()),
    *((RequestKind.UPDATE, plan) for plan in UPDATES.values()),
]
IDS = [
    f"{kind} {name}"
    for kind, plans in (("create", CREATES), ("cancel", CANCELS), ("update", UPDATES))
    for name in plans
]
PLAN_TYPES: Mapping[RequestKind, type[CreatePlan] | type[CancelPlan] | type[UpdatePlan]] = {
    RequestKind.CREATE: CreatePlan,
    RequestKind.CANCEL: CancelPlan,
    RequestKind.UPDATE: UpdatePlan,
}
SECRET = "ann@example.org"

any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.just(SECRET) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
aware_times = st.datetimes(
    timezones=st.integers(-23, 23).map(lambda hours: timezone(timedelta(hours=hours))),
    min_value=datetime(1800, 1, 1),  # noqa: DTZ001 - Hypothesis adds the zone
    max_value=datetime(2200, 1, 1),  # noqa: DTZ001
)
plans = st.sampled_from(list(PLAN_TYPES.values())).flatmap(
    lambda plan_type: st.builds(
        plan_type,
        **({} if plan_type is CreatePlan else {"booking_seen_at": st.none() | aware_times}),
    )
)


def through_the_database(stored: object) -> Any:
    return json.loads(json.dumps(stored))


def row_with(kind: str, plan: object, contact_id: str = "17") -> JournalEntry:
    return JournalEntry(kind=kind, plan=plan, contact_id=contact_id)


def read_or_reason(kind: str, stored: object) -> tuple[Plan | None, str]:
    try:
        return read_plan(row_with(kind, stored)), ""
    except UnreadablePlan as error:
        return None, error.message


@pytest.mark.parametrize(("kind", "stored"), STORED, ids=IDS)
def test_what_a_release_wrote_is_read_and_written_as_it_was(
    kind: RequestKind, stored: Json
) -> None:
    """A release that runs beside this one, or comes back, finds all it knows under its name."""
    plan = read_plan(row_with(kind, stored))

    meant = {name: value for name, value in stored.items() if value not in ("", [])}
    assert through_the_database(plan.to_json()) == meant


@given(plans)
def test_a_plan_comes_back_as_it_was(plan: Plan) -> None:
    assert type(plan).from_json(through_the_database(plan.to_json())) == plan


@given(st.sampled_from(STORED), st.data())
def test_what_is_not_as_a_release_writes_it_is_read_or_said_to_be_unreadable(
    chosen: tuple[RequestKind, Json], data: st.DataObject
) -> None:
    """One value anywhere in it is another, or gone; the sentence tells nobody's data."""
    kind, stored = chosen
    spoilt = through_the_database(stored)
    place: Any = spoilt
    name = data.draw(st.sampled_from(sorted(place)))
    while isinstance(place[name], dict) and data.draw(st.booleans()):
        place = place[name]
        name = data.draw(st.sampled_from(sorted(place)))
    if data.draw(st.booleans()):
        del place[name]
    else:
        place[name] = data.draw(any_json)
    plan, said = read_or_reason(kind, spoilt)

    if plan is None:
        assert said.startswith("The row's plan cannot be read: ")
        assert SECRET not in said
    else:
        assert read_or_reason(kind, through_the_database(plan.to_json())) == (plan, "")


@given(st.sampled_from([*RequestKind, "teleport"]), any_json)
def test_any_json_is_asked_in_passing_without_harm(kind: str, stored: object) -> None:
    row = row_with(kind, stored)
    with pytest.raises(UnreadablePlan):
        read_plan(row)
    assert contact_ids_of(row) == ("17",)
    assert find_seat_number(stored) is None


def test_a_row_has_no_contacts_before_it_has_one() -> None:
    assert contact_ids_of(row_with("create", {"merged_contacts": ["8"]}, contact_id="")) == ()
    assert contact_ids_of(row_with("create", {"merged_contacts": ["8"]})) == ("17", "8")


@pytest.mark.parametrize("number", [True, 7.0, "7", None])
def test_only_a_number_names_a_seat(number: object) -> None:
    assert find_seat_number({"seat_number": number}) is None
    assert find_seat_number({"seat_number": 7}) == 7


def test_half_an_emoji_in_what_a_student_typed_is_kept() -> None:
    stored = {"properties": {"name": "\ud83d"}, "answer": {"booking_id": "\ud83d"}}
    assert UpdatePlan.from_json(stored).to_json() == stored


def test_nobody_asked_is_told_from_somebody() -> None:
    """The journal is searched for the name: it must not be there where nobody is meant."""
    assert "asked_by" not in CancelPlan.from_json({"answer": canceled()}).to_json()
