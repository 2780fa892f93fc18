"""How old what waits may be, and how much used, before somebody should look.

The bounds are those of the alerts (deploy/prometheus), so that console, command and pager say the
same.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

MAX_WAIT_FOR_DESK: Final = timedelta(seconds=30)
MAX_UNFINISHED: Final = timedelta(minutes=2)
MAX_BACKLOG: Final = timedelta(minutes=5)
MAX_SINCE_JOB: Final = timedelta(hours=3)
DAY_NEARLY_USED: Final = 0.8
