"""One client per process, built when it is first needed."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from pytest_django import Settings

from booking_api.composition import Composition, Services
from hubspot_sync.errors import ConfigurationError

THREADS = 16


@pytest.fixture
def composition() -> Iterator[Composition]:
    made = Composition()
    yield made
    made.close()


def test_threads_that_come_first_together_share_one_client(composition: Composition) -> None:
    together = threading.Barrier(THREADS)

    def ask(_: int) -> Services:
        together.wait(timeout=30)
        return composition.services()

    with ThreadPoolExecutor(THREADS) as pool:
        clients = {id(services.client) for services in pool.map(ask, range(THREADS))}

    assert len(clients) == 1


def test_after_closing_the_next_use_builds_anew(composition: Composition) -> None:
    before = composition.services()
    composition.close()

    assert composition.services() is not before


def test_a_forked_process_builds_its_own(
    composition: Composition, monkeypatch: pytest.MonkeyPatch
) -> None:
    parents = composition.services()
    monkeypatch.setattr(os, "getpid", lambda: parents.pid + 1)

    childs = composition.services()

    assert childs.client is not parents.client
    parents.client.close()


def test_a_profile_that_does_not_exist_is_named(
    composition: Composition, settings: Settings
) -> None:
    settings.HUBSPOT_PORTAL = "nowhere"

    with pytest.raises(ConfigurationError, match="nowhere"):
        composition.services()
