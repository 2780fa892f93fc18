"""The environment, read into settings: every variable known, every bad value refused by name."""

from __future__ import annotations

import os
import re
import runpy
import signal
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from booking_api.backing_services import caches, database
from booking_api.env_types import integer, number, rate
from booking_api.env_variables import VARIABLES, EnvironmentOrFiles, configured_secrets
from booking_api.settings import cache_origin, cache_prefix, hubspot_config
from tests.manage import PRODUCTION, ROOT, manage
from tests.server import free_port

READERS = {
    "HUBSPOT_RATE_LIMIT": hubspot_config,
    "HUBSPOT_API_VERSION": hubspot_config,
    "HUBSPOT_BASE_URL": hubspot_config,
    "HS_PRIVATE_APP_TOKEN": hubspot_config,
    "DATABASE_URL": lambda: database(value_of("DATABASE_URL"), VARIABLES["DATABASE_POOL_SIZE"]),
    "REDIS_URL": lambda: caches(value_of("REDIS_URL")),
}


NUMBERS = [name for name, each in VARIABLES.items() if each.parse in (integer, number)]
RATES = [name for name, each in VARIABLES.items() if each.parse is rate]


def value_of(name: str) -> Any:
    return VARIABLES[name].read()


def key_prefix() -> str:
    return cache_prefix(hubspot_config(), value_of("HUBSPOT_PORTAL"), value_of("DEPLOYMENT_NAME"))


def origin() -> str:
    return cache_origin(hubspot_config(), value_of("HUBSPOT_PORTAL"))


def documented() -> dict[str, str]:
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    pairs = (line.partition("=") for line in lines if re.match(r"[A-Z]", line))
    return {name: value for name, _, value in pairs}


def test_env_example_names_every_variable_and_no_other() -> None:
    assert set(documented()) == set(VARIABLES)


@pytest.mark.parametrize("name", VARIABLES)
def test_env_example_shows_the_default(name: str) -> None:
    variable = VARIABLES[name]

    assert variable.parse(documented()[name]) == variable.default


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HUBSPOT_PORTAL", "prepdoctors"),
        ("HUBSPOT_BASE_URL", "http://127.0.0.1:1"),
        ("DEPLOYMENT_NAME", "staging"),
    ],
)
def test_portals_that_share_a_redis_share_no_entries(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = key_prefix()

    monkeypatch.setenv(name, value)

    assert key_prefix() != ours


def test_another_token_hears_of_the_same_invalidations_and_serves_only_its_own_entries(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shared, ours = key_prefix(), origin()

    monkeypatch.setenv("HS_PRIVATE_APP_TOKEN", "pat-the-next")

    assert key_prefix() == shared
    assert origin() != ours


def test_the_deployment_check_is_clean_with_production_settings() -> None:
    result = manage("check", "--deploy", "--fail-level", "WARNING", **PRODUCTION)

    assert result.returncode == 0, result.stderr
    assert "no issues" in result.stdout


def test_the_example_as_it_is_works_for_development(tmp_path: Path) -> None:
    copied = tmp_path / ".env"
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    copied.write_text(text.replace("DEBUG=false", "DEBUG=true"), encoding="utf-8")

    result = manage("check", ENV_FILE=str(copied))

    assert result.returncode == 0, result.stderr


def test_a_missing_secret_stops_the_start_and_says_what_to_set() -> None:
    result = manage("check", DEBUG="false", HS_PRIVATE_APP_TOKEN="pat-eu1-00000000")

    assert result.returncode != 0
    assert "SECRET_KEY is missing or weak." in result.stderr
    assert "Set SECRET_KEY to at least 50 random characters" in result.stderr


@pytest.mark.chaos
def test_a_server_that_runs_no_checks_is_stopped_too() -> None:
    loading = "import booking_api.wsgi"

    result = subprocess.run(
        [sys.executable, "-c", loading],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "ENV_FILE": "", "DEBUG": "false"},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )

    assert result.returncode != 0
    assert "Set SECRET_KEY to at least 50 random characters" in result.stderr


@pytest.mark.sampled
@pytest.mark.parametrize(
    "url",
    [
        f"postgres://somebody:top-secret@127.0.0.1:{free_port()}/bookings",
        "sqlite:////no/where/db.sqlite3",
    ],
    ids=["postgres", "sqlite"],
)
def test_a_database_that_does_not_answer_is_named_without_a_traceback(url: str) -> None:
    result = manage("migrate", DATABASE_URL=url, **PRODUCTION)

    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith("Cannot start: the database of DATABASE_URL")
    assert "Traceback" not in result.stderr
    assert "top-secret" not in result.stderr


def test_a_bad_value_stops_the_start_with_a_sentence_and_no_traceback() -> None:
    result = manage("check", DEBUG="ture")

    assert result.stderr == "Cannot start: DEBUG must be true or false, not 'ture'.\n"


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("HUBSPOT_RATE_LIMIT", "many", "HUBSPOT_RATE_LIMIT must be a whole number, not 'many'."),
        ("HUBSPOT_RATE_LIMIT", "0", "HUBSPOT_RATE_LIMIT must be above 0, not 0."),
        ("HUBSPOT_READ_TIMEOUT_S", "x", "HUBSPOT_READ_TIMEOUT_S must be a number, not 'x'."),
        ("HUBSPOT_RATE_WINDOW_S", "nan", "HUBSPOT_RATE_WINDOW_S must be a number, not 'nan'."),
        ("REQUEST_DEADLINE_S", "inf", "REQUEST_DEADLINE_S must be a number, not 'inf'."),
        ("PROMETHEUS_MULTIPROC_DIR", "/no/where", "PROMETHEUS_MULTIPROC_DIR must be a folder that"),
        ("HUBSPOT_API_VERSION", "v3", "HUBSPOT_API_VERSION must be one of"),
        ("HUBSPOT_BASE_URL", "api.hubapi.com", "HUBSPOT_BASE_URL must be an http"),
        ("HS_PRIVATE_APP_TOKEN", "pat-1\n", "HS_PRIVATE_APP_TOKEN must have no blanks"),
        ("THROTTLE_READS", "100", "THROTTLE_READS must be a rate as 100/minute"),
        ("THROTTLE_READS", "0/minute", "THROTTLE_READS must be a rate as 100/minute"),
        ("TRUSTED_PROXIES", "proxy", "TRUSTED_PROXIES must be addresses or networks"),
        ("LOG_LEVEL", "LOUD", "LOG_LEVEL must be one of DEBUG, INFO, WARNING, ERROR"),
        ("PUBLIC_BASE_URL", "booking.example.org", "PUBLIC_BASE_URL must be an address as https"),
        ("PUBLIC_BASE_URL", "https://a.org/?x", "PUBLIC_BASE_URL must be an address without ?"),
        ("WEBHOOK_RETENTION_DAYS", "1", "WEBHOOK_RETENTION_DAYS must be at least 2, not 1."),
        ("WEBHOOK_RETENTION_DAYS", "36501", "WEBHOOK_RETENTION_DAYS must be at most 36500, not"),
        ("SERVER_THREADS", "0", "SERVER_THREADS must be at least 1, not 0."),
        ("SERVER_THREADS", "10001", "SERVER_THREADS must be at most 10000, not 10001."),
        ("THROTTLE_READS", "1000000001/hour", "THROTTLE_READS must be a rate as 100/minute"),
        ("DATABASE_URL", "nonsense://", "DATABASE_URL must be an address"),
        ("REDIS_URL", "localhost", "REDIS_URL must be an address as redis://host/0"),
    ],
)
def test_a_value_that_cannot_work_is_refused_in_a_sentence(
    name: str, value: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(ImproperlyConfigured) as refused:
        READERS.get(name, lambda: value_of(name))()

    assert sentence in str(refused.value)


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", ["1" + "0" * 30, "-1"])
def test_no_number_is_taken_that_nothing_can_be_done_with(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some would overflow a date or a wait, hours after the start; some start a million threads."""
    # Some are read only where they matter.
    monkeypatch.setenv("DEBUG", "false")
    monkeypatch.setenv("DATABASE_URL", "postgres://db.example.org/exams")
    monkeypatch.setenv(name, value)

    with pytest.raises(ImproperlyConfigured, match=rf"^{name} must be "):
        runpy.run_path(str(ROOT / "booking_api/settings.py"))


@pytest.mark.parametrize("name", RATES)
@pytest.mark.parametrize("count", ["1" + "0" * 30, "9" * 5_000, "-1"])
def test_no_rate_is_taken_that_nobody_can_count(
    name: str, count: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, f"{count}/minute")

    with pytest.raises(ImproperlyConfigured, match=rf"^{name} must be a rate as 100/minute "):
        value_of(name)


@pytest.mark.parametrize("name", [name for name in NUMBERS if name.endswith(("_S", "_DAYS"))])
def test_whatever_time_is_taken_can_be_waited_for_and_looked_back(name: str) -> None:
    most = VARIABLES[name].most
    longest = timedelta(days=most) if name.endswith("_DAYS") else timedelta(seconds=most)

    assert datetime.now(UTC) - longest < datetime.now(UTC) + longest
    if name.endswith("_S"):
        with socket.socket() as waiting:
            waiting.settimeout(most)


def test_what_a_databases_address_says_of_its_connections_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://somebody@db.example.org/exams?sslmode=require")

    options = database(value_of("DATABASE_URL"), VARIABLES["DATABASE_POOL_SIZE"])["OPTIONS"]

    assert options["sslmode"] == "require"
    assert options["pool"]["max_size"] == 10


@pytest.mark.chaos
def test_every_limit_can_be_switched_off() -> None:
    """One of them is named after secrets, which logs mask by their values."""
    limits = [name for name in VARIABLES if name.startswith("THROTTLE_")]
    assert len(limits) > 0

    done = manage("check", **PRODUCTION, **dict.fromkeys(limits, ""))

    assert done.returncode == 0, done.stderr


def test_a_value_may_stand_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "token"
    file.write_text("pat-eu1-of-a-file\n")
    monkeypatch.setenv("HS_PRIVATE_APP_TOKEN", "pat-eu1-of-the-environment")
    monkeypatch.setenv("HS_PRIVATE_APP_TOKEN_FILE", str(file))
    monkeypatch.setattr("booking_api.env_variables.environment.ENVIRON", EnvironmentOrFiles())

    assert hubspot_config().token == "pat-eu1-of-a-file"
    assert "pat-eu1-of-a-file" in configured_secrets()


@pytest.mark.sampled
@pytest.mark.parametrize(
    "content", [None, b"\xff\xfe", b"x" * 65_537], ids=["no file", "no text", "a log, say"]
)
def test_a_file_that_cannot_be_read_stops_the_start_with_a_sentence(
    content: bytes | None, tmp_path: Path
) -> None:
    file = tmp_path / "key"
    if content is not None:
        file.write_bytes(content)

    result = manage("check", **PRODUCTION, SECRET_KEY_FILE=str(file))

    assert result.returncode == 1
    assert result.stderr.startswith("Cannot start: SECRET_KEY_FILE must name a file ")
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("kind", ["a pipe", "a device", "a folder"])
def test_what_is_no_file_is_not_read(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipe that nobody writes to would be read for ever."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    named = {"a pipe": pipe, "a device": Path(os.devnull), "a folder": tmp_path}[kind]
    monkeypatch.setenv("SECRET_KEY_FILE", str(named))

    with pytest.raises(ImproperlyConfigured, match="SECRET_KEY_FILE must name a file, no folder"):
        EnvironmentOrFiles()["SECRET_KEY"]


def test_a_password_in_a_file_is_a_secret_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "address"
    file.write_text("postgres://booking:hush-hush@db.example.org/exams\n")
    monkeypatch.setenv("DATABASE_URL_FILE", str(file))
    monkeypatch.setattr("booking_api.env_variables.environment.ENVIRON", EnvironmentOrFiles())

    assert value_of("DATABASE_URL").endswith("/exams")
    assert "hush-hush" in configured_secrets()


def test_each_of_several_secrets_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRON_SECRET", "the-old-cron-secret, the-new-cron-secret")

    assert {"the-old-cron-secret", "the-new-cron-secret"} <= set(configured_secrets())


def test_ctrl_c_ends_a_command_without_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also amid the first moments, in which modules are loaded."""

    def press(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("django.core.management.execute_from_command_line", press)

    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(ROOT / "manage.py"), run_name="__main__")

    assert ended.value.code == 128 + signal.SIGINT
