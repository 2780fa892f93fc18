"""What is measured of calls to HubSpot, and metrics of several processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from booking_api.ops.metrics import Metrics
from hubspot_sync.wire.call_log import CallRecord

ROOT = Path(__file__).resolve().parents[3]
OBSERVE = """
import django; django.setup()
from booking_api.ops.metrics import metrics, render_metrics
metrics().requests.observe_request(method="GET", route="api/health", status=200, took_s=0.1)
"""
SHOW = f"{OBSERVE}\nprint(render_metrics().decode())"
COUNT = 'mocks_request_seconds_count{method="GET",route="api/health",status="200"}'


def run(code: str, folder: Path) -> str:
    environment = {
        "PROMETHEUS_MULTIPROC_DIR": str(folder),
        "DJANGO_SETTINGS_MODULE": "tests.settings",
    }
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=dict(os.environ) | environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    return result.stdout


def test_calls_waits_and_retries_are_counted_by_operation() -> None:
    metrics = Metrics()
    for attempt in (1, 2, 3):
        metrics.hubspot.observe_call(
            CallRecord(
                operation="objects.search",
                object_type="0-1",
                method="POST",
                status=429,
                attempt=attempt,
                waited_s=0.5,
                took_s=0.1,
                background=False,
            )
        )

    def value(name: str, **more: str) -> float | None:
        return metrics.registry.get_sample_value(name, {"operation": "objects.search"} | more)

    assert value("mocks_hubspot_call_seconds_count", object_type="0-1", status="429") == 3.0
    assert value("mocks_hubspot_wait_seconds_total") == 1.5
    assert value("mocks_hubspot_retries_total") == 2.0


def test_processes_that_share_a_folder_are_summed(tmp_path: Path) -> None:
    run(OBSERVE, tmp_path)

    shown = run(SHOW, tmp_path)

    assert f"{COUNT} 2.0" in shown
