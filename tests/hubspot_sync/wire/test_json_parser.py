"""JSON as HubSpot may send it: one odd value costs itself, and nothing comes out unstorable."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hubspot_sync.wire.json_parser import InvalidJson, TooDeeplyNested, parse_json
from hubspot_sync.wire.storable_text import is_storable, make_json_storable, make_storable

ANY_TEXT = st.text(st.characters(exclude_categories=()))
JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ANY_TEXT, inner, max_size=4),
    max_leaves=12,
)


def texts_in(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for pair in value.items() for part in pair for text in texts_in(part)]
    if isinstance(value, list):
        return [text for item in value for text in texts_in(item)]
    return []


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (rb'{"a": "Cut\ud83d", "b": "whole"}', {"a": "Cut\ufffd", "b": "whole"}),
        (rb'{"a": "\ude00 half"}', {"a": "\ufffd half"}),
        (rb'{"a": "\ud83d\ude00"}', {"a": "\U0001f600"}),
        (rb'{"a": "x\u0000y"}', {"a": "x\ufffdy"}),
        (rb'{"a\u0000": ["\u0000"]}', {"a\ufffd": ["\ufffd"]}),
        (rb'{"a": "\\u0000"}', {"a": r"\u0000"}),
        (b'{"a": "x\x00y"}', {"a": "x\ufffdy"}),
        (b'{"a": "two\nlines"}', {"a": "two\nlines"}),
        (b'{"a": "\xff\xfe"}', {"a": "\ufffd\ufffd"}),
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        (b'{"a": 1e999, "b": "\\ud83d", "c": 1.5}', {"a": "1e999", "b": "\ufffd", "c": 1.5}),
        (b"[" + b"9" * 5_000 + b"]", ["9" * 5_000]),
        ('["\u200fright to left"]'.encode(), ["\u200fright to left"]),
    ],
)
def test_one_odd_value_costs_itself_alone(content: bytes, value: object) -> None:
    assert parse_json(content) == value


@pytest.mark.parametrize(
    "content", [b"", b" ", b"<html>", b"{", b"[1,]", b"NaN", b'{"a": Infinity}', b"-Infinity"]
)
def test_what_is_no_json_is_refused(content: bytes) -> None:
    with pytest.raises(InvalidJson) as refused:
        parse_json(content)

    assert not isinstance(refused.value, TooDeeplyNested)


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"\\ud83d":'])
def test_nesting_without_end_is_an_error_of_its_own(opening: bytes) -> None:
    with pytest.raises(TooDeeplyNested):
        parse_json(opening * 100_000)


@given(st.binary(max_size=200))
@example(b'"\xed\xa0\xbd"')
def test_no_bytes_raise_anything_else(content: bytes) -> None:
    try:
        value = parse_json(content)
    except InvalidJson:
        return

    assert all(is_storable(text) for text in texts_in(value))


@given(JSON_VALUES)
def test_all_that_python_writes_is_read_and_can_be_stored(value: object) -> None:
    read = parse_json(json.dumps(value).encode())

    assert all(is_storable(text) for text in texts_in(read))


@given(ANY_TEXT)
def test_storable_text_encodes_and_what_was_storable_is_left_alone(text: str) -> None:
    storable = make_storable(text)

    assert is_storable(storable)
    assert len(storable) == len(text)
    storable.encode()
    assert (storable == text) == is_storable(text)


def test_the_keys_of_objects_are_made_storable_too() -> None:
    assert make_json_storable({"\ud83d": [{"\x00": "a\x00"}], "n": 1}) == {
        "\ufffd": [{"\ufffd": "a\ufffd"}],
        "n": 1,
    }
