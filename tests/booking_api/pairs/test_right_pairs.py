"""What is kept of pairs that were right."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from django.db import OperationalError
from django.db.models import QuerySet

from booking_api.pairs.digests import Digests
from booking_api.pairs.right_pairs import RightPairs
from booking_api.rules.students import StudentPair

ADDRESS = "203.0.113.7"
ALICE = StudentPair(student_id="S1001", email="alice@example.org")
BEN = StudentPair(student_id="S1002", email="ben@example.org")

pytestmark = pytest.mark.django_db


def a_process() -> RightPairs:
    return RightPairs(Digests("a secret"), lambda: datetime(2027, 1, 20, 12, 0, tzinfo=UTC))


def away(*_: object, **__: object) -> None:
    raise OperationalError("the connection was cut")


def write_in_vain(pairs: RightPairs, statement: str, patch: pytest.MonkeyPatch) -> None:
    with patch.context() as patched:
        patched.setattr(QuerySet, statement, away)
        with pytest.raises(OperationalError):
            pairs.write_noted()


@pytest.mark.parametrize("statement", ["delete", "count", "bulk_create"])
def test_what_could_not_be_written_is_written_later(
    statement: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = a_process()
    pairs.note(ADDRESS, BEN)
    pairs.write_noted()
    pairs.forget(ADDRESS, BEN)
    pairs.note(ADDRESS, ALICE)
    write_in_vain(pairs, statement, monkeypatch)

    pairs.write_noted()

    assert a_process().was_right(ADDRESS, ALICE)
    assert not a_process().was_right(ADDRESS, BEN)


Meanwhile = Callable[[RightPairs], object]


@pytest.mark.parametrize(
    ("meanwhile", "is_right"),
    [
        (lambda pairs: pairs.forget(ADDRESS, ALICE), False),
        (lambda pairs: (pairs.forget(ADDRESS, ALICE), pairs.note(ADDRESS, ALICE)), True),
    ],
    ids=["forgotten", "forgotten and right again"],
)
def test_what_is_learnt_while_it_cannot_be_written_is_the_later_word(
    meanwhile: Meanwhile, is_right: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = a_process()
    pairs.note(ADDRESS, ALICE)

    def learn(*_: object, **__: object) -> None:
        meanwhile(pairs)
        away()

    monkeypatch.setattr(QuerySet, "bulk_create", learn)
    with pytest.raises(OperationalError):
        pairs.write_noted()
    monkeypatch.undo()
    pairs.write_noted()

    assert a_process().was_right(ADDRESS, ALICE) is is_right
