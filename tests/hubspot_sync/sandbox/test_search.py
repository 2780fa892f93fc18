"""Search: operators, limits of its language, pages, the window, and how late it is."""

from __future__ import annotations

from typing import Any

import pytest

from tests.hubspot_sync.sandbox.paths import EXAMS, objects
from tests.sandbox import Answer, SandboxHandle

# a: small, early; b: middle; c: large, late; d: nothing but a place
CAST: dict[str, dict[str, str]] = {
    "1": {"location": "a one", "capacity": "9", "exam_date": "2026-12-01", "mock_type": "osce"},
    "2": {"location": "b two", "capacity": "20", "exam_date": "2026-12-05", "mock_type": "osce"},
    "3": {
        "location": "c two",
        "capacity": "100",
        "exam_date": "2027-01-01",
        "mock_type": "written",
    },
    "4": {"location": "d four"},
}


@pytest.fixture
def hub(kind_sandbox: SandboxHandle) -> SandboxHandle:
    kind_sandbox.bulk(
        {"type": EXAMS, "id": each, "properties": properties} for each, properties in CAST.items()
    )
    kind_sandbox.configure(search_rate=1000)
    return kind_sandbox


def search(hub: SandboxHandle, *groups: list[dict[str, Any]], **more: Any) -> Answer:
    body = {"filterGroups": [{"filters": group} for group in groups], "limit": 100, **more}
    return hub.call("POST", objects(EXAMS, "/search"), body)


def ids(answer: Answer) -> str:
    return "".join(each["id"] for each in answer.body["results"])


def where(name: str, operator: str, value: Any = None, **more: Any) -> dict[str, Any]:
    given = {} if value is None else {"value": value}
    return {"propertyName": name, "operator": operator, **given, **more}


@pytest.mark.parametrize(
    ("question", "found"),
    [
        (where("capacity", "EQ", "20"), "2"),
        (where("capacity", "EQ", "20.0"), "2"),
        (where("capacity", "NEQ", "20"), "13"),
        (where("capacity", "LT", "20"), "1"),
        (where("capacity", "LTE", "20"), "12"),
        (where("capacity", "GT", "20"), "3"),
        (where("capacity", "GTE", "20"), "23"),
        (where("capacity", "BETWEEN", "9", highValue="20"), "12"),
        (where("exam_date", "GTE", "2026-12-05"), "23"),
        (where("exam_date", "GTE", "1796428800000"), "23"),
        (where("mock_type", "IN", values=["written", "oral"]), "3"),
        (where("mock_type", "NOT_IN", values=["written"]), "12"),
        (where("mock_type", "HAS_PROPERTY"), "123"),
        (where("mock_type", "NOT_HAS_PROPERTY"), "4"),
        (where("location", "CONTAINS_TOKEN", "two"), "23"),
        (where("location", "CONTAINS_TOKEN", "fo*"), "4"),
    ],
    ids=str,
)
def test_an_operator_finds_what_it_says(
    hub: SandboxHandle, question: dict[str, Any], found: str
) -> None:
    assert ids(search(hub, [question])) == found


def test_filters_narrow_and_groups_widen(hub: SandboxHandle) -> None:
    osce, large = where("mock_type", "EQ", "osce"), where("capacity", "GTE", "20")

    assert ids(search(hub, [osce, large])) == "2"
    assert ids(search(hub, [osce], [large])) == "123"


def test_sorting_puts_those_without_the_value_last(hub: SandboxHandle) -> None:
    by_capacity = {"propertyName": "capacity", "direction": "DESCENDING"}

    assert ids(search(hub, sorts=[by_capacity])) == "3214"


@pytest.mark.parametrize(
    ("groups", "status"),
    [
        ((1,) * 5, 200),
        ((1,) * 6, 400),
        ((6,), 200),
        ((7,), 400),
        ((6, 6, 6), 200),
        ((6, 6, 6, 1), 400),
    ],
    ids=str,
)
def test_the_language_has_its_limits(
    hub: SandboxHandle, groups: tuple[int, ...], status: int
) -> None:
    question = where("mock_type", "EQ", "osce")

    assert search(hub, *([question] * size for size in groups)).status == status


@pytest.mark.parametrize(
    "wrong",
    [
        where("no_such", "EQ", "1"),
        where("capacity", "ALMOST", "1"),
        where("capacity", "EQ"),
        where("capacity", "IN"),
        where("capacity", "BETWEEN", "1"),
    ],
    ids=str,
)
def test_a_filter_that_makes_no_sense_is_refused(hub: SandboxHandle, wrong: dict[str, Any]) -> None:
    assert search(hub, [wrong]).status == 400


def test_pages_follow_each_other_and_end(hub: SandboxHandle) -> None:
    first = search(hub, limit=3)
    second = search(hub, limit=3, after=first.body["paging"]["next"]["after"])

    assert (ids(first), ids(second), first.body["total"]) == ("123", "4", 4)
    assert "paging" not in second.body


@pytest.mark.parametrize(
    ("after", "limit", "status"), [(9800, 200, 200), (9801, 200, 400), (0, 201, 400)]
)
def test_the_window_ends_at_ten_thousand_and_a_page_at_two_hundred(
    hub: SandboxHandle, after: int, limit: int, status: int
) -> None:
    assert search(hub, after=str(after), limit=limit).status == status


def test_search_shows_the_past_until_its_lag_is_over(hub: SandboxHandle) -> None:
    hub.configure(search_lag_s=60)
    hub.edit(EXAMS, "1", capacity="50")
    hub.create(EXAMS, {"capacity": "51"})
    hub.archive(EXAMS, "3")
    small, large = where("capacity", "LT", "10"), where("capacity", "GTE", "50")

    before = ids(search(hub, [small])), search(hub, [large]).body["total"]
    hub.advance(61)
    after = ids(search(hub, [small])), search(hub, [large]).body["total"]

    assert before == ("1", 0)
    assert after == ("", 2)


def test_search_knows_a_restored_record_when_its_lag_is_over(hub: SandboxHandle) -> None:
    hub.archive(EXAMS, "1")
    hub.configure(search_lag_s=60)
    hub.restore(EXAMS, "1")
    same = where("hs_object_id", "EQ", "1")

    before = ids(search(hub, [same]))
    hub.advance(61)

    assert (before, ids(search(hub, [same]))) == ("", "1")


def test_search_shows_the_values_it_searched_by(hub: SandboxHandle) -> None:
    hub.configure(search_lag_s=60)
    hub.edit(EXAMS, "1", capacity="50")

    (found,) = search(hub, [where("hs_object_id", "EQ", "1")], properties=["capacity"]).body[
        "results"
    ]

    assert found["properties"]["capacity"] == "9"
