"""Random merges, moves, links, deletions and returns between bookings: each student's list, seat
and credit is right at rest, and no 503 lasts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test
from pytest_django import Settings

from tests.merges.deployment import Deployment, running_deployment
from tests.merges.fed import FedStudentsAndPeople
from tests.merges.students import StudentsAndPeople
from tests.sandbox import SandboxHandle

pytestmark = pytest.mark.django_db(transaction=True)

PROFILES = pytest.mark.parametrize(
    "profile_name", ["default", pytest.param("prepdoctors", marks=pytest.mark.chaos)]
)
SHORT = settings(
    max_examples=3,
    stateful_step_count=20,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
LONG = settings(SHORT, max_examples=4, stateful_step_count=120, derandomize=False)


@pytest.fixture
def deployment(settings: Settings, sandbox: SandboxHandle) -> Iterator[Deployment]:
    with running_deployment(settings, sandbox) as running:
        yield running


@pytest.mark.chaos
@PROFILES
def test_students_and_people_at_work(deployment: Deployment, profile_name: str) -> None:
    run_state_machine_as_test(lambda: StudentsAndPeople(deployment, profile_name), settings=SHORT)


@pytest.mark.chaos
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed_", range(6))
@PROFILES
def test_for_long(deployment: Deployment, profile_name: str, seed_: int) -> None:
    def begin() -> StudentsAndPeople:
        return StudentsAndPeople(deployment, profile_name)

    run_state_machine_as_test(seed(seed_)(begin), settings=LONG)


@pytest.mark.sampled
@pytest.mark.parametrize("profile_name", ["default", "prepdoctors"])
def test_told_by_the_journal_alone(deployment: Deployment, profile_name: str) -> None:
    def begin() -> FedStudentsAndPeople:
        return FedStudentsAndPeople(deployment, profile_name)

    run_state_machine_as_test(begin, settings=settings(SHORT, max_examples=2))


@pytest.mark.chaos
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed_", range(6))
@PROFILES
def test_told_by_the_journal_alone_for_long(
    deployment: Deployment, profile_name: str, seed_: int
) -> None:
    def begin() -> FedStudentsAndPeople:
        return FedStudentsAndPeople(deployment, profile_name)

    run_state_machine_as_test(seed(seed_)(begin), settings=LONG)
