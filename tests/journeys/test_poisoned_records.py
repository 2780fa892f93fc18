"""Poisoned records before PostgreSQL, which takes less into its columns than SQLite does."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hubspot_sync.portal.profile import load_profile
from tests.builders import Portal
from tests.chaos.neighbours import compare_rounds
from tests.chaos.poison import AT_ONCE, SERVER, Rush
from tests.chaos.population import settle_population
from tests.chaos.ways import KINDS, REFUSED, take_some
from tests.journeys.databases import settings_of
from tests.sandbox import SandboxHandle
from tests.server import serving

pytestmark = [pytest.mark.postgres, pytest.mark.chaos]

ONE_OF = 3


def test_the_others_are_answered_as_without_the_poison(
    kind_sandbox: SandboxHandle, database_url: str, tmp_path: Path
) -> None:
    portal = Portal(kind_sandbox, load_profile("default"))
    kind_sandbox.configure(rate_limit=1_000_000, search_rate=1_000)
    ways = [way for kind, all_ways in KINDS.items() if kind not in REFUSED for way in all_ways]
    population = settle_population(portal, take_some(ways, ONE_OF), exams=3, students=6)
    environment = {**settings_of(database_url), **SERVER}

    with (
        serving(kind_sandbox, tmp_path, **environment) as server,
        ThreadPoolExecutor(AT_ONCE) as pool,
    ):
        finding = compare_rounds(population, Rush(server, kind_sandbox, pool))

    assert finding.wrong == []
