"""The application's settings with one route more: a view that does nothing but return bytes."""

from __future__ import annotations

import os
from pathlib import Path

from booking_api.settings import *  # noqa: F403 - all of them

ROOT_URLCONF = "booking_api.benchmarks.bare.urls"
BARE_BODY = Path(os.environ["BENCHMARK_BARE_BODY"])
