"""docs/api/: what stands there to be pasted prints what it says, and survives what it says."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.api_pages.conftest import Demo, Twin
from tests.journeys.api_pages.faulty_line import Line, Passed, Sent, faulty_line
from tests.journeys.api_pages.snippets import COMMANDS, PAGES, STORY, settle, snippet_of

CREATE = "/api/bookings/create"
PROMISED = {"js"} if "TYPESCRIPT_PROMISED" in os.environ else set()

in_each_language = pytest.mark.parametrize(
    "language",
    [
        pytest.param(
            name,
            marks=pytest.mark.skipif(
                program is None and name not in PROMISED, reason=f"nothing runs {name} here"
            ),
        )
        for name, (program, _) in COMMANDS.items()
    ],
)


def test_each_page_of_a_task_is_in_the_story() -> None:
    tasks = {path.stem for path in PAGES.glob("*.md")} - {"README", "errors"}

    assert tasks == set(STORY)


@pytest.mark.sampled
@in_each_language
def test_the_pages_print_what_they_say(
    language: str, demo: Demo, twin: Twin, tmp_path: Path
) -> None:
    environment = {"BASE_URL": demo.server.base_url, **twin.environment}

    for page in STORY:
        snippet = snippet_of(page, language)
        printed = snippet.run(tmp_path, environment)

        assert settle(printed) == settle(snippet.printed), page


def book(language: str, demo: Demo, twin: Twin, folder: Path, line: Line) -> Any:
    """Book as the page does, over this line; return what is then printed, once it is seen that one
    seat was booked and nothing is left to be sent again."""
    with faulty_line(demo.server.base_url, line) as base_url:
        environment = {"BASE_URL": base_url, **twin.environment}
        printed = snippet_of("book-a-seat", language).run(folder, environment)

    assert len(demo.active_bookings_of(twin)) == 1
    assert list(folder.glob("pending*")) == []
    return settle(printed)


def check_booked(language: str, printed: Any) -> None:
    expected = settle(snippet_of("book-a-seat", language).printed)
    if isinstance(printed, dict):
        assert printed["data"].pop("idempotent_request") is True
    assert printed == expected


@pytest.mark.sampled
@in_each_language
def test_an_answer_that_is_lost_is_asked_for_again(
    language: str, demo: Demo, twin: Twin, tmp_path: Path
) -> None:
    keys: list[str] = []

    def lose_first_answer(sent: Sent, send: Any) -> Passed | None:
        passed: Passed = send()
        if not sent.is_for(CREATE):
            return passed
        keys.append(sent.headers["idempotency-key"])
        return None if len(keys) == 1 else passed

    printed = book(language, demo, twin, tmp_path, lose_first_answer)

    assert len(keys) == 2
    assert len(set(keys)) == 1
    check_booked(language, printed)


@pytest.mark.sampled
@in_each_language
def test_who_is_sent_away_comes_back_when_told(
    language: str, demo: Demo, twin: Twin, tmp_path: Path
) -> None:
    statuses: list[int] = []

    def use_up_window_first(sent: Sent, send: Any) -> Passed | None:
        passed: Passed = send()
        while not statuses and passed.status != 429:
            passed = send()
        statuses.append(passed.status)
        return passed

    snippet = snippet_of("wait-and-retry", language)
    with faulty_line(demo.server.base_url, use_up_window_first) as base_url:
        printed = snippet.run(tmp_path, {"BASE_URL": base_url, **twin.environment})

    assert statuses == [429, 200]
    assert settle(printed) == settle(snippet.printed)


# The first answer comes when the request's time is up: half a minute for each.
@pytest.mark.chaos
@in_each_language
def test_an_outage_is_outlived_by_a_booking(
    language: str, demo: Demo, twin: Twin, tmp_path: Path
) -> None:
    statuses: list[int] = []

    def end_outage_once_told(sent: Sent, send: Any) -> Passed | None:
        if sent.is_for(CREATE) and not statuses:
            demo.sandbox.fault("status", status=503, path="/batch/create")
        passed: Passed = send()
        if sent.is_for(CREATE):
            statuses.append(passed.status)
            demo.sandbox.clear_faults()
        return passed

    printed = book(language, demo, twin, tmp_path, end_outage_once_told)

    assert statuses[0] == 503
    assert statuses[-1] in {200, 201}
    if isinstance(printed, dict):
        printed["data"].setdefault("idempotent_request", True)
    check_booked(language, printed)
