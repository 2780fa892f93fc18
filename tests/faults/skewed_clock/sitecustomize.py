"""Python loads this by itself where PYTHONPATH names its folder: a host whose wall clock is wrong
by SKEW_S seconds."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

import time_machine

_skew = timedelta(seconds=float(os.environ["SKEW_S"]))
time_machine.travel(datetime.now(UTC) + _skew, tick=True).start()
