"""A feed upon a journal in memory, beside the API."""

from __future__ import annotations

import pytest

from tests.api import Api
from tests.builders import Portal
from tests.journal import Follower, JournalEvents, MemoryJournal, follow


@pytest.fixture
def journal() -> MemoryJournal:
    return MemoryJournal()


@pytest.fixture
def told(portal: Portal) -> JournalEvents:
    return JournalEvents(portal.profile)


@pytest.fixture
def follower(api: Api, journal: MemoryJournal) -> Follower:
    """The one that follows; at the journal's end, with an epoch and confirmed."""
    return follow(journal)
