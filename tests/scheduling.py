"""Which tests one worker runs after another, those of a file, a folder or a few files that share a
server or a database; and which begin, so that no worker ends with what takes long.

xdist's own marks for it (`--dist loadgroup`) have no effect under pytest 9.2, whose test ids are
not rewritten any more; every worker would start a server for its part of the file.
"""

from __future__ import annotations

from typing import Any

import pytest
from typing_extensions import override
from xdist.scheduler import LoadScopeScheduling

SHARED_BY_FOLDER = ("tests/journeys/console/",)
SHARED_BY_FILE = ("tests/attacks/", "tests/journeys/", "tests/booking_api/server/")
SHARED_BY_FILES = (
    # A PostgreSQL with all migrations, which takes seconds to make.
    ("tests/attacks/test_odd_characters.py", "tests/attacks/test_staff.py"),
    ("tests/journeys/test_doctor_beside_a_server.py", "tests/journeys/test_postgres.py"),
    # An application that is loaded, to be forked and killed.
    ("tests/faults/test_crashes.py", "tests/faults/test_paused_desk.py"),
    # One server for all of them.
    (
        *("tests/journeys/test_docs_page.py", "tests/journeys/test_generated_clients.py"),
        *("tests/journeys/test_many_users.py", "tests/journeys/test_new_user.py"),
    ),
)

LONG = (
    *("tests/journeys/test_demo.py", "tests/journeys/test_rush.py"),
    *("tests/journeys/test_an_hour.py", "tests/journeys/test_change_feed.py"),
    *("tests/faults/test_conservation.py", "tests/merges/"),
    "tests/booking_api/benchmarks/test_followed_hour.py",
    "tests/booking_api/cached_answers/test_both_ways.py",
)
"""What no more than one or two tests take ten seconds for. Of what is shared the most tests come
first anyway."""


def begin_with_long(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not item.nodeid.startswith(LONG))


class SharedServerScheduling(LoadScopeScheduling):
    """A folder, a few files or one where a server is shared, a test everywhere else."""

    @override
    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        for folder in SHARED_BY_FOLDER:
            if file.startswith(folder):
                return folder
        for files in SHARED_BY_FILES:
            if file in files:
                return files[0]
        return file if file.startswith(SHARED_BY_FILE) else nodeid


def make_scheduler(config: Any, log: Any) -> SharedServerScheduling:
    return SharedServerScheduling(config, log)
