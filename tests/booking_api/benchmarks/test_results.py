"""The record: what is written is read again, and what is of another form is refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import msgspec
import orjson
import pytest

from booking_api.benchmarks.record.results import (
    RESULTS,
    BadRecord,
    Record,
    describe_run,
    encode,
    read_record,
    write_record,
)
from tests.booking_api.benchmarks.records import LIST, RUN, WHOLE


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "bench" / "results.json"

    write_record(WHOLE, path)

    assert read_record(path) == WHOLE


def test_figures_have_four_digits() -> None:
    odd = dataclasses.replace(WHOLE.operations[0], p50_ms=1234.5678, own_ms=0.000123456)

    written = orjson.loads(encode(dataclasses.replace(WHOLE, operations=(odd,))))

    assert (written["operations"][0]["p50_ms"], written["operations"][0]["own_ms"]) == (
        1235.0,
        0.0001235,
    )


def without(name: str) -> dict[str, Any]:
    whole: dict[str, Any] = orjson.loads(encode(WHOLE))
    return {key: value for key, value in whole.items() if key != name}


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        orjson.dumps(without("") | {"schema": 2}),
        orjson.dumps(without("") | {"schema": "1"}),
        orjson.dumps(without("operations")),
        orjson.dumps(without("") | {"operations": [{"operation": LIST}]}),
        orjson.dumps(without("") | {"run": {"date": "2026-11-26"}}),
    ],
)
def test_another_form_is_refused_and_says_what_to_do(text: bytes, tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_bytes(text)

    with pytest.raises(BadRecord, match="make bench"):
        read_record(path)


def test_no_record_is_told_with_what_makes_one(tmp_path: Path) -> None:
    with pytest.raises(BadRecord, match="make bench"):
        read_record(tmp_path / "results.json")


def test_a_run_is_described_without_names_and_paths() -> None:
    run = describe_run(latency_ms=100, quick=False)

    assert {each.name for each in dataclasses.fields(run)} == {
        *("date", "commit", "python", "cores", "latency_ms", "quick")
    }
    assert "/" not in encode(dataclasses.replace(WHOLE, run=run)).decode()


def test_an_unknown_operation_or_system_has_no_cost() -> None:
    assert WHOLE.cost(LIST, "feed") is not None
    assert WHOLE.cost(LIST.upper(), "feed") is None
    assert WHOLE.cost("list, 500 bookings", "feed") is None
    assert WHOLE.row("hour", "hit rate") is not None
    assert WHOLE.row("feed", "hit rate") is None


def test_the_form_can_be_told_to_programs() -> None:
    schema = msgspec.json.schema(Record)

    assert schema["$defs"]["Record"]["properties"]["schema"]["enum"] == [1]


def test_the_record_that_is_kept_is_of_a_whole_run() -> None:
    kept = read_record(RESULTS)

    assert not kept.run.quick
    names = [(row.part, row.name) for row in kept.rows]
    assert len(names) == len(set(names)), "a name stands for two figures"
    assert RUN.latency_ms == kept.run.latency_ms
