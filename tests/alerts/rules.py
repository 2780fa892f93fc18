"""The rules of deploy/prometheus as data, and the names that an expression of PromQL stands on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import promql_parser
import yaml

from tests.manage import ROOT

PROMETHEUS = ROOT / "deploy" / "prometheus"
RUNBOOKS = ROOT / "docs" / "runbooks"


@dataclass(frozen=True, kw_only=True, slots=True)
class Alert:
    """A rule that may fire."""

    name: str
    expression: str
    severity: str
    annotations: Mapping[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Selector:
    """What an expression asks of one metric: its name, and the labels that it must have or not."""

    metric: str
    labels: frozenset[str]


def rule_files() -> list[Path]:
    return sorted((PROMETHEUS / "rules").glob("*.yml"))


@cache
def read_rules() -> Sequence[Mapping[str, Any]]:
    """All rules, as they stand in the files."""
    return [
        rule
        for path in rule_files()
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
        for rule in group["rules"]
    ]


def read_alerts() -> list[Alert]:
    return [
        Alert(
            name=rule["alert"],
            expression=rule["expr"],
            severity=rule["labels"]["severity"],
            annotations=rule["annotations"],
        )
        for rule in read_rules()
        if "alert" in rule
    ]


def read_recordings() -> dict[str, str]:
    """What is recorded, by name: its expression."""
    return {rule["record"]: rule["expr"] for rule in read_rules() if "record" in rule}


def selectors_of(expression: str) -> list[Selector]:
    """What the expression selects; raises ValueError where it is no PromQL."""
    return [
        Selector(
            metric=node.name or "",
            labels=frozenset(matcher.name for matcher in node.matchers.matchers),
        )
        for node in _walk(promql_parser.parse(expression))
        if isinstance(node, promql_parser.VectorSelector)
    ]


def grouping_labels_of(expression: str) -> set[str]:
    """The labels by which the expression sums up."""
    return {
        label
        for node in _walk(promql_parser.parse(expression))
        if isinstance(node, promql_parser.AggregateExpr) and node.modifier is not None
        for label in node.modifier.labels
    }


def _walk(root: promql_parser.Expr) -> list[promql_parser.Expr]:
    found: list[promql_parser.Expr] = []
    promql_parser.walk(root, found.append)
    return found
