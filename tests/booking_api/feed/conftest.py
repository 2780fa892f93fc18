"""A feed upon a journal in memory, beside the API."""

from __future__ import annotations

import pytest

from tests.api import Api
from tests.builders import Portal
from tests.journal import Follower, JournalEvents, MemoryJournal, Seconds, follow


@pytest.fixture
def journal() -> MemoryJournal:
    return MemoryJournal()


@pytest.fixture
def told(portal: Portal) -> JournalEvents:
    return JournalEvents(portal.profile)


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def follower(api: Api, journal: MemoryJournal, seconds: Seconds) -> Follower:
    """Who has done nothing yet, before an empty journal."""
    return follow(journal, clock=seconds)


@pytest.fixture
def at_end(follower: Follower) -> Follower:
    """Who is at the end of a journal that has an entry; the proof holds."""
    follower.journal.publish()
    follower.catch_up()
    return follower
