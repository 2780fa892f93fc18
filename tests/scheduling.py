"""Which tests one worker runs after another: those of a file, or a folder, that share a server.

xdist's own marks for it (`--dist loadgroup`) have no effect under pytest 9.2, whose test ids are
not rewritten any more; every worker would start a server for its part of the file.
"""

from __future__ import annotations

from typing import Any

from typing_extensions import override
from xdist.scheduler import LoadScopeScheduling

SHARED_BY_FOLDER = ("tests/journeys/console/",)
SHARED_BY_FILE = ("tests/attacks/", "tests/journeys/", "tests/booking_api/server/")


class SharedServerScheduling(LoadScopeScheduling):
    """A folder or a file where a server is shared, a test everywhere else."""

    @override
    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        for folder in SHARED_BY_FOLDER:
            if file.startswith(folder):
                return folder
        return file if file.startswith(SHARED_BY_FILE) else nodeid


def make_scheduler(config: Any, log: Any) -> SharedServerScheduling:
    return SharedServerScheduling(config, log)
