"""System checks: settings that are each fine and together would break a promise.

`manage.py` commands run them, and so does `wsgi.py`, so that no server starts past an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Info, register, run_checks
from django.core.checks import Warning as Caution
from django.core.exceptions import ImproperlyConfigured

from booking_api.env_types import csv
from hubspot_sync.errors import ConfigurationError
from hubspot_sync.portal.profile import load_profile

TAG = "booking_api"
# As Django's own deployment check has it.
MIN_SECRET_KEY_LENGTH = 50
MIN_SECRET_KEY_UNIQUE = 5
MIN_METRICS_TOKEN_LENGTH = 16
MIN_CRON_SECRET_LENGTH = 16
# HubSpot's are UUIDs of 36 characters.
MIN_WEBHOOK_SECRET_LENGTH = 16
# What Django takes for the name in a Host header (`host_validation_re`), or a dot and one.
HOST_PATTERN = re.compile(r"\.?[a-z0-9-]+(\.[a-z0-9-]+)*|\[[a-f0-9]*:[a-f0-9.:]+\]", re.IGNORECASE)

Check = Callable[[], Iterator[CheckMessage]]


def check_secret_key() -> Iterator[CheckMessage]:
    key = settings.SECRET_KEY
    weak = len(key) < MIN_SECRET_KEY_LENGTH or len(set(key)) < MIN_SECRET_KEY_UNIQUE
    if settings.DEBUG or not (weak or key.startswith("django-insecure-")):
        return
    yield Error(
        "SECRET_KEY is missing or weak.",
        hint=(
            f"Set SECRET_KEY to at least {MIN_SECRET_KEY_LENGTH} random characters: "
            "python -c 'import secrets; print(secrets.token_urlsafe(50))'"
        ),
        id="booking_api.E001",
    )


def check_hubspot_token() -> Iterator[CheckMessage]:
    if settings.DEBUG or settings.HUBSPOT.token != "":
        return
    yield Error(
        "HS_PRIVATE_APP_TOKEN is missing: HubSpot would refuse every call.",
        hint="Set HS_PRIVATE_APP_TOKEN to the private app's token or a service key.",
        id="booking_api.E002",
    )


def check_shared_cache() -> Iterator[CheckMessage]:
    if settings.PROCESSES == 1 or settings.REDIS_URL != "":
        return
    yield Error(
        f"{settings.PROCESSES} processes without REDIS_URL: each would keep a cache of its own, "
        "and an invalidation would reach only one of them.",
        hint="Set REDIS_URL, or serve with one process (SERVER_WORKERS=1) and more threads.",
        id="booking_api.E003",
    )


def check_portal_profile() -> Iterator[CheckMessage]:
    try:
        load_profile(settings.HUBSPOT_PORTAL)
    except ConfigurationError as error:
        yield Error(
            str(error),
            hint="Set HUBSPOT_PORTAL to default, prepdoctors, or the path of a TOML file.",
            id="booking_api.E004",
        )


def check_cron_secret() -> Iterator[CheckMessage]:
    if settings.CRON_SECRET == "":
        if not settings.DEBUG:
            yield Caution(
                "CRON_SECRET is not set: only staff may start the periodic jobs over HTTP.",
                hint="Set CRON_SECRET to a random secret and give it to the scheduler.",
                id="booking_api.W005",
            )
    elif any(len(secret) < MIN_CRON_SECRET_LENGTH for secret in csv(settings.CRON_SECRET)):
        yield Error(
            "CRON_SECRET is weak.",
            hint=f"Set CRON_SECRET to at least {MIN_CRON_SECRET_LENGTH} random characters.",
            id="booking_api.E006",
        )


def check_metrics_token() -> Iterator[CheckMessage]:
    if any(len(token) < MIN_METRICS_TOKEN_LENGTH for token in csv(settings.METRICS_TOKEN)):
        yield Error(
            "METRICS_TOKEN is weak.",
            hint=f"Set METRICS_TOKEN to at least {MIN_METRICS_TOKEN_LENGTH} random characters.",
            id="booking_api.E015",
        )


def check_webhook_secret() -> Iterator[CheckMessage]:
    secrets = settings.HUBSPOT_WEBHOOK_SECRETS
    if len(secrets) == 0:
        if not settings.DEBUG:
            yield Caution(
                "HUBSPOT_WEBHOOK_SECRET is not set: HubSpot's webhooks are refused, and what "
                "changes there is seen only as cached answers grow old.",
                hint="Set HUBSPOT_WEBHOOK_SECRET to the client secret of the app that sends them.",
                id="booking_api.W008",
            )
    elif any(len(secret) < MIN_WEBHOOK_SECRET_LENGTH for secret in secrets):
        yield Error(
            "HUBSPOT_WEBHOOK_SECRET is weak.",
            hint="Set HUBSPOT_WEBHOOK_SECRET to what HubSpot shows as the app's client secret.",
            id="booking_api.E009",
        )


def check_webhook_signatures() -> Iterator[CheckMessage]:
    weak = [version for version in settings.HUBSPOT_WEBHOOK_SIGNATURES if version != "v3"]
    if settings.DEBUG or len(settings.HUBSPOT_WEBHOOK_SECRETS) == 0 or len(weak) == 0:
        return
    yield Info(
        f"Webhooks signed {' or '.join(weak)} are accepted: such a signature has no time in it, so "
        "that a recorded delivery can be sent again for a day.",
        hint="Set HUBSPOT_WEBHOOK_SIGNATURES=v3 if the app signs v3 (the admin's “seen signatures” "
        "say so); private apps sign v1 alone.",
        id="booking_api.I017",
    )


def check_allowed_hosts() -> Iterator[CheckMessage]:
    if len(settings.ALLOWED_HOSTS) > 0:
        return
    yield Error(
        "ALLOWED_HOSTS is empty: every request would be refused.",
        hint="Set ALLOWED_HOSTS to the names this API is reached by, separated by commas.",
        id="booking_api.E007",
    )


def check_form_of_hosts() -> Iterator[CheckMessage]:
    """Django compares a request's host name with these as they stand, and says of none that it is
    no name."""
    hosts = settings.ALLOWED_HOSTS
    wrong = [host for host in hosts if host != "*" and HOST_PATTERN.fullmatch(host) is None]
    if len(wrong) == 0:
        return
    sentence = f"ALLOWED_HOSTS has what no request's host can be: {', '.join(wrong)}."
    hint = (
        "Set ALLOWED_HOSTS to names alone, without https://, port or path, as booking.example.org; "
        ".example.org stands for itself and every name below it."
    )
    if len(wrong) < len(hosts):
        yield Caution(sentence, hint=hint, id="booking_api.W018")
    else:
        yield Error(f"{sentence} Every request would be refused.", hint=hint, id="booking_api.E018")


def check_trusted_proxies() -> Iterator[CheckMessage]:
    if any(network.endswith("/0") for network in settings.TRUSTED_PROXIES):
        yield Caution(
            "TRUSTED_PROXIES names everybody: whoever calls may say who they are, and no throttle "
            "by address holds.",
            hint="Set TRUSTED_PROXIES to the addresses or networks of our own proxies alone.",
            id="booking_api.W013",
        )


CHECKS: tuple[Check, ...] = (
    check_secret_key,
    check_hubspot_token,
    check_shared_cache,
    check_portal_profile,
    check_cron_secret,
    check_metrics_token,
    check_webhook_secret,
    check_webhook_signatures,
    check_allowed_hosts,
    check_form_of_hosts,
    check_trusted_proxies,
)


@register(TAG)
def check_settings(**_: Any) -> list[CheckMessage]:
    return [message for check in CHECKS for message in check()]


def refuse_unsafe_start() -> None:
    """Raise ImproperlyConfigured with what is wrong and what to set; a server's first step."""
    serious = [message for message in run_checks(tags=[TAG]) if message.is_serious()]
    if len(serious) > 0:
        raise ImproperlyConfigured(" ".join(f"{m.msg} {m.hint}" for m in serious))
