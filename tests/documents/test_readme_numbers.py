"""The numbers of the README: calls to HubSpot are counted anew, times are the benchmark's."""

from __future__ import annotations

import re

import pytest

from booking_api.benchmarks.portal_data import PortalData
from booking_api.benchmarks.processes import Address, Sandbox
from booking_api.benchmarks.system_comparison import (
    list_question,
    measure_application,
    measure_old_system,
    running_application,
)
from cache_layer import CacheConfig
from tests.documents.markdown import ROOT, rows_of
from tests.sandbox import SandboxHandle

BOOKINGS, EXAMS = 50, 10
SYSTEMS = {
    "before: one record after the other": "naive",
    "asked for the first time": "batched",
    "from the cache": "cached",
}


def promised() -> dict[str, tuple[int, str]]:
    """Return the calls and the time that the README names for each system."""
    rows = {row[0]: row[1:] for row in rows_of(ROOT / "README.md")}
    return {system: (int(rows[said][0]), rows[said][1].strip()) for said, system in SYSTEMS.items()}


@pytest.mark.django_db(transaction=True)
def test_the_calls_are_as_many_as_the_readme_says(kind_sandbox: SandboxHandle) -> None:
    sandbox = Sandbox(Address(kind_sandbox.base_url))
    student = PortalData(sandbox).add_student_with(bookings=BOOKINGS, exams=EXAMS)
    question = list_question("the list", student)

    costs = [measure_old_system(sandbox, question)]
    with running_application(sandbox, CacheConfig()) as client:
        costs.append(measure_application(sandbox, client, question, "batched"))
        costs.append(measure_application(sandbox, client, question, "cached"))

    assert [cost.failure for cost in costs] == ["", "", ""]
    assert {cost.system: cost.calls for cost in costs} == {
        system: calls for system, (calls, _) in promised().items()
    }


def test_calls_and_times_are_those_of_the_benchmark() -> None:
    """Whose page has all of one run: times are what that machine took, and nothing is measured."""
    head, *_ = rows = rows_of(ROOT / "docs" / "benchmarks.md")
    (measured,) = (row for row in rows if row[0] == "list, 50 bookings of 10 exams")

    assert dict(zip(head[1:], measured[1:], strict=True)) == {
        system: f"{calls} calls, {time}" for system, (calls, time) in promised().items()
    }


def test_the_readme_can_be_read_at_one_sitting() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")

    assert len(text.splitlines()) <= 400
    assert re.search(r"^!\[[^\]]{40,}\]\(docs/images/console\.png\)$", text, re.MULTILINE)
