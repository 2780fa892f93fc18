"""`manage.py hubspot_check` as an operator sees it: a table, or JSON, and an exit code."""

from __future__ import annotations

import dataclasses
import json
import socket
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command, execute_from_command_line
from pytest_django import Settings

from hubspot_sync.config import HubSpotConfig
from tests.sandbox import SandboxHandle


@pytest.fixture
def config(kind_sandbox: SandboxHandle, settings: Settings) -> HubSpotConfig:
    config = HubSpotConfig(base_url=kind_sandbox.base_url, token=kind_sandbox.token)
    settings.HUBSPOT = config
    settings.HUBSPOT_PORTAL = "default"
    return config


def run(*arguments: str) -> str:
    output = StringIO()
    call_command("hubspot_check", *arguments, stdout=output)
    return output.getvalue()


def run_json(*arguments: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(run("--json", *arguments))
    return answer


@pytest.mark.usefixtures("config")
def test_a_portal_that_fits_is_shown_as_a_table() -> None:
    table = run()

    assert "Portal profile default" in table
    assert "bookings.seat_key" in table
    assert "missing" not in table


@pytest.mark.usefixtures("config")
def test_a_machine_gets_json() -> None:
    answer = run_json()

    assert answer["ok"] is True
    assert {"area", "subject", "found", "wanted", "verdict"} == set(answer["findings"][0])


@pytest.mark.usefixtures("config")
@pytest.mark.parametrize("app_info", ["empty", "without_app"])
def test_a_key_that_hubspot_tells_little_of_is_checked_all_the_same(
    kind_sandbox: SandboxHandle, app_info: str
) -> None:
    kind_sandbox.configure(app_info=app_info)

    answer = run_json()

    assert answer["ok"] is True
    of_token = {row["verdict"] for row in answer["findings"] if row["area"] == "token"}
    assert of_token == {"unknown" if app_info == "empty" else "ok"}


@pytest.mark.usefixtures("config")
def test_something_missing_is_exit_code_1(settings: Settings) -> None:
    settings.HUBSPOT_PORTAL = "prepdoctors"

    with pytest.raises(SystemExit) as ending:
        run()

    assert ending.value.code == 1


@pytest.mark.usefixtures("config")
def test_trials_are_made_only_when_asked_for(kind_sandbox: SandboxHandle) -> None:
    without = run_json()
    made_without = kind_sandbox.calls_count("objects.batch_create")
    with_trials = run_json("--probe")

    assert made_without == 0
    assert len(with_trials["findings"]) == len(without["findings"]) + 4


@pytest.mark.usefixtures("config")
def test_missing_properties_are_created_only_when_asked_for(
    settings: Settings, kind_sandbox: SandboxHandle, tmp_path: Any
) -> None:
    profile = tmp_path / "school.toml"
    shipped = settings.BASE_DIR / "hubspot_sync" / "portal" / "default.toml"
    text = shipped.read_text(encoding="utf-8")
    profile.write_text(text.replace('= "credits_osce"', '= "credits_viva"'), encoding="utf-8")
    settings.HUBSPOT_PORTAL = str(profile)

    with pytest.raises(SystemExit):
        run()
    made_without = kind_sandbox.calls_count("properties.create")
    answer = run_json("--apply")

    assert made_without == 0
    verdicts = {row["subject"]: row["verdict"] for row in answer["findings"]}
    assert (answer["ok"], verdicts["contacts.credits_viva"]) == (True, "made")


def test_a_token_hubspot_does_not_know_is_exit_code_2(
    config: HubSpotConfig, settings: Settings
) -> None:
    settings.HUBSPOT = dataclasses.replace(config, token="stale")

    with pytest.raises(CommandError, match="the token in HS_PRIVATE_APP_TOKEN") as refusal:
        run()

    assert refusal.value.returncode == 2


@pytest.mark.usefixtures("config")
def test_a_hubspot_that_does_not_answer_is_exit_code_2(kind_sandbox: SandboxHandle) -> None:
    kind_sandbox.fault("cut_before", path="schemas")

    with pytest.raises(CommandError, match=kind_sandbox.base_url) as refusal:
        run()

    assert refusal.value.returncode == 2


def test_why_no_connection_came_about_is_said(config: HubSpotConfig, settings: Settings) -> None:
    with socket.socket() as nobodys:
        nobodys.bind(("127.0.0.1", 0))
        settings.HUBSPOT = dataclasses.replace(
            config, base_url=f"http://127.0.0.1:{nobodys.getsockname()[1]}"
        )

        with pytest.raises(CommandError, match="connection refused"):
            run()


def test_a_name_without_address_is_said(config: HubSpotConfig, settings: Settings) -> None:
    settings.HUBSPOT = dataclasses.replace(config, base_url="http://nobody.invalid")

    with pytest.raises(CommandError, match="its name has no address"):
        run()


@pytest.mark.usefixtures("config")
def test_settings_of_the_api_alone_do_not_keep_us_from_looking(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    """Their checks end with exit code 1, which here means that something is missing."""
    settings.SECRET_KEY = "weak"
    settings.DEBUG = False

    execute_from_command_line(["manage.py", "hubspot_check"])

    assert "Portal profile default" in capsys.readouterr().out


@pytest.mark.usefixtures("config")
def test_a_profile_that_cannot_be_read_is_exit_code_2(settings: Settings) -> None:
    settings.HUBSPOT_PORTAL = "oxford"

    with pytest.raises(CommandError, match="HUBSPOT_PORTAL is 'oxford'") as refusal:
        run()

    assert refusal.value.returncode == 2
