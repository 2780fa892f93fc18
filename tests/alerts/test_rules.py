"""Each alert says what it is, has a page that says what to do, and is tried both ways."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.alerts.live.trials import TRIALS, UNTRIED
from tests.alerts.rules import (
    PROMETHEUS,
    RUNBOOKS,
    Alert,
    read_alerts,
    read_recordings,
    rule_files,
    selectors_of,
)
from tests.manage import ROOT

ALERTS = read_alerts()
PARTS = ["## What it means", "## Find the cause", "## Mend", "## Do not"]
TRIED = re.compile(r'ALERTS\{(?:alertname="(?P<name>\w+)")?[^}]*\}')
PROMISE = "PROMTOOL_PROMISED"
named = pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)


def page_of(alert: Alert) -> Path:
    return ROOT / alert.annotations["runbook"]


def kebab(name: str) -> str:
    """`CacheHitRateLow` as a page is named; HubSpot is one word."""
    words = re.sub(r"(?<!^)(?=[A-Z])", "-", name.replace("HubSpot", "Hubspot"))
    return words.lower()


@named
def test_an_alert_says_how_urgent_it_is_and_what_it_means(alert: Alert) -> None:
    assert alert.severity in {"critical", "warning"}
    assert set(alert.annotations) == {"summary", "description", "runbook"}


@named
def test_an_alert_has_a_page_in_the_usual_parts(alert: Alert) -> None:
    page = page_of(alert)
    lines = page.read_text(encoding="utf-8").splitlines()

    assert page == RUNBOOKS / f"{kebab(alert.name)}.md"
    assert lines[0] == f"# {alert.name}"
    assert [line for line in lines if line.startswith("## ")] == PARTS


def test_each_page_is_of_an_alert() -> None:
    pages = set(RUNBOOKS.glob("*.md")) - {RUNBOOKS / "README.md"}

    assert pages == {page_of(alert) for alert in ALERTS}


def test_no_two_alerts_have_one_name() -> None:
    names = [alert.name for alert in ALERTS]

    assert len(names) == len(set(names)) > 0


def test_the_overview_says_of_each_alert_how_urgent_it_is_and_what_it_says() -> None:
    text = (RUNBOOKS / "README.md").read_text(encoding="utf-8")
    row = r"^\| \[(\w+)\]\(([\w-]+\.md)\) \| (\w+) \| \S.* \|$"
    listed = re.findall(row, text, flags=re.MULTILINE)

    assert sorted(listed) == sorted(
        (alert.name, page_of(alert).name, alert.severity) for alert in ALERTS
    )


def test_a_page_names_files_that_exist() -> None:
    missing = {
        (page.name, name)
        for page in RUNBOOKS.glob("*.md")
        for name in re.findall(r"`((?:docs/)?[\w/-]+\.(?:md|py))`", page.read_text("utf-8"))
        if not any((folder / name).exists() for folder in (ROOT, RUNBOOKS))
    }

    assert missing == set()


def test_each_alert_is_made_to_fire_and_explained_by_what_its_page_says() -> None:
    pages = {alert.name: page_of(alert).read_text(encoding="utf-8") for alert in ALERTS}

    assert {trial.alert for trial in TRIALS} | set(UNTRIED) == set(pages)
    for trial in TRIALS:
        looks = [look for look in (trial.query, trial.logged, trial.silent) if look]
        assert [look for look in looks if look not in pages[trial.alert]] == [], trial.alert
        assert looks or trial.rows


def test_what_is_recorded_is_used_and_what_is_used_is_recorded() -> None:
    used = {
        selector.metric
        for alert in ALERTS
        for selector in selectors_of(alert.expression)
        if ":" in selector.metric
    }

    assert used == set(read_recordings())


def tried_cases() -> Iterator[tuple[str, bool]]:
    """Each alert that a test of promtool's looks at, and whether it is to fire there."""
    for path in (PROMETHEUS / "tests").glob("*.yml"):
        for case in yaml.safe_load(path.read_text(encoding="utf-8"))["tests"]:
            for look in case["promql_expr_test"]:
                if (found := TRIED.search(look["expr"])) and found["name"]:
                    yield found["name"], len(look["exp_samples"]) > 0


def test_each_alert_is_tried_where_it_fires_and_where_it_does_not() -> None:
    cases = set(tried_cases())

    assert cases == {(alert.name, fires) for alert in ALERTS for fires in (True, False)}


def require(program: str) -> str:
    found = shutil.which(program)
    if found is None and PROMISE in os.environ:
        pytest.fail(f"{program} is promised by {PROMISE}, and not installed")
    if found is None:
        pytest.skip(f"{program} is not installed")
    return found


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("labels", "receivers"),
    [
        ("severity=critical", "page,chat"),
        ("severity=warning", "chat"),
        ("severity=unheard-of", "chat"),
    ],
)
def test_critical_alerts_page_and_all_are_in_the_chat(labels: str, receivers: str) -> None:
    amtool = require("amtool")
    config = str(ROOT / "deploy" / "alertmanager" / "alertmanager.yml")

    checked = run(amtool, "check-config", config)
    routed = run(amtool, "config", "routes", "test", f"--config.file={config}", labels)

    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert routed.stdout.strip() == receivers


def silence(rule: dict[str, Any]) -> None:
    rule["expr"] = "vector(1) > 2"


def fire_always(rule: dict[str, Any]) -> None:
    rule["expr"] = "vector(1)"
    rule.pop("for", None)


@pytest.mark.parametrize(
    ("change", "missed"),
    [(silence, r"exp: \{.*\n\s+got: nil"), (fire_always, r"exp: nil\n\s+got: \{")],
)
@pytest.mark.chaos
def test_an_alert_that_is_silent_or_never_silent_is_missed(
    change: Callable[[dict[str, Any]], None], missed: str, tmp_path: Path
) -> None:
    promtool = require("promtool")
    shutil.copytree(PROMETHEUS / "tests", tmp_path / "tests")
    (tmp_path / "rules").mkdir()
    for path in rule_files():
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        for rule in (rule for group in content["groups"] for rule in group["rules"]):
            if "alert" in rule:
                change(rule)
        (tmp_path / "rules" / path.name).write_text(yaml.safe_dump(content), encoding="utf-8")

    tests = [str(path) for path in (tmp_path / "tests").glob("*.yml")]
    tried = run(promtool, "test", "rules", *tests)

    said = tried.stdout + tried.stderr
    found = re.findall(rf'alertname=\\"(\w+)\\".*\n\s+{missed}', said)
    assert set(found) == {alert.name for alert in ALERTS}
