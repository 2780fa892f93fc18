"""The command that warms a served deployment's cache, as an operator runs it before a rush."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from booking_api.benchmarks.processes import ROOT

WARM_WITHIN_S = 600
NOTHING_TO_WARM = 2


def warm_before_rush(
    environment: Mapping[str, str], contact_ids: Iterable[str] | None = None
) -> dict[str, Any]:
    """Run `manage.py warm_cache` under a deployment's environment, its REDIS_URL in it, for these
    contacts or for those who were there lately; return its report: `students`, `exams`, `entries`,
    `calls`, `left`, `noRoom`, `stopped`. Raise RuntimeError where nothing was warmed."""
    named = [] if contact_ids is None else ["--contacts", "-"]
    ran = subprocess.run(
        [sys.executable, "manage.py", "warm_cache", "--json", *named],
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "booking_api.settings", **environment},
        input="\n".join(contact_ids or ()),
        capture_output=True,
        text=True,
        check=False,
        timeout=WARM_WITHIN_S,
    )
    lines = ran.stdout.splitlines()
    if ran.returncode >= NOTHING_TO_WARM or len(lines) == 0:
        raise RuntimeError(f"warm_cache: {ran.returncode}: {ran.stderr[-500:]}")
    report: dict[str, Any] = json.loads(lines[-1])
    return report
