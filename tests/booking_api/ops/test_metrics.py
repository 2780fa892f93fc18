"""Metrics of several processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
OBSERVE = """
import django; django.setup()
from booking_api.ops import metrics
metrics.observe_request(method="GET", route="api/health", status=200, took_s=0.1)
"""
SHOW = f"{OBSERVE}\nprint(metrics.exposition().decode())"
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
        timeout=60,
    )
    return result.stdout


def test_processes_that_share_a_folder_are_summed(tmp_path: Path) -> None:
    run(OBSERVE, tmp_path)

    shown = run(SHOW, tmp_path)

    assert f"{COUNT} 2.0" in shown
