"""The shared cache's Redis: is it there, may it be written, and does it keep what it is given?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final, cast

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from booking_api.ops.doctor.clocks import compare_clock, timed
from booking_api.ops.doctor.deployment import Deployment
from booking_api.ops.doctor.diagnosis import Diagnosis
from hubspot_sync.preflight import FindingKind

AREA: Final = "Redis"
ADVICE: Final = "See that it runs, and what REDIS_URL says; without it every read goes to HubSpot."
MAX_WAIT_S: Final = 1.5
NEARLY_FULL: Final = 0.9
MIB: Final = 1024 * 1024


def check_redis(deployment: Deployment) -> Iterator[Diagnosis]:
    if deployment.redis_url == "":
        yield _diagnose(
            "", FindingKind.OK, "none: the cache is in the one serving process's memory"
        )
        return
    try:
        client = Redis.from_url(
            deployment.redis_url,
            socket_timeout=MAX_WAIT_S,
            socket_connect_timeout=MAX_WAIT_S,
            retry=Retry(NoBackoff(), 0),
        )
        with client:
            yield from _look(client, deployment)
    except (RedisError, OSError, ValueError) as error:
        said = f"cannot be used: {str(error) or type(error).__name__}"
        yield _diagnose("", FindingKind.WRONG, said, ADVICE)


def _look(client: Redis, deployment: Deployment) -> Iterator[Diagnosis]:
    client.ping()
    span = timed(client.ping)
    took_ms = (span.answered_at - span.asked_at).total_seconds() * 1000
    # INFO alone, not CONFIG: a hosted Redis allows the one and often not the other.
    told = cast(Mapping[str, Any], client.info())
    version = told.get("redis_version", "")
    yield _diagnose("", FindingKind.OK, f"Redis {version} answers in {took_ms:.1f} ms")
    if told.get("role") != "master":
        yield _diagnose(
            "writes",
            FindingKind.WRONG,
            f"it is a {told.get('role')}, which takes no writes",
            "Point REDIS_URL at the primary.",
        )
    yield _judge_memory(told)
    seconds: list[tuple[int, int]] = []
    span = timed(lambda: seconds.append(client.time()))
    theirs = datetime.fromtimestamp(seconds[0][0] + seconds[0][1] / 1e6, UTC)
    yield compare_clock("Redis", theirs, span)
    state = f"{{{deployment.cache_prefix}}}:state"
    is_ours = client.exists(state) == 1
    yield _diagnose(
        "entries",
        FindingKind.OK,
        f"this deployment's are under {deployment.cache_prefix}"
        if is_ours
        else f"none under {deployment.cache_prefix} yet: no server of these settings has used it",
    )


def _judge_memory(told: Mapping[str, Any]) -> Diagnosis:
    used, most = int(told.get("used_memory", 0)), int(told.get("maxmemory", 0))
    policy = str(told.get("maxmemory_policy", "unknown"))
    found = f"{used // MIB} MiB in use, "
    if most == 0:
        return _diagnose("memory", FindingKind.OK, f"{found}no limit of its own ({policy})")
    found = f"{found}{most // MIB} MiB at most, {policy}"
    # The others drop what has a time to live: whole entries, which are loaded again.
    if policy.startswith("allkeys"):
        return _diagnose(
            "memory",
            FindingKind.WRONG,
            f"{found}: it may drop what says which entries an invalidation is for",
            "Set maxmemory-policy noeviction; CACHE_MAX_BYTES bounds what we keep there.",
        )
    if used > NEARLY_FULL * most:
        advice = "Raise maxmemory, or lower CACHE_MAX_BYTES: what does not fit is not cached."
        return _diagnose("memory", FindingKind.WARNING, found, advice)
    return _diagnose("memory", FindingKind.OK, found)


def _diagnose(subject: str, verdict: FindingKind, found: str, advice: str = "") -> Diagnosis:
    return Diagnosis(area=AREA, subject=subject, verdict=verdict, found=found, advice=advice)
