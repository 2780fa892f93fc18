"""The change journal's settings: all three of an app, or none, and nothing of them shown."""

from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured

from booking_api.env_variables import configured_secrets
from booking_api.settings import hubspot_config, journal_config
from hubspot_sync.config import JournalConfig

APP = {
    "HUBSPOT_CLIENT_ID": "0f1e2d3c",
    "HUBSPOT_CLIENT_SECRET": "a-secret-of-the-app",
    "HUBSPOT_PORTAL_ID": "62515",
}


def configured(*, debug: bool = False) -> JournalConfig:
    return journal_config(hubspot_config(), debug=debug)


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in APP:
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_without_an_app_there_is_no_journal_to_follow(environment: pytest.MonkeyPatch) -> None:
    assert not configured().is_set


def test_with_all_three_there_is_one(environment: pytest.MonkeyPatch) -> None:
    for name, value in APP.items():
        environment.setenv(name, value)

    config = configured()

    assert config.is_set
    assert "a-secret-of-the-app" not in repr(config)
    assert "a-secret-of-the-app" in configured_secrets()


@pytest.mark.parametrize("missing", APP)
def test_two_of_the_three_stop_the_start_and_name_the_third(
    environment: pytest.MonkeyPatch, missing: str
) -> None:
    for name, value in APP.items():
        if name != missing:
            environment.setenv(name, value)

    with pytest.raises(ImproperlyConfigured, match=f"Not set: {missing}") as stopped:
        configured()

    assert "a-secret-of-the-app" not in str(stopped.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HUBSPOT_PORTAL_ID", "default"),
        ("HUBSPOT_PORTAL_ID", "0"),
        ("HUBSPOT_PORTAL_ID", "-5"),
        ("HUBSPOT_PORTAL_ID", "6 2515"),
        ("HUBSPOT_CLIENT_SECRET", "two words"),
        ("HUBSPOT_CLIENT_ID", "naïve"),
        ("HUBSPOT_JOURNAL_FILE_BYTES", "1000"),
        ("HUBSPOT_JOURNAL_FILE_BYTES", "much"),
        ("HUBSPOT_JOURNAL_ALL_OBJECTS", "perhaps"),
    ],
)
def test_a_value_that_cannot_work_is_named(
    environment: pytest.MonkeyPatch, name: str, value: str
) -> None:
    for each, given in {**APP, name: value}.items():
        environment.setenv(each, given)

    with pytest.raises(ImproperlyConfigured, match=name) as stopped:
        configured()

    assert "a-secret-of-the-app" not in str(stopped.value)
    assert name != "HUBSPOT_CLIENT_SECRET" or value not in str(stopped.value)


def test_files_come_from_private_networks_in_debug_alone(environment: pytest.MonkeyPatch) -> None:
    assert not configured(debug=False).allow_private_files
    assert configured(debug=True).allow_private_files
