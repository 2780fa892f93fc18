"""What is counted when something goes wrong begins at nought: else its first event is no rise."""

from __future__ import annotations

import pytest
from pytest_django import Settings

from booking_api import composition
from booking_api.ops.lifecycle import job_times
from booking_api.ops.scheduler import build_scheduler
from tests.api import Api
from tests.metrics import shown

pytestmark = pytest.mark.django_db(transaction=True)


def values_of(api: Api, name: str, label: str) -> set[str]:
    """The values of a label that a counter has been shown with."""
    return {dict(labels)[label] for metric, labels in shown(api) if metric == name}


def test_limits_signatures_and_validations_begin_at_nought(api: Api) -> None:
    policies = values_of(api, "mocks_hubspot_limited_total", "policy")
    reasons = values_of(api, "mocks_webhook_signatures_refused_total", "reason")
    outcomes = values_of(api, "mocks_cache_validations_total", "outcome")

    assert policies >= {"ten_secondly", "secondly", "daily", "other"}
    assert reasons >= {"source", "wrong", "unsigned", "too_old", "no_secret", "superseded"}
    assert outcomes >= {"clean", "drifted", "incomplete", "failed"}


def test_drift_of_each_family_begins_at_nought(api: Api) -> None:
    families = {family.name for family in composition.services().cached.cache.catalogue}

    assert values_of(api, "mocks_cache_drift_total", "family") >= families


def test_each_job_begins_at_nought(api: Api, settings: Settings) -> None:
    settings.SCHEDULER = True

    build_scheduler(job_times())

    jobs = values_of(api, "mocks_job_runs_total", "job")
    assert jobs >= {"recount", "review credits", "validate cache", "prune"}
