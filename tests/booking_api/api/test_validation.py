"""Checked questions are remembered, and what anybody may send is remembered in bounds."""

from __future__ import annotations

import tracemalloc

from booking_api.api.serializers import BookingListQuery
from booking_api.api.validation import validate_query

PAIR = {"student_id": "S1001", "email": "alice@example.org"}


def test_of_a_long_question_nothing_is_kept() -> None:
    long = "x" * 20_000
    questions = [
        *({**PAIR, "email": f"a{number}@example.org", "junk": long} for number in range(100)),
        *({**PAIR, "student_id": f"S{number}", long[number:]: ""} for number in range(100)),
        *({**PAIR, "page": f"{'0' * (900 - number)}1"} for number in range(100)),
    ]
    tracemalloc.start()
    try:
        for question in questions:
            # A copy of each text, as a request has.
            copy = {(name + "!")[:-1]: (text + "!")[:-1] for name, text in question.items()}
            assert validate_query(BookingListQuery, copy)["limit"] == 20
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert kept < len(questions) * 3_000


def test_what_is_no_field_makes_no_other_question() -> None:
    plain = validate_query(BookingListQuery, PAIR)

    assert validate_query(BookingListQuery, {**PAIR, "utm_source": "mail"}) is plain
