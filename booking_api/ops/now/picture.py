"""What is true right now, as far as it can be known within a few seconds. Looking changes nothing,
and asks HubSpot nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, time

from django.utils import timezone

from booking_api import composition
from booking_api.composition import Services
from booking_api.ops.history.models import JobRun
from booking_api.ops.history.process import history, read_shared_clock
from booking_api.ops.history.reading import History, list_job_runs, read_history
from booking_api.ops.now.desk import DeskNow, look_at_desk
from booking_api.ops.now.hubspot import HubSpotNow, look_at_hubspot
from booking_api.ops.now.questions import Questions
from booking_api.ops.now.webhooks import WebhooksNow, look_at_webhooks
from cache_layer.operating.report import CacheReport, build_report
from hubspot_sync.portal.profile import PortalProfile


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """Taken at `at`, by the database's clock where that is known. None stands for what is not
    known, and `unanswered` names it. `object_types` has words for HubSpot's ids of kinds."""

    at: datetime
    midnight: datetime
    desk: DeskNow
    webhooks: WebhooksNow
    hubspot: HubSpotNow
    cache: CacheReport
    history: History | None
    jobs: Sequence[JobRun] | None
    object_types: Mapping[str, str]
    unanswered: Sequence[str]


def take_picture() -> Picture:
    services, questions = composition.services(), Questions()
    told = questions.ask("the time", read_shared_clock)
    at = services.clocks.now() if told is None else told
    midnight = midnight_before(at, services)
    desk = look_at_desk(questions, midnight, at)
    webhooks = look_at_webhooks(questions)
    past = questions.ask("history", lambda: read_history(at, midnight))
    jobs = questions.ask("jobs", list_job_runs)
    return Picture(
        at=at,
        midnight=midnight,
        desk=desk,
        webhooks=webhooks,
        hubspot=look_at_hubspot(services, history().observers.breaker),
        cache=build_report(services.cached.cache, timezone.now()),
        history=past,
        jobs=jobs,
        object_types=name_object_types(services.profile),
        unanswered=tuple(questions.unanswered),
    )


def midnight_before(at: datetime, services: Services) -> datetime:
    """Return when the portal's day began."""
    zone = services.profile.time_zone
    return datetime.combine(at.astimezone(zone).date(), time(), tzinfo=zone)


def name_object_types(profile: PortalProfile) -> dict[str, str]:
    """Return "contacts", "mock exams" by HubSpot's ids."""
    types = profile.object_types
    named = {getattr(types, each.name): each.name.replace("_", " ") for each in fields(types)}
    return {type_id: name for type_id, name in named.items() if type_id is not None}
