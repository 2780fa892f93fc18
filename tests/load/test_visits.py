"""What the memory scenario counts as served was served; it ends where nothing can be."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from tests.load.traffic import Person
from tests.load.visits import LIST, Order, Visitors

PERSON = Person(
    id="101", student_id="S1", email="s1@example.com", name="Student", address="10.0.0.1"
)
ORDER = Order(people=[PERSON], mock_types=["Clinical Skills"], first=10, every=20)


def answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Answer as a server's application may: with what went wrong, or None, as a third argument."""
    served = environ["PATH_INFO"] == LIST
    start_response("200 OK" if served else "503 Service Unavailable", [], None)
    return [b"{}"]


def refuse_to_answer(_: dict[str, Any], __: Any) -> Iterable[bytes]:
    raise TypeError("not so")


def test_only_answers_of_200_are_served() -> None:
    # A visit asks for the list three times, and twice for exams; each thread begins with the list.
    served = Visitors(answer, ORDER).make(1_000)

    assert 550 <= served <= 650


def test_an_application_that_fails_ends_the_visits() -> None:
    with pytest.raises(TypeError, match="not so"):
        Visitors(refuse_to_answer, ORDER).make(10)
