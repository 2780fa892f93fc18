"""Whatever is sent to the addresses of the schema, the API keeps its own contract."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pytest_django import Settings

from booking_api.api.errors import STATUS_OF_CODE
from tests.api import Api
from tests.builders import Portal

DOCUMENTED = (
    ("GET", "/api/bookings/list"),
    ("GET", "/api/bookings/{booking_id}"),
    ("GET", "/api/mock-exams/available"),
    ("POST", "/api/mock-exams/validate-credits"),
    ("GET", "/api/health"),
)
FEW = settings(
    max_examples=25,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(autouse=True)
def unthrottled(settings: Settings) -> None:
    settings.THROTTLE_RATES = {"reads": None, "failed_pairs": None}


def schema_of(api: Api) -> Any:
    reply = api.get("/api/schema", headers={"Accept": "application/vnd.oai.openapi+json"})
    return schemathesis.openapi.from_dict(orjson.loads(reply.body))


@pytest.mark.parametrize(("method", "path"), DOCUMENTED)
def test_no_request_the_schema_can_think_of_breaks_the_envelope(
    method: str, path: str, api: Api, portal: Portal
) -> None:
    alice = portal.student("alice")
    operation = schema_of(api)[path][method]

    @FEW
    @given(case=operation.as_strategy(), as_alice=st.booleans())
    def keeps_the_envelope(case: Any, as_alice: bool) -> None:
        sent = case.as_transport_kwargs(base_url="http://testserver")
        query = dict(sent.get("params") or {}) | (alice.pair if as_alice else {})
        body = sent.get("json", sent.get("data"))
        target = sent["url"].removeprefix("http://testserver")
        reply = api.send(method, target, query=query, body=orjson_or_nothing(body))

        assert reply.status < 500, (target, query, body)
        assert reply.body["success"] is (reply.status == 200)
        if reply.status != 200:
            assert STATUS_OF_CODE[reply.code] == reply.status

    keeps_the_envelope()


def orjson_or_nothing(body: Any) -> bytes:
    """What cannot be written as JSON (half a Unicode pair) is sent as nothing."""
    try:
        return orjson.dumps(body)
    except TypeError:
        return b""
