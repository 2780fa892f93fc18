"""docs/metrics.md and /metrics name the same metrics, with the same labels."""

from __future__ import annotations

import re
from itertools import chain
from pathlib import Path

import pytest

from booking_api.ops.metrics import Metrics
from booking_api.ops.metrics.backlog import BacklogCollector

PAGE = Path(__file__).parents[3] / "docs" / "metrics.md"
ROW = re.compile(r"^\| (?P<names>`.+?`) \| (?P<type>\w+) \| (?P<labels>[^|]*?) ?\|", re.MULTILINE)

pytestmark = pytest.mark.django_db


def described() -> dict[str, str]:
    """The names and types on the page."""
    rows = ROW.finditer(PAGE.read_text(encoding="utf-8"))
    return {name: row["type"] for row in rows for name in re.findall(r"`(\w+)`", row["names"])}


def existing() -> dict[str, str]:
    families = chain(Metrics().registry.collect(), BacklogCollector().collect())
    return {
        f"{family.name}_total" if family.type == "counter" else family.name: family.type
        for family in families
    }


def test_the_page_describes_what_exists_and_nothing_else() -> None:
    assert described() == existing()
