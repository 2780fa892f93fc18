"""Every text that may be sent has a length, in the schema and at the door."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from django.contrib.auth.models import User
from pytest_django import Settings

from booking_api.api.serializers import MAX_BOOKING_ID_CHARS, MAX_PROPERTY_CHARS
from tests.api import Api
from tests.desk import CREATE

PAIR = {"student_id": "A1", "email": "a@b.org"}
BODY = {
    **PAIR,
    "contact_id": "1",
    "mock_exam_id": "2",
    "name": "Alice",
    "exam_date": "2030-01-01",
    "mock_type": "clinical",
}
BOUNDED = {"maxLength", "enum", "format"}
LONG = "A" * 100_000
COMPARED = "If-None-Match"
"""HTTP's own header: as much of it is taken as of any, and nothing is kept."""

pytestmark = pytest.mark.django_db


def sent_values(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Everything that callers send, by where; HubSpot's own events are bounded by their bytes."""
    for path, operations in schema["paths"].items():
        if path.startswith("/api/webhooks/"):
            continue
        for method, operation in operations.items():
            for parameter in operation.get("parameters", []):
                if parameter["name"] == COMPARED:
                    continue
                where = f"{method} {path} {parameter['name']}"
                yield from parts_of(schema, parameter["schema"], where)
            for content in operation.get("requestBody", {}).get("content", {}).values():
                yield from parts_of(schema, content["schema"], f"{method} {path}")


def parts_of(
    schema: dict[str, Any], value: dict[str, Any], where: str
) -> Iterator[tuple[str, dict[str, Any]]]:
    while "$ref" in value:
        value = schema["components"]["schemas"][value["$ref"].rpartition("/")[2]]
    yield where, value
    for name, inner in value.get("properties", {}).items():
        yield from parts_of(schema, inner, f"{where} {name}")
    if "items" in value:
        yield from parts_of(schema, value["items"], f"{where}[]")
    for combined in ("allOf", "anyOf", "oneOf"):
        for inner in value.get(combined, []):
            yield from parts_of(schema, inner, where)


def test_the_schema_bounds_every_text_and_every_list(api: Api) -> None:
    reply = api.get("/api/schema", headers={"Accept": "application/vnd.oai.openapi+json"})

    sent = list(sent_values(orjson.loads(reply.body)))

    texts = [(where, value) for where, value in sent if value.get("type") == "string"]
    ids = "^[0-9]{1,20}$"
    unbounded = [w for w, v in texts if not BOUNDED & v.keys() and v.get("pattern") != ids]
    unbounded += [w for w, v in sent if v.get("type") == "array" and "maxItems" not in v]
    assert len(texts) > 20
    assert unbounded == []


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    "field", ["student_id", "email", "contact_id", "mock_exam_id", "name", "exam_date", "mock_type"]
)
def test_a_text_longer_than_any_is_refused_by_its_name(field: str, api: Api) -> None:
    reply = api.post(CREATE, **(BODY | {field: LONG}))

    assert (reply.status, reply.code) == (400, "VALIDATION_ERROR")
    assert field in reply.body["error"]
    assert len(reply.body["error"]) < 500


@pytest.mark.parametrize(
    ("method", "extra"), [("PATCH", {"attending_location": LONG}), ("DELETE", {"reason": LONG})]
)
def test_what_a_booking_is_changed_to_has_a_length(
    method: str, extra: dict[str, str], api: Api
) -> None:
    reply = api.send(method, "/api/bookings/77", body=orjson.dumps(PAIR | extra))

    assert (reply.status, reply.code) == (400, "VALIDATION_ERROR")
    assert next(iter(extra)) in reply.body["error"]
    assert len(LONG) > MAX_PROPERTY_CHARS


def test_a_booking_id_has_a_length(api: Api) -> None:
    reply = api.get(f"/api/bookings/{'x' * (MAX_BOOKING_ID_CHARS + 1)}", **PAIR)

    assert (reply.status, reply.code) == (400, "VALIDATION_ERROR")
    assert "booking_id" in reply.body["error"]


def test_too_many_exams_are_told_so_before_any_is_looked_at(api: Api, settings: Settings) -> None:
    settings.CRON_SECRET = "a-scheduler's-own-secret"
    bearer = {"Authorization": f"Bearer {settings.CRON_SECRET}"}
    body = orjson.dumps({"mock_exam_ids": ["no id"] * 101})

    reply = api.send("POST", "/api/mock-exams/sync-capacity", body=body, headers=bearer)

    assert (reply.status, reply.code) == (400, "TOO_MANY_EXAMS")


def test_the_forms_of_the_cache_page_have_lengths(api: Api) -> None:
    api.client.force_login(User.objects.create_superuser("root"))
    page = "/admin/cache/cachepage/"

    for form, fields in (
        ("look-up", {"key": "x" * 2_001}),
        ("invalidate", {"scope": "keys", "named": "x" * 100_001}),
        ("invalidate", {"scope": "all", "reason": "x" * 201}),
    ):
        said = api.client.post(f"{page}{form}/", fields).content.decode()
        assert "Ensure this value has at most" in said
