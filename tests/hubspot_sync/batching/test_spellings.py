"""Contacts read by e-mails that HubSpot may hold in either of two spellings."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
import responses

from hubspot_sync.batching.outcomes import Many
from hubspot_sync.batching.raw_records import RawRecord
from tests.hubspot_sync.clients import CONTACTS, asking, client_of
from tests.sandbox import SandboxHandle

HUBSPOT = "https://api.hubapi.com"
READ = f"{HUBSPOT}/crm/objects/2026-09/0-1/batch/read"
UNICODE, ASCII = "müller@bücher.example", "müller@xn--bcher-kva.example"


def read_by_email(base_url: str, *emails: str) -> Many[RawRecord]:
    with client_of(base_url) as client:
        return client.batch.read(
            CONTACTS, emails, properties=[], id_property="email", context=asking()
        )


def member(category: str, *emails: str) -> dict[str, Any]:
    return {"category": category, "message": "…", "context": {"ids": list(emails)}}


def record(record_id: str, email: str) -> dict[str, Any]:
    return {"id": record_id, "properties": {"email": email}}


NOT_FOUND, NEW_THING = "OBJECT_NOT_FOUND", "NEW_THING"


@pytest.mark.parametrize(
    ("results", "errors", "part"),
    [
        ([record("1", UNICODE)], [member(NOT_FOUND, ASCII)], "found"),
        ([record("1", ASCII)], [member(NOT_FOUND, UNICODE)], "found"),
        ([record("1", ASCII)], [], "found"),
        ([record("1", ASCII), record("1", ASCII)], [], "found"),
        ([record("9", ASCII), record("1", UNICODE)], [], "found"),
        ([record("1", UNICODE)], [member(NEW_THING, ASCII)], "found"),
        ([], [member(NOT_FOUND, ASCII, UNICODE)], "missing"),
        ([], [member(NOT_FOUND, ASCII), member(NOT_FOUND, UNICODE.upper())], "missing"),
        ([record("1", "main@x.org")], [], "missing"),
        ([], [member(NOT_FOUND, ASCII), member(NEW_THING, UNICODE)], "unknown"),
        ([], [member(NOT_FOUND, ASCII)], "unknown"),
    ],
)
@responses.activate
def test_an_email_is_in_one_part_whatever_becomes_of_its_spellings(
    results: list[Any], errors: list[Any], part: str
) -> None:
    responses.post(READ, json={"results": results, "errors": errors}, status=207)

    read = read_by_email(HUBSPOT, UNICODE)

    parts = {"found": read.found, "missing": read.missing, "unknown": read.unknown}
    assert {name for name, keys in parts.items() if ASCII in keys} == {part}
    assert part != "found" or read.found[ASCII].id == "1"
    asked = orjson.loads(responses.calls[0].request.body)["inputs"]
    assert [one["id"] for one in asked] == [ASCII, UNICODE]
    assert len(responses.calls) == 1


def test_so_many_spellings_that_they_need_calls_of_their_own_are_all_read(
    kind_sandbox: SandboxHandle,
) -> None:
    emails = [f"s{n}@{'bücher' if n % 2 else 'xn--bcher-kva'}.example" for n in range(75)]
    kind_sandbox.bulk(
        {"type": CONTACTS, "id": str(1001 + n), "properties": {"email": email}}
        for n, email in enumerate(emails)
    )
    kind_sandbox.clear_calls()

    read = read_by_email(kind_sandbox.base_url, *emails, "nobody@bücher.example")

    assert {email: one.id for email, one in read.found.items()} == {
        f"s{n}@xn--bcher-kva.example": str(1001 + n) for n in range(75)
    }
    assert read.missing == {"nobody@xn--bcher-kva.example"}
    assert sorted(call["inputs"] for call in kind_sandbox.calls()) == [52, 100]


@responses.activate
def test_other_unique_values_are_told_apart_by_their_case() -> None:
    json = {"results": [], "errors": [member(NOT_FOUND, "KEY")]}
    responses.post(READ, json=json, status=207)
    with client_of(HUBSPOT) as client:
        read = client.batch.read(
            CONTACTS, ["KEY", "key"], properties=[], id_property="own_key", context=asking()
        )

    assert (read.missing, read.unknown.keys()) == ({"KEY"}, {"key"})
