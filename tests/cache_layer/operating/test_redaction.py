"""What people are told of keys and values."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec
import pytest

from cache_layer.operating.redaction import describe_difference, format_value, mask_emails


@dataclass(frozen=True)
class Exam:
    location: str
    seats: int
    open: bool = True
    read_at: str = field(default="", compare=False)


class Room(msgspec.Struct, frozen=True):
    name: str
    exam: Exam


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("contact:ada@example.org:details", "contact:…@…:details"),
        (
            "contact:a%2Bb@x.org:details, contact:7/bookings",
            "contact:…@…:details, contact:7/bookings",
        ),
        ("mockexam:9:details", "mockexam:9:details"),
        ("@", "…@…"),
    ],
)
def test_an_email_in_a_key_is_not_shown(text: str, shown: str) -> None:
    assert mask_emails(text) == shown


def test_a_long_text_without_an_e_mail_is_shown_as_it_is() -> None:
    text = "x" * 500_000

    assert mask_emails(text) == text


@pytest.mark.parametrize(
    ("held", "fresh", "words"),
    [
        (Exam("Calgary", 3), Exam("Calgary", 4), "seats 3 → 4"),
        (Exam("Calgary", 3), Exam("Toronto", 3, open=False), "location, open True → False"),
        (Exam("Calgary", 3, read_at="1"), Exam("Calgary", 3, read_at="2"), ""),
        (Room("A", Exam("York", 3)), Room("A", Exam("York", 4)), "exam.seats 3 → 4"),
        ({"a": {"b": None}}, {"a": {"b": 2}}, "a.b None → 2"),
        (("1", "2"), ("1", "2", "3"), "value 2 → 3 items"),
        (b'{"rows": [{"n": 1}]}', b'{"rows": [{"n": 2}]}', "rows[0].n 1 → 2"),
        (b"\xff", b"\xfe", "value"),
        ("ada@example.org", "bob@example.org", "value"),
        ({"ada@example.org": 1}, {}, "…@… 1 → None"),
        (dict.fromkeys("abcdefg", 0), dict.fromkeys("abcdefg", "x"), "a, b, c, d, e and 2 more"),
    ],
)
def test_a_difference_is_told_in_a_few_words_without_whole_values(
    held: object, fresh: object, words: str
) -> None:
    assert describe_difference(held, fresh) == words


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Exam("Calgary", 3), '"location": "Calgary"'),
        (b'{"name": "Zo\xc3\xab"}', '"name": "Zoë"'),
        (b"\xff\xfe", "xff"),
        (("7", "8"), '"8"'),
        ({("a", "b"): 1}, "('a', 'b')"),
    ],
)
def test_a_value_is_shown_as_something_to_read(value: object, text: str) -> None:
    assert text in format_value(value)
