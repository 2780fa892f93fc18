"""The schema as people and generators read it: codes, examples, names, headers, who may ask."""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest
from drf_spectacular.validation import validate_schema
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # has no types

import booking_api.api
from booking_api.api.views.documentation import SchemaView
from tests.api import Api
from tests.desk import School
from tests.published_schema import as_json_schema, fetch_schema

JSON = "application/json"
# The contract's table, and what is ours besides.
CODES = {
    "400": "VALIDATION_ERROR MISSING_BOOKING_ID EXAM_NOT_ACTIVE EXAM_FULL EXAM_MISMATCH "
    "DUPLICATE_BOOKING INSUFFICIENT_CREDITS EMAIL_MISMATCH TOO_MANY_EXAMS MALFORMED_JSON "
    "MALFORMED_EVENTS",
    "401": "AUTH_FAILED INVALID_SIGNATURE",
    "403": "ACCESS_DENIED",
    "404": "STUDENT_NOT_FOUND CONTACT_NOT_FOUND EXAM_NOT_FOUND BOOKING_NOT_FOUND NOT_FOUND",
    "405": "METHOD_NOT_ALLOWED",
    "406": "NOT_ACCEPTABLE",
    "408": "REQUEST_TIMEOUT",
    "409": "ALREADY_CANCELED REQUEST_IN_PROGRESS",
    "411": "LENGTH_REQUIRED",
    "413": "PAYLOAD_TOO_LARGE",
    "415": "UNSUPPORTED_MEDIA_TYPE",
    "422": "IDEMPOTENCY_KEY_REUSED",
    "429": "THROTTLED",
    "500": "INTERNAL_ERROR",
    "503": "HUBSPOT_UNAVAILABLE RATE_LIMITED",
}
STUDENTS = {
    "listBookings": "GET /api/bookings/list",
    "createBooking": "POST /api/bookings/create",
    "getBooking": "GET /api/bookings/{booking_id}",
    "updateBooking": "PATCH /api/bookings/{booking_id}",
    "cancelBooking": "DELETE /api/bookings/{booking_id}",
    "listAvailableExams": "GET /api/mock-exams/available",
    "validateCredits": "POST /api/mock-exams/validate-credits",
}
STAFF = {
    "getCacheStats": "GET /api/admin/cache/stats",
    "invalidateCache": "POST /api/admin/cache/invalidate",
    "validateCache": "POST /api/admin/cache/validate",
}
CRON = {
    "syncCapacity": "POST /api/mock-exams/sync-capacity",
    "cronSyncCapacity": "GET /api/cron/sync-capacity",
    "cronSyncCapacityByPost": "POST /api/cron/sync-capacity",
    "cronValidateCache": "GET /api/cron/validate-cache-consistency",
    "cronValidateCacheByPost": "POST /api/cron/validate-cache-consistency",
}
ANYBODY = {
    "receiveBookingSync": "POST /api/webhooks/booking-sync",
    "receiveCacheInvalidation": "POST /api/webhooks/cache-invalidation",
    "getHealth": "GET /api/health",
    "getReadiness": "GET /api/ready",
}


@pytest.fixture
def schema(api: Api) -> Any:
    return fetch_schema(api)


def operations(schema: Any) -> dict[str, Any]:
    """Every operation by its id, with its address in `at`."""
    return {
        operation["operationId"]: operation | {"at": f"{method.upper()} {path}"}
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
    }


def answers(schema: Any) -> Iterator[tuple[str, str, Any]]:
    for name, operation in operations(schema).items():
        for status, answered in operation["responses"].items():
            yield name, status, answered


def properties_of(schema: Any, content: Any) -> Any:
    """The properties of what an answer's content refers to."""
    name = content["schema"]["$ref"].rpartition("/")[2]
    return schema["components"]["schemas"][name]["properties"]


def misfits(components: Any, described: Any, value: Any) -> list[str]:
    strict = {**as_json_schema(described), "components": components}
    validator = Draft202012Validator(strict, format_checker=Draft202012Validator.FORMAT_CHECKER)
    return [f"{error.json_path} {error.message}" for error in validator.iter_errors(value)]


@pytest.mark.sampled
def test_every_example_fits_where_it_stands(
    school: School, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SchemaView, "_made", {})  # made for the other portal, maybe
    schema = fetch_schema(school.api)
    validate_schema(schema)  # type: ignore[no-untyped-call]  # it has no types

    components = as_json_schema({"schemas": schema["components"]["schemas"]})
    seen = 0
    for where, described, examples in exemplified(schema):
        assert examples != [], where
        for example in examples:
            assert misfits(components, described, example) == [], where
            seen += 1
    assert seen > 200


def exemplified(schema: Any) -> Iterator[tuple[str, Any, list[Any]]]:
    """Every body, answer and parameter that has to have examples: where, its schema, they."""
    for name, operation in operations(schema).items():
        contents = [(name, operation.get("requestBody", {}))]
        contents += [(f"{name} {code}", one) for code, one in operation["responses"].items()]
        for where, content in contents:
            for media in content.get("content", {}).values():
                yield where, media["schema"], [one["value"] for one in media["examples"].values()]
        for parameter in operation.get("parameters", []):
            if parameter.get("required") or "example" in parameter:
                where = f"{name} {parameter['name']}"
                yield where, parameter["schema"], [parameter["example"]]


def test_every_error_lists_exactly_its_codes_with_an_example_of_each(schema: Any) -> None:
    listed: dict[str, set[str]] = {}
    for name, status, answered in answers(schema):
        if not status.startswith(("4", "5")):
            continue
        content = answered["content"][JSON]
        codes = properties_of(schema, content)["code"]["enum"]
        listed.setdefault(status, set()).update(codes)
        examples = {code: one["value"] for code, one in content["examples"].items()}
        assert {code: one["code"] for code, one in examples.items()} == {
            code: code for code in codes
        }
        assert not {one["error"] for one in examples.values()} & {"", *codes}, (name, status)

    assert listed == {status: set(codes.split()) for status, codes in CODES.items()}


def test_operations_have_names_that_read_and_students_come_first(schema: Any) -> None:
    found = {name: operation["at"] for name, operation in operations(schema).items()}

    assert found == {**STUDENTS, **STAFF, **CRON, **ANYBODY}
    assert set(list(found)[: len(STUDENTS)]) == set(STUDENTS)
    tags = [tag["name"] for tag in schema["tags"]]
    assert tags[:2] == ["Bookings", "Mock exams"]
    assert {tag for one in operations(schema).values() for tag in one["tags"]} == set(tags)


def test_who_may_ask_is_told(schema: Any) -> None:
    schemes = schema["components"]["securitySchemes"]
    assert {name: scheme["type"] for name, scheme in schemes.items()} == {
        "cronSecret": "http",
        "tokenAuth": "apiKey",
        "cookieAuth": "apiKey",
    }
    assert all(scheme["description"] for scheme in schemes.values())
    for name, operation in operations(schema).items():
        allowed = {scheme for one in operation.get("security", []) for scheme in one}
        staff = {"tokenAuth", "cookieAuth"} if name in {**STAFF, **CRON} else set()
        assert allowed == staff | ({"cronSecret"} if name in CRON else set()), name


def descriptions(node: Any) -> Iterator[str]:
    if isinstance(node, list):
        for inner in node:
            yield from descriptions(inner)
    elif isinstance(node, dict):
        if isinstance(node.get("description"), str):
            yield node["description"]
        for name, inner in node.items():
            if name not in {"examples", "example"}:
                yield from descriptions(inner)


def own_docstrings() -> set[str]:
    """What is written for engineers, class by class and function by function."""
    modules = pkgutil.walk_packages(booking_api.api.__path__, "booking_api.api.")
    things = [thing for row in modules for thing in vars(import_module(row.name)).values()]
    members = [thing for one in things if inspect.isclass(one) for thing in vars(one).values()]
    return {
        inspect.getdoc(thing) or ""
        for thing in (*things, *members)
        if str(getattr(thing, "__module__", "")).startswith("booking_api.api")
    } - {""}


def test_everything_is_described_for_people(schema: Any) -> None:
    texts = set(descriptions(schema))

    assert texts & own_docstrings() == set()
    assert [text for text in texts if ".py" in text or text.strip() == ""] == []
    for name, operation in operations(schema).items():
        assert operation["summary"], name
        assert operation["description"], name
        assert all(parameter["description"] for parameter in operation.get("parameters", []))
    undescribed = [
        name for name, one in schema["components"]["schemas"].items() if not one["description"]
    ]
    assert undescribed == []


def test_headers_are_described(schema: Any) -> None:
    for name, status, answered in answers(schema):
        assert "X-Request-ID" in answered["headers"], (name, status)
        assert ("Retry-After" in answered["headers"]) is (status in {"409", "429", "503"})
    tagged = {
        (name, status)
        for name, status, answered in answers(schema)
        if "ETag" in answered["headers"]
    }
    assert tagged == {("listAvailableExams", "200"), ("listAvailableExams", "304")}
    assert schema["components"]["headers"].keys() == {
        "X-Request-ID",
        "Server-Timing",
        "ETag",
        "Retry-After",
    }
    sent = {
        name: {one["name"] for one in operation["parameters"] if one["in"] == "header"}
        for name, operation in operations(schema).items()
        if "parameters" in operation
    }
    signed = {
        "X-HubSpot-Signature-v3",
        "X-HubSpot-Request-Timestamp",
        "X-HubSpot-Signature",
        "X-HubSpot-Signature-Version",
    }
    assert {name: headers for name, headers in sent.items() if headers} == {
        "createBooking": {"Idempotency-Key"},
        "listAvailableExams": {"If-None-Match"},
        "receiveBookingSync": signed,
        "receiveCacheInvalidation": signed,
    }


def test_who_holds_the_available_exams_may_be_answered_without_a_body(schema: Any) -> None:
    answered = operations(schema)["listAvailableExams"]["responses"]

    assert "content" not in answered["304"]
    assert answered["304"]["description"]


def test_who_cancels_may_be_in_the_body_or_in_the_query(schema: Any) -> None:
    cancel = operations(schema)["cancelBooking"]
    body = cancel["requestBody"]["content"][JSON]["schema"]
    asked = schema["components"]["schemas"][body["$ref"].rpartition("/")[2]]
    query = {one["name"]: one for one in cancel["parameters"] if one["in"] == "query"}

    assert cancel["requestBody"]["required"] is False
    assert set(asked["properties"]) == set(query) == {"student_id", "email", "reason"}
    assert asked.get("required", []) == []
    assert not any("required" in one for one in query.values())
