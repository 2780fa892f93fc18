"""What /metrics shows, and by how much it has grown."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from prometheus_client.parser import text_string_to_metric_families

from tests.api import Api

Sample = tuple[str, frozenset[tuple[str, str]]]


def parse_metrics(text: str) -> dict[Sample, float]:
    """Every sample by name and labels."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    parts = [line.rpartition(" ") for line in lines]
    return {parse_series(series): float(value) for series, _, value in parts}


@cache
def parse_series(series: str) -> Sample:
    """Return name and labels of what stands before a value. After many tests thousands of series
    are shown, mostly the same each time."""
    (family,) = text_string_to_metric_families(f"{series} 0\n")
    (sample,) = family.samples
    return sample.name, frozenset(sample.labels.items())


def shown(api: Api) -> dict[Sample, float]:
    return parse_metrics(api.get("/metrics").body.decode())


def value_of(seen: Mapping[Sample, float], name: str, **labels: str) -> float:
    return seen.get((name, frozenset(labels.items())), 0.0)


def grown(
    before: Mapping[Sample, float], after: Mapping[Sample, float], name: str, **labels: str
) -> float:
    return value_of(after, name, **labels) - value_of(before, name, **labels)


def total_growth(
    before: Mapping[Sample, float], after: Mapping[Sample, float], name: str, **some: str
) -> float:
    """The growth of all samples of this name that have these labels, among others."""
    return sum(
        grown(before, after, name, **dict(labels))
        for found, labels in after
        if found == name and set(some.items()) <= labels
    )
