"""Which checks there are for a deployment, in the order they are shown."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from booking_api.ops.doctor.database_check import ADVICE as DATABASE_ADVICE
from booking_api.ops.doctor.database_check import AREA as DATABASE
from booking_api.ops.doctor.database_check import check_database
from booking_api.ops.doctor.deployment import Deployment
from booking_api.ops.doctor.examination import MAX_SLOW_CHECK_S, Check
from booking_api.ops.doctor.feed_check import AREA as FEED
from booking_api.ops.doctor.feed_check import check_feed
from booking_api.ops.doctor.hubspot_check import check_hubspot, check_hubspot_clock
from booking_api.ops.doctor.redis_check import ADVICE as REDIS_ADVICE
from booking_api.ops.doctor.redis_check import AREA as REDIS
from booking_api.ops.doctor.redis_check import check_redis
from booking_api.ops.doctor.server_check import check_public_address, check_server
from booking_api.ops.doctor.settings_check import check_settings
from booking_api.ops.doctor.versions_check import check_versions
from booking_api.ops.doctor.webhooks_check import check_webhooks
from booking_api.ops.doctor.workers_check import check_workers
from hubspot_sync.preflight import FindingKind


def list_checks(deployment: Deployment) -> Iterator[Check]:
    # Django's own checks load the whole application, which takes as long as it takes.
    yield Check(area="settings", look=partial(check_settings, deployment), max_s=MAX_SLOW_CHECK_S)
    yield Check(area="versions", look=partial(check_versions, deployment))
    yield Check(
        area=DATABASE,
        look=partial(check_database, deployment),
        silence=FindingKind.WRONG,
        advice=DATABASE_ADVICE,
    )
    yield Check(
        area=REDIS,
        look=partial(check_redis, deployment),
        silence=FindingKind.WRONG,
        advice=REDIS_ADVICE,
    )
    if deployment.asks_hubspot:
        yield Check(area="HubSpot", look=partial(check_hubspot, deployment), max_s=MAX_SLOW_CHECK_S)
        yield Check(area="clocks", look=partial(check_hubspot_clock, deployment))
    yield Check(area="webhooks", look=partial(check_webhooks, deployment))
    yield Check(area=FEED, look=partial(check_feed, deployment), max_s=MAX_SLOW_CHECK_S)
    yield Check(area="workers", look=partial(check_workers, deployment))
    if deployment.server_url != "":
        yield Check(area="server", look=partial(check_server, deployment), max_s=MAX_SLOW_CHECK_S)
    if deployment.public_base_url != "" and deployment.server_url != "":
        yield Check(area="server", look=partial(check_public_address, deployment))
