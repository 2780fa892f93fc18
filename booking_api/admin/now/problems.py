"""What is wrong now, the worst first, in sentences; and the one that says it all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from booking_api.admin.now.links import Links
from booking_api.admin.now.words import JOBS, count, write_age, write_duration, write_share
from booking_api.ops.history import tally as keys
from booking_api.ops.history.reading import History
from booking_api.ops.now.bounds import (
    DAY_NEARLY_USED,
    MAX_BACKLOG,
    MAX_SINCE_JOB,
    MAX_UNFINISHED,
    MAX_WAIT_FOR_DESK,
)
from booking_api.ops.now.desk import Waiting
from booking_api.ops.now.picture import Picture
from booking_api.ops.now.webhooks import stands_still_since
from hubspot_sync.reading.availability import State
from hubspot_sync.wire.circuit_breaker import BreakerState

LIMITED_WITHIN: Final = 10
"""Minutes."""
BAD: Final = "bad"
WARN: Final = "warn"
GOOD: Final = "good"
ALL_WELL: Final = "Everything is at work."


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """`tone` is "bad" where somebody should look now, "warn" where it can wait; `link` leads to
    what is meant, "" where nothing may be opened."""

    tone: str
    sentence: str
    link: str = ""


def list_problems(picture: Picture, links: Links) -> list[Problem]:
    """Return what is wrong, the worst first."""
    found = [
        *_of_what_is_unknown(picture),
        *_of_desk(picture, links),
        *_of_hubspot(picture),
        *_of_cache(picture, links),
        *_of_webhooks(picture, links),
        *_of_jobs(picture),
    ]
    return sorted(found, key=lambda problem: problem.tone != BAD)


def sum_up(problems: list[Problem]) -> Problem:
    """Return the state in one sentence."""
    return problems[0] if problems else Problem(tone=GOOD, sentence=ALL_WELL)


def _of_what_is_unknown(picture: Picture) -> Iterator[Problem]:
    if picture.unanswered:
        yield Problem(
            tone=BAD,
            sentence="The database did not answer all that was asked: what says “not known” is "
            "not known.",
        )
    history = picture.history
    if history is not None and not history.processes and not history.day.is_empty:
        yield Problem(
            tone=WARN,
            sentence="No process has written down what it did in the last two minutes.",
            link="#workers",
        )


def _of_desk(picture: Picture, links: Links) -> Iterator[Problem]:
    desk = picture.desk
    for_persons = sum(filter(None, desk.for_persons.values()))
    if for_persons > 0:
        waits = "waits" if for_persons == 1 else "wait"
        yield Problem(
            tone=BAD,
            sentence=f"{count(for_persons, 'row', 'rows')} {waits} for a person.",
            link="#persons",
        )
    requests = desk.waiting.get("requests")
    if _is_late(requests, picture, MAX_WAIT_FOR_DESK):
        yield Problem(
            tone=BAD,
            sentence="The booking desk serves nobody: "
            + _describe(requests, picture, "request waits", "requests wait"),
            link=links.journal(outcome="queued"),
        )
    unfinished = desk.waiting.get("unfinished")
    if _is_late(unfinished, picture, MAX_UNFINISHED):
        yield Problem(
            tone=BAD,
            sentence=_describe(
                unfinished, picture, "request is not finished", "requests are not finished"
            ),
            link=links.journal(outcome="unfinished"),
        )


def _of_hubspot_lately(history: History) -> Iterator[Problem]:
    processes = history.processes
    unanswered = sum(process.lately.peak(keys.BREAKER) > 0 for process in processes)
    if unanswered > 0:
        yield Problem(
            tone=WARN,
            sentence="In the last two minutes HubSpot did not answer "
            f"{unanswered} of {count(len(processes), 'process', 'processes')} as it should.",
            link="#hubspot",
        )


def _of_hubspot(picture: Picture) -> Iterator[Problem]:
    hubspot, history = picture.hubspot, picture.history
    if hubspot.breaker is not BreakerState.CLOSED or hubspot.state is State.FAILED:
        yield Problem(
            tone=BAD,
            sentence="HubSpot does not answer as it should: bookings are refused until it does.",
            link="#hubspot",
        )
    elif history is not None:
        yield from _of_hubspot_lately(history)
    used, limit = calls_today(picture)
    if used > DAY_NEARLY_USED * limit:
        yield Problem(
            tone=BAD if used >= limit else WARN,
            sentence=f"{write_share(used, limit)} of the day's calls to HubSpot are used.",
            link="#hubspot",
        )
    limited = 0
    if history is not None:
        limited = sum(
            span.measured.total(keys.LIMITED) for span in history.minutes[-LIMITED_WITHIN:]
        )
    if limited > 0:
        yield Problem(
            tone=WARN,
            sentence="HubSpot said “too many calls” "
            f"{count(limited, 'time', 'times')} in the last ten minutes.",
            link="#hubspot",
        )


def calls_today(picture: Picture) -> tuple[int, int]:
    """Return how many calls were made since midnight, and how many may be. The history knows of
    all processes, the budget of those that are shared or this one's: the larger is nearer."""
    counted = 0 if picture.history is None else picture.history.today.total(keys.CALLS)
    used, limit = picture.hubspot.day
    return max(counted, used), limit


def _of_cache(picture: Picture, links: Links) -> Iterator[Problem]:
    cache, history = picture.cache, picture.history
    if cache.enabled and not (cache.available and cache.all_delivered):
        yield Problem(
            tone=BAD,
            sentence="The cache is passed by: every read goes to HubSpot.",
            link=links.cache,
        )
    drifted = 0 if history is None else history.hour.total(keys.DRIFT)
    if drifted > 0:
        yield Problem(
            tone=WARN,
            sentence=f"{count(drifted, 'entry', 'entries')} of the cache differed from HubSpot "
            "in the last hour.",
            link=links.validations,
        )


def _of_webhooks(picture: Picture, links: Links) -> Iterator[Problem]:
    webhooks = picture.webhooks
    if _is_late(webhooks.waiting, picture, MAX_BACKLOG):
        yield Problem(
            tone=BAD,
            sentence="What HubSpot tells is not applied: "
            + _describe(webhooks.waiting, picture, "event waits", "events wait"),
            link=links.webhooks(state__exact="received"),
        )
    if webhooks.failed is not None and webhooks.failed > 0:
        yield Problem(
            tone=WARN,
            sentence=f"{count(webhooks.failed, 'webhook event', 'webhook events')} could not be "
            "applied.",
            link=links.webhooks(state__exact="failed"),
        )
    position = webhooks.feed[0] if webhooks.feed else None
    if position is not None and stands_still_since(position, picture.at) is not None:
        yield Problem(
            tone=WARN,
            sentence="HubSpot's change journal is not followed: answers are kept for their time to "
            "live and no longer.",
            link=links.feed,
        )
    if webhooks.unreadable is not None and webhooks.unreadable > 0:
        yield Problem(
            tone=WARN,
            sentence=f"{count(webhooks.unreadable, 'value', 'values')} in HubSpot cannot be read.",
            link=links.unreadable_values,
        )


def _of_jobs(picture: Picture) -> Iterator[Problem]:
    for run in picture.jobs or ():
        name = JOBS.get(run.job, run.job)
        if run.failure != "":
            yield Problem(tone=WARN, sentence=f"{name}: the last run failed.", link="#jobs")
        elif picture.at - run.ended_at > MAX_SINCE_JOB:
            age = write_age(run.ended_at, picture.at)
            yield Problem(tone=WARN, sentence=f"{name}: last done {age} ago.", link="#jobs")


def _is_late(waiting: Waiting | None, picture: Picture, bound: timedelta) -> bool:
    oldest_at = None if waiting is None else waiting.oldest_at
    return oldest_at is not None and picture.at - oldest_at > bound


def _describe(waiting: Waiting | None, picture: Picture, one: str, many: str) -> str:
    if waiting is None or waiting.oldest_at is None:
        return ""
    age = write_duration(picture.at - waiting.oldest_at)
    oldest = f"for {age}" if waiting.number == 1 else f"the oldest for {age}"
    return f"{count(waiting.number, one, many)}, {oldest}."
