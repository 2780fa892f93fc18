"""For the servers of a run alone, by PYTHONPATH: a clock that is apart, a guard that is taken out.

The wall clock is moved for all that Python asks (`time-machine`, in C); the monotonic one is left
as it is. It stands in for `faketime`, which would move what is not Python's too: here only
`granian`'s own time-outs, which go by the monotonic clock anyway.
"""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

ahead_s = float(os.environ.get("CHAOS_CLOCK_AHEAD_S", "0"))
if ahead_s:
    import time_machine

    time_machine.travel(datetime.now(UTC) + timedelta(seconds=ahead_s), tick=True).start()

if guard := os.environ.get("CHAOS_WITHOUT", ""):
    sys.path.insert(0, str(Path(__file__).parent))
    from taken_out import take_out

    take_out(guard)
