"""A 200 that says nothing is no answer: asked again like a 502, then an error, never "nothing"."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
import responses
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hubspot_sync.config import HubSpotConfig
from hubspot_sync.errors import HubSpotError, Unavailable
from hubspot_sync.wire.endpoints import ENDPOINTS, Effect, Operation
from hubspot_sync.wire.transport import Request
from tests.hubspot_sync.clients import BOOKINGS, CONTACTS, asking, client_of

HUBSPOT = "https://api.hubapi.com"
VERSION = HubSpotConfig().api_version
READS = [name for name, endpoint in ENDPOINTS.items() if endpoint.effect is Effect.READ]
WRITES = [name for name in ENDPOINTS if name not in READS]
WITHOUT_RESULTS = {Operation.TOKEN_INFO, Operation.PROPERTY_READ, Operation.READ}
NO_ANSWERS = [
    b"",
    b" ",
    b"{",
    b"<html>Bad gateway</html>",
    b"null",
    b"[]",
    b'"results"',
    b"{}",
    b"[" * 100_000,
]
NO_RESULTS: list[Any] = [None, "none", {}, {"0": {}}, 3, True]
WHOLE: dict[str, Any] = {
    "results": [],
    "total": 0,
    "appId": 1,
    "id": "1",
    "name": "x",
    "properties": {},
}


def request_of(operation: Operation) -> Request:
    to_type = BOOKINGS if "{to}" in ENDPOINTS[operation].dated else ""
    return Request(operation=operation, object_type=CONTACTS, to_type=to_type, body={"inputs": []})


def answer_in_turn(wire: responses.RequestsMock, operation: Operation, *bodies: bytes) -> None:
    endpoint, request = ENDPOINTS[operation], request_of(operation)
    address = HUBSPOT + endpoint.path(VERSION, request.object_type, request.to_type)
    for body in bodies:
        wire.add(endpoint.method, address, body=body)


def failure(operation: Operation, *bodies: bytes) -> HubSpotError:
    """What a call ends with that is made as often as there are bodies."""
    with responses.RequestsMock() as wire, client_of(HUBSPOT, max_attempts=len(bodies)) as client:
        answer_in_turn(wire, operation, *bodies)
        with pytest.raises(HubSpotError) as raised:
            client.transport.call(request_of(operation), asking())
    return raised.value


@pytest.mark.parametrize("operation", READS)
def test_a_read_that_was_not_answered_is_asked_again(operation: Operation) -> None:
    with responses.RequestsMock() as wire, client_of(HUBSPOT) as client:
        answer_in_turn(wire, operation, b"", orjson.dumps(WHOLE))
        answer = client.transport.call(request_of(operation), asking())

    assert answer.body == WHOLE


def test_what_is_never_answered_is_an_error_after_the_last_attempt() -> None:
    raised = failure(Operation.BATCH_READ, b"", b'{"results": null}')

    assert isinstance(raised, Unavailable)
    assert raised.status == 200
    assert not raised.may_have_taken_effect


@pytest.mark.parametrize("operation", READS)
@pytest.mark.parametrize("nothing", [pytest.param(body, id=str(body[:12])) for body in NO_ANSWERS])
def test_nothing_at_all_is_no_answer_to_a_read(operation: Operation, nothing: bytes) -> None:
    assert isinstance(failure(operation, nothing), Unavailable)


@pytest.mark.parametrize("operation", [name for name in READS if name not in WITHOUT_RESULTS])
@pytest.mark.parametrize("results", NO_RESULTS, ids=str)
def test_results_that_are_no_list_are_no_answer(operation: Operation, results: object) -> None:
    nothing = orjson.dumps(WHOLE | {"results": results})

    assert isinstance(failure(operation, nothing), Unavailable)


@pytest.mark.parametrize("operation", WRITES)
@pytest.mark.parametrize("nothing", [b"{", b"[]", b"<html>"])
def test_a_write_whose_answer_is_garbled_is_not_sent_again(
    operation: Operation, nothing: bytes
) -> None:
    with responses.RequestsMock() as wire, client_of(HUBSPOT) as client:
        answer_in_turn(wire, operation, nothing)
        with pytest.raises(Unavailable) as raised:
            client.transport.call(request_of(operation), asking())

    assert raised.value.may_have_taken_effect


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(list(ENDPOINTS)),
    st.sampled_from([200, 201, 204, 207, 400, 404, 409, 429, 500, 520, 600]),
    st.binary(max_size=60)
    | st.sampled_from([b'{"results":[', b'{"results":[]', b'{"results":[{"id":"\\ud83d"}]}']),
    st.sampled_from(["", "inf", "-1", "1e9", "nan", "1_000", "Wed, 25 Nov 2026 21:00:00 GMT"]),
)
@example(Operation.SEARCH, 200, b'{"results":[],"total":true}', "999999999")
def test_no_bytes_whatever_raise_anything_but_our_errors(
    operation: Operation, status: int, body: bytes, retry_after: str
) -> None:
    endpoint, request = ENDPOINTS[operation], request_of(operation)
    address = HUBSPOT + endpoint.path(VERSION, request.object_type, request.to_type)
    headers = {"Retry-After": retry_after}
    with responses.RequestsMock() as wire, client_of(HUBSPOT, max_attempts=1) as client:
        wire.add(endpoint.method, address, body=body, status=status, headers=headers)
        wait_s: float | None = None
        try:
            client.transport.call(request, asking())
        except HubSpotError as error:
            wait_s = error.retry_after_s

    assert wait_s is None or 0 <= wait_s <= 90_000
