"""The table of answers against captured ones: `tests/wire/answers/`, one file for each row.

A file has HubSpot's status (0: an entry of a 207's `errors`), the body, and what it means.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubspot_sync.errors import HubSpotError, NotFound, RateLimited, Refused, Unavailable
from hubspot_sync.wire.verdicts import (
    MEMBER,
    TABLE,
    UNEXPECTED,
    Meaning,
    build_error,
    find_rule,
    judge,
    judge_members,
)

CAPTURED = Path(__file__).resolve().parents[2] / "wire" / "answers"


def captured(name: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads((CAPTURED / f"{name}.json").read_text(encoding="utf-8"))
    return answer


NAMES = sorted(path.stem for path in CAPTURED.glob("*.json"))


@pytest.mark.parametrize("name", NAMES)
def test_a_captured_answer_means_what_its_file_says(name: str) -> None:
    answer = captured(name)

    assert judge(answer["status"], answer["body"]).meaning.value == answer["verdict"]


@pytest.mark.parametrize("row", TABLE, ids=str)
def test_every_row_has_a_captured_answer(row: Any) -> None:
    answers = [captured(name) for name in NAMES]
    reached = [find_rule(answer["status"], answer["body"]) for answer in answers]

    assert row in reached


@given(
    st.integers(100, 599).filter(lambda status: status not in {row.status for row in TABLE}),
    st.dictionaries(st.sampled_from(["category", "subCategory", "policyName"]), st.text()),
)
def test_what_no_row_names_is_a_failure(status: int, body: dict[str, str]) -> None:
    assert judge(status, body) is UNEXPECTED


ZERO_WORD = "crm.associations.NO_ASSOCIATIONS_FOUND"


@pytest.mark.parametrize(
    ("sub_category", "meaning"),
    [
        (ZERO_WORD, Meaning.ZERO),
        ({"name": ZERO_WORD}, Meaning.ZERO),
        ({"type": "SubCategory", "value": ZERO_WORD}, Meaning.ZERO),
        (None, Meaning.MISSING),
        ({}, Meaning.MISSING),
        ({"name": "crm.associations.SOMETHING_ELSE"}, Meaning.UNEXPECTED),
        ({"name": None}, Meaning.UNEXPECTED),
        ({"name": [ZERO_WORD]}, Meaning.UNEXPECTED),
        ([ZERO_WORD], Meaning.UNEXPECTED),
        (["x"], Meaning.UNEXPECTED),
        (0, Meaning.UNEXPECTED),
        (True, Meaning.UNEXPECTED),
    ],
)
def test_a_sub_category_is_read_as_text_or_object_and_what_is_neither_names_no_row(
    sub_category: object, meaning: Meaning
) -> None:
    entry = {
        "category": "OBJECT_NOT_FOUND",
        "subCategory": sub_category,
        "context": {"ids": ["1"]},
    }

    (member,) = judge_members({"errors": [entry]})

    assert member.verdict.meaning is meaning


@pytest.mark.parametrize(
    ("context", "ids"),
    [
        ({"ids": [404]}, ("404",)),
        ({"ids": 404}, ("404",)),
        ({"ids": "404"}, ("404",)),
        ({"ids": [["404"], {"id": "405"}, None, True, 1.5, "406"]}, ("406",)),
        ({"ids": None}, ()),
        (None, ()),
        ("404", ()),
        (["404"], ()),
    ],
)
def test_a_context_of_any_kind_names_the_ids_that_are_ids(
    context: object, ids: tuple[str, ...]
) -> None:
    entry = {"category": "OBJECT_NOT_FOUND", "message": 3, "context": context}

    (member,) = judge_members({"errors": [entry]})

    assert member.ids == ids


@pytest.mark.parametrize("category", [None, 4, ["OBJECT_NOT_FOUND"], {"a": "OBJECT_NOT_FOUND"}])
def test_a_category_that_is_no_text_names_no_row(category: object) -> None:
    (member,) = judge_members({"errors": [{"category": category, "context": {"ids": ["1"]}}]})

    assert member.verdict is UNEXPECTED


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.sampled_from([MEMBER, 207, 400, 404, 429, 500]),
    st.dictionaries(
        st.sampled_from(["category", "subCategory", "errors", "context", "message", "policyName"]),
        json_values,
    ),
)
def test_no_body_however_strange_breaks_the_table(status: int, body: dict[str, Any]) -> None:
    verdict = judge(status, body)
    error = build_error(verdict, status, body, retry_after_s=None)

    assert isinstance(error, HubSpotError)
    assert all(isinstance(one.error, HubSpotError) for one in judge_members(body))


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("400-validation-rule", Refused),
        ("404-object", NotFound),
        ("423-locked", Unavailable),
        ("429-daily", RateLimited),
        ("429-ten-secondly", RateLimited),
        ("477-migration", Unavailable),
        ("503-unavailable", Unavailable),
        ("418-teapot", Unavailable),
    ],
)
def test_a_failure_becomes_an_error_of_the_tree(name: str, error: type[HubSpotError]) -> None:
    answer = captured(name)
    status, body = answer["status"], answer["body"]

    raised = build_error(judge(status, body), status, body, retry_after_s=None)

    assert type(raised) is error
    assert raised.status == status


def test_a_refusal_names_its_properties_and_its_members() -> None:
    body = captured("409-unique-value")["body"]

    refused = build_error(judge(409, body), 409, body, retry_after_s=None)

    assert isinstance(refused, Refused)
    assert refused.property_names == ("idempotency_key",)
    assert refused.trace_ids == ("trace-7",)
    assert refused.correlation_id == body["correlationId"]


def test_a_locked_record_wants_two_seconds() -> None:
    assert judge(423, {}).wait_s >= 2


def test_retry_after_counts_more_than_the_tables_wait() -> None:
    raised = build_error(judge(429, {}), 429, {}, retry_after_s=6.0)

    assert raised.retry_after_s == 6.0


def test_members_say_which_records_they_mean() -> None:
    names = ["member-not-found", "member-no-associations", "member-conflict", "member-rate-limit"]
    body = {"errors": [captured(name)["body"] for name in names]}

    found = [(one.verdict.meaning, one.ids, one.trace_ids) for one in judge_members(body)]

    assert found == [
        (Meaning.MISSING, ("404", "405"), ()),
        (Meaning.ZERO, ("1",), ()),
        (Meaning.REFUSED, (), ("trace-3",)),
        (Meaning.UNEXPECTED, ("1",), ()),
    ]


def test_only_refusals_quote_hubspot() -> None:
    body = {"message": "alice@example.org is not available"}

    assert "alice" not in str(build_error(judge(503, body), 503, body, retry_after_s=None))
    assert "alice" in str(build_error(judge(400, body), 400, body, retry_after_s=None))
