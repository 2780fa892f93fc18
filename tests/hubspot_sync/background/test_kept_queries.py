"""Questions of yes or no whose SQL is made once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.db.models import Q, QuerySet

from hubspot_sync.background.kept_queries import KeptQuery

pytestmark = pytest.mark.django_db

JOINED = datetime(2026, 10, 1, 8, 30, tzinfo=UTC)


class Rows:
    """Users of a name who joined since then, or who are staff; counts how often it was built."""

    def __init__(self) -> None:
        self.built = 0

    def __call__(self, name: str, since: datetime) -> QuerySet[User]:
        self.built += 1
        return User.objects.filter(
            Q(date_joined__gt=since) | Q(is_staff=True), username__in=[name], email="a@b.example"
        )


@pytest.fixture(autouse=True)
def ann() -> User:
    return User.objects.create(username="ann", email="a@b.example", date_joined=JOINED)


@pytest.mark.parametrize("name", ["ann", "bob", "ann'--", "%s", ""])
@pytest.mark.parametrize("passed", [timedelta(0), timedelta(hours=-1), timedelta(microseconds=-1)])
def test_it_says_what_the_queryset_says(name: str, passed: timedelta) -> None:
    rows = Rows()

    says = KeptQuery(rows).has_rows(name, JOINED + passed)

    assert says == rows(name, JOINED + passed).exists()
    assert says == (name == "ann" and passed < timedelta(0))


def test_the_sql_is_made_once_and_what_is_asked_by_is_not_kept(ann: User) -> None:
    rows = Rows()
    query = KeptQuery(rows)

    said = [query.has_rows(name, JOINED - timedelta(days=1)) for name in ("ann", "bob", "ann")]
    ann.delete()
    said.append(query.has_rows("ann", JOINED - timedelta(days=1)))

    assert (said, rows.built) == ([True, False, True, False], 1)
