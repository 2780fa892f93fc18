"""docs/metrics.md and /metrics name the same metrics, with the same labels."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from booking_api.ops.metrics import Metrics
from booking_api.ops.metrics.backlog import BacklogCollector

PAGE = Path(__file__).parents[3] / "docs" / "metrics.md"
ROW = re.compile(r"^\| (?P<names>`.+?`) \| (?P<type>\w+) \| (?P<labels>[^|]*?) ?\|", re.MULTILINE)

pytestmark = pytest.mark.django_db


def described() -> dict[str, tuple[str, frozenset[str]]]:
    """Type and labels on the page, by name."""
    return {
        name: (row["type"], frozenset(re.findall(r"\w+", row["labels"])))
        for row in ROW.finditer(PAGE.read_text(encoding="utf-8"))
        for name in re.findall(r"`(\w+)`", row["names"])
    }


def existing() -> dict[str, tuple[str, frozenset[str]]]:
    registry = Metrics().registry
    found = {
        family.name: (family.type, collector._labelnames)
        for collector in registry._collector_to_names
        for family in collector.describe()
    }
    # It is asked of the database, and so describes nothing beforehand.
    found |= {
        family.name: (family.type, tuple(family.samples[0].labels))
        for family in BacklogCollector().collect()
    }
    return {
        f"{name}_total" if kind == "counter" else name: (kind, frozenset(labels))
        for name, (kind, labels) in found.items()
    }


def test_the_page_describes_what_exists_and_nothing_else() -> None:
    assert described() == existing()
