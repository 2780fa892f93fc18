"""Settings that are each fine and together would break a promise."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from pytest_django import Settings

from booking_api.checks import check_settings, refuse_unsafe_start
from hubspot_sync.config import HubSpotConfig

STRONG = "".join(chr(ord("0") + number) for number in range(60))


@pytest.fixture
def production(settings: Settings) -> Settings:
    settings.DEBUG = False
    settings.SECRET_KEY = STRONG
    settings.CRON_SECRET = STRONG
    settings.HUBSPOT_WEBHOOK_SECRETS = [STRONG]
    settings.HUBSPOT_WEBHOOK_SIGNATURES = ["v3"]
    settings.HUBSPOT = HubSpotConfig(token="pat-eu1-00000000")
    return settings


def test_production_settings_as_they_should_be_pass(production: Settings) -> None:
    assert check_settings() == []


@pytest.mark.parametrize(
    ("changes", "id_"),
    [
        ({"SECRET_KEY": "for development only"}, "booking_api.E001"),
        ({"SECRET_KEY": "a" * 60}, "booking_api.E001"),
        ({"SECRET_KEY": "django-insecure-" + STRONG}, "booking_api.E001"),
        ({"HUBSPOT": HubSpotConfig()}, "booking_api.E002"),
        ({"PROCESSES": 2}, "booking_api.E003"),
        ({"HUBSPOT_PORTAL": "nowhere"}, "booking_api.E004"),
        ({"CRON_SECRET": ""}, "booking_api.W005"),
        ({"CRON_SECRET": "short"}, "booking_api.E006"),
        ({"CRON_SECRET": f"{STRONG},short"}, "booking_api.E006"),
        ({"METRICS_TOKEN": f"{STRONG},short"}, "booking_api.E015"),
        ({"METRICS_TOKEN": "short"}, "booking_api.E015"),
        ({"ALLOWED_HOSTS": []}, "booking_api.E007"),
        ({"ALLOWED_HOSTS": ["https://booking.example.org"]}, "booking_api.E018"),
        ({"ALLOWED_HOSTS": ["booking.example.org:443"]}, "booking_api.E018"),
        ({"ALLOWED_HOSTS": ["booking.example.org", "booking.example.org:443"]}, "booking_api.W018"),
        ({"ALLOWED_HOSTS": ["booking.example.org/"]}, "booking_api.E018"),
        ({"ALLOWED_HOSTS": ["*.example.org"]}, "booking_api.E018"),
        ({"ALLOWED_HOSTS": ["::1"]}, "booking_api.E018"),
        ({"HUBSPOT_WEBHOOK_SECRETS": []}, "booking_api.W008"),
        ({"TRUSTED_PROXIES": ["10.0.0.0/8", "::/0"]}, "booking_api.W013"),
        ({"HUBSPOT_WEBHOOK_SECRETS": [STRONG, "short"]}, "booking_api.E009"),
        ({"HUBSPOT_WEBHOOK_SIGNATURES": ["v3", "v1"]}, "booking_api.I017"),
        ({"HUBSPOT_WEBHOOK_SIGNATURES": ["v2"]}, "booking_api.I017"),
    ],
)
def test_each_check_speaks_alone_and_says_what_to_set(
    changes: dict[str, Any], id_: str, production: Settings
) -> None:
    for name, value in changes.items():
        setattr(production, name, value)

    messages = check_settings()

    assert [message.id for message in messages] == [id_]
    assert (messages[0].hint or "").startswith("Set ")


@pytest.mark.parametrize(
    "host", ["*", "booking.example.org", ".example.org", "10.0.0.7", "[::1]", "BOOKING.example.ORG"]
)
def test_whatever_a_request_can_match_is_a_host(host: str, production: Settings) -> None:
    production.ALLOWED_HOSTS = [host]

    assert check_settings() == []


def test_several_processes_may_share_a_redis(production: Settings) -> None:
    production.PROCESSES = 4
    production.REDIS_URL = "redis://127.0.0.1/0"

    assert check_settings() == []


def test_development_needs_no_secrets(production: Settings) -> None:
    production.DEBUG = True
    production.SECRET_KEY = "for development only"
    production.HUBSPOT = HubSpotConfig()
    production.CRON_SECRET = ""
    production.HUBSPOT_WEBHOOK_SECRETS = []

    assert check_settings() == []


def test_a_warning_lets_the_server_start(production: Settings) -> None:
    production.CRON_SECRET = ""

    refuse_unsafe_start()


def test_an_error_does_not(production: Settings) -> None:
    production.SECRET_KEY = "weak"

    with pytest.raises(ImproperlyConfigured, match="Set SECRET_KEY"):
        refuse_unsafe_start()
