"""Many callers, one search: HubSpot takes five a second, so nobody asks what another is asking."""

from __future__ import annotations

from hubspot_sync.errors import Refused
from tests.hubspot_sync.stage import raised_stage

READERS = 50


def test_fifty_who_search_for_the_same_at_once_make_two_searches() -> None:
    """The first, and one for all who came while it was under way."""
    with raised_stage() as stage:
        stage.enter_search("first", "S1")
        stage.wait_for_call()
        for number in range(READERS - 1):
            stage.enter_search(f"reader {number}", "S1")
        stage.answer(2)

    assert stage.calls == 2
    assert stage.searched.pop("first") == ("1",)
    assert list(stage.searched.values()) == [("2",)] * (READERS - 1)


def test_nobody_joins_a_search_that_was_already_sent() -> None:
    with raised_stage() as stage:
        stage.enter_search("early", "S1")
        stage.wait_for_call()
        stage.enter_search("late", "S1")
        stage.answer(2)

    assert stage.searched == {"early": ("1",), "late": ("2",)}


def test_different_searches_do_not_wait_for_one_another() -> None:
    with raised_stage() as stage:
        stage.enter_search("alice", "S1")
        stage.wait_for_call()
        stage.enter_search("bob", "S2")
        stage.wait_for_call()
        stage.answer(2)

    assert stage.calls == 2


def test_a_refused_search_is_refused_to_all_who_shared_it_and_not_repeated() -> None:
    with raised_stage() as stage:
        stage.broken = {2}
        stage.enter_search("first", "S1")
        stage.wait_for_call()
        stage.enter_search("alice", "S1")
        stage.enter_search("bob", "S1")
        stage.answer(2)

    assert isinstance(stage.searched["alice"], Refused)
    assert isinstance(stage.searched["bob"], Refused)
    assert stage.calls == 2
