"""The numbers of the README are the record's, and its calls to HubSpot are counted anew."""

from __future__ import annotations

import re

import pytest

from booking_api.benchmarks.operations import comparison
from booking_api.benchmarks.operations.catalogue import OPERATIONS
from booking_api.benchmarks.operations.effort import Effort
from booking_api.benchmarks.record.pages import README_OPERATION
from tests.documents.markdown import ROOT, rows_of

ONCE = Effort(latency_ms=0, least=1, most=1, limited=False)
SYSTEMS = {
    "before: one record after the other": "naive",
    "asked for the first time": "batched",
    "from the cache": "cached",
}


@pytest.mark.django_db(transaction=True)
def test_the_calls_are_as_many_as_the_readme_says() -> None:
    said = {row[0]: row[1] for row in rows_of(ROOT / "README.md")}
    asked = [operation for operation in OPERATIONS if operation.name == README_OPERATION]

    costs = comparison.measure(asked, ONCE, systems=("naive", "batched", "cached"))

    assert [cost.failure for cost in costs] == ["", "", ""]
    assert {cost.system: str(cost.calls) for cost in costs} == {
        system: said[words] for words, system in SYSTEMS.items()
    }


def test_the_readme_can_be_read_at_one_sitting() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")

    assert len(text.splitlines()) <= 400
    assert re.search(r"^!\[[^\]]{40,}\]\(docs/images/console\.png\)$", text, re.MULTILINE)
