"""A validation's report as JSON: what the API answers, and what the command prints or reads from a
running server. It holds no e-mail and no whole value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from cache_layer.operating.redaction import masked
from cache_layer.operating.validation import DRIFTED, Comparison, ValidationReport

_COUNTED = ("sampled", "same", "drifted", "repaired", "skipped", "unknown")


def as_json(report: ValidationReport) -> dict[str, Any]:
    """Return the report: sums, sums by family, and each drift."""
    repaired = Counter(drift.family for drift in report.drifts if drift.repaired)
    by_family = {
        name: {
            "sampled": sum(verdicts.values()),
            "same": verdicts.get(Comparison.SAME, 0),
            "drifted": sum(verdicts.get(verdict, 0) for verdict in DRIFTED),
            "repaired": repaired[name],
            "skipped": verdicts.get(Comparison.SKIPPED, 0),
            "unknown": verdicts.get(Comparison.UNKNOWN, 0),
        }
        for name, verdicts in report.by_family.items()
    }
    drifts = [
        {
            "family": drift.family,
            "key": masked(drift.key),
            "verdict": drift.verdict.value,
            "ageSeconds": round(drift.age_s, 1),
            "difference": drift.difference,
            "repaired": drift.repaired,
        }
        for drift in report.drifts
    ]
    return _summed(by_family, drifts)


def joined(parts: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return several reports, of different families, as one."""
    by_family: dict[str, dict[str, int]] = {}
    drifts: list[dict[str, Any]] = []
    for part in parts:
        by_family |= part["byFamily"]
        drifts += part["drifts"]
    return _summed(by_family, drifts)


def _summed(by_family: dict[str, dict[str, int]], drifts: list[dict[str, Any]]) -> dict[str, Any]:
    sums = {what: sum(family[what] for family in by_family.values()) for what in _COUNTED}
    complete = sums["unknown"] == 0
    return {**sums, "complete": complete, "byFamily": by_family, "drifts": drifts}
