"""Rules and dashboard ask for metrics and labels that exist, and every metric is looked at."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from pytest_django import Settings

from tests.alerts.rules import (
    PROMETHEUS,
    RUNBOOKS,
    grouping_labels_of,
    read_alerts,
    read_recordings,
    read_rules,
    selectors_of,
)
from tests.api import connected
from tests.manage import ROOT
from tests.sandbox import SandboxHandle

pytestmark = pytest.mark.django_db

DASHBOARD = ROOT / "deploy" / "grafana" / "mock-exam-booking.json"
LISTED = ROOT / "docs" / "metrics.md"
NOT_ON_THE_DASHBOARD: Mapping[str, str] = {}
"""Metrics that nobody looks at, and why."""
MAY_BE_ABSENT = {
    "mocks_hubspot_window_limit": "the rule goes by 190 without it",
    "mocks_hubspot_day_used": "its alert counts the day's calls; that they end is told by the 429s",
    "mocks_hubspot_day_limit": "as above",
    "mocks_hubspot_day_left": "as above",
    "mocks_webhook_events_waiting": "where none was received since the start, nothing waits",
    "mocks_feed_events_waiting": "as above",
    "mocks_desk_last_takeover_timestamp_seconds": "each process has it from its beginning",
    "mocks_job_last_success_timestamp_seconds": "a cron of one's own may run the jobs",
}
"""Gauges that an alert may do without, and why."""
# Prometheus' own: of each target, of histograms, and what it makes of a label `job`.
OF_TARGETS = {"instance", "job"}
RENAMED = {"exported_job": "job"}


@pytest.fixture
def exposed(settings: Settings, kind_sandbox: SandboxHandle) -> dict[str, str]:
    """The type of each metric that /metrics shows, by the name it has there."""
    with connected(settings, kind_sandbox) as api:
        families = list(text_string_to_metric_families(api.get("/metrics").body.decode()))
    return {
        f"{family.name}_total" if family.type == "counter" else family.name: family.type
        for family in families
        if not family.name.endswith("_created")
    }


@cache
def listed_labels() -> Mapping[str, set[str]]:
    """The labels of each metric, as docs/metrics.md lists them."""
    labels: dict[str, set[str]] = {}
    for line in LISTED.read_text(encoding="utf-8").splitlines():
        if line.startswith("| `"):
            names, _, own = line.split("|")[1:4]
            for name in re.findall(r"`(\w+)`", names):
                labels[name] = {label.strip() for label in own.split(",")} - {""}
    return labels


def dashboard_expressions() -> Iterator[str]:
    """All that the dashboard's panels ask, with Grafana's own interval as one of Prometheus'."""
    dashboard: dict[str, Any] = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            yield target["expr"].replace("$__rate_interval", "5m")


def runbook_expressions() -> Iterator[str]:
    """All that the alerts' pages have somebody ask Prometheus."""
    for page in RUNBOOKS.glob("*.md"):
        for span in re.findall(r"`([^`]*mocks_[^`]*)`", page.read_text(encoding="utf-8")):
            if "/" not in span.partition("mocks_")[0]:
                yield span


def all_expressions() -> list[str]:
    asked = [rule["expr"] for rule in read_rules()]
    return [*asked, *dashboard_expressions(), *runbook_expressions()]


def asked_metrics(expressions: list[str]) -> set[str]:
    """The names that the expressions select, but for what is recorded and Prometheus' own."""
    return {
        selector.metric
        for expression in expressions
        for selector in selectors_of(expression)
        if selector.metric not in {*read_recordings(), "up"}
    }


def whole(name: str, exposed: dict[str, str]) -> str:
    """The metric that a series of this name belongs to."""
    base = re.sub(r"_(bucket|count|sum)$", "", name)
    return base if exposed.get(base) == "histogram" else name


def test_rules_and_dashboard_ask_for_metrics_that_exist(exposed: dict[str, str]) -> None:
    asked = {whole(name, exposed) for name in asked_metrics(all_expressions())}

    assert len(exposed) > 0
    assert asked - set(exposed) == set()


def test_every_metric_is_on_the_dashboard(exposed: dict[str, str]) -> None:
    shown = {whole(name, exposed) for name in asked_metrics(list(dashboard_expressions()))}

    assert set(exposed) - shown == set(NOT_ON_THE_DASHBOARD)


def test_an_expression_goes_by_labels_that_its_metrics_have(exposed: dict[str, str]) -> None:
    strangers = {
        (label, expression)
        for expression in all_expressions()
        for label in find_unknown_labels(expression, exposed)
    }

    assert strangers == set()


def find_unknown_labels(expression: str, exposed: dict[str, str]) -> set[str]:
    """The labels that the expression selects or sums by, and that its metrics do not have."""
    listed, recorded = listed_labels(), read_recordings()
    known, unknown = set(OF_TARGETS), set()
    for selector in selectors_of(expression):
        metric = whole(selector.metric, exposed)
        own = listed.get(metric, set()) | OF_TARGETS
        own |= grouping_labels_of(recorded[metric]) if metric in recorded else set()
        own |= {"le"} if metric != selector.metric else set()
        known |= own
        unknown |= selector.labels - own
    return unknown | {
        label for label in grouping_labels_of(expression) if RENAMED.get(label, label) not in known
    }


def test_a_gauge_that_an_alert_stands_on_is_missed_where_it_is_absent(
    exposed: dict[str, str],
) -> None:
    asked = {
        alert.name: asked_metrics([alert.expression])
        for alert in read_alerts()
        if alert.name != "MetricsMissing"
    }
    gauges = {name for names in asked.values() for name in names if exposed.get(name) == "gauge"}
    (missing,) = (alert for alert in read_alerts() if alert.name == "MetricsMissing")
    missed = asked_metrics([missing.expression])

    assert gauges - missed == set(MAY_BE_ABSENT)
    assert set(re.findall(r'"(mocks_\w+)"', missing.expression)) == {
        whole(name, exposed) for name in missed
    }


def test_a_percentile_is_compared_with_the_bound_of_a_bucket(
    settings: Settings, kind_sandbox: SandboxHandle
) -> None:
    with connected(settings, kind_sandbox) as api:
        api.get("/metrics")  # a request, so that requests have buckets
        families = list(text_string_to_metric_families(api.get("/metrics").body.decode()))
    bounds = {
        (sample.name, float(sample.labels["le"]))
        for family in families
        for sample in family.samples
        if "le" in sample.labels
    }

    compared = {
        (name, float(bound))
        for alert in read_alerts()
        for bound in re.findall(r"histogram_quantile\(.*?\) > (\d+)", alert.expression, re.DOTALL)
        for name in asked_metrics([alert.expression])
        if name.endswith("_bucket")
    }
    assert len(compared) > 0
    assert compared - bounds == set()


def test_alerts_name_labels_that_they_have() -> None:
    """A label in a summary that the expression sums away would be empty there."""
    recorded = read_recordings()
    for alert in read_alerts():
        own = grouping_labels_of(alert.expression) | OF_TARGETS | {"metric"}
        for selector in selectors_of(alert.expression):
            own |= grouping_labels_of(recorded.get(selector.metric, "up"))

        used = set(re.findall(r"\$labels\.(\w+)", " ".join(alert.annotations.values())))
        assert used <= own, alert.name


def test_the_example_scrapes_the_job_that_the_rules_know() -> None:
    config = (PROMETHEUS / "prometheus.yml").read_text(encoding="utf-8")
    jobs = {job for text in all_expressions() for job in re.findall(r'\bjob="([\w-]+)"', text)}

    assert jobs == set(re.findall(r"job_name: ([\w-]+)", config))
