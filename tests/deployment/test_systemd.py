"""`deploy/systemd/`, by systemd's own checker: each unit is one, and has as little as it needs."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from booking_api.env_variables import VARIABLES
from tests.deployment.promises import require
from tests.manage import ROOT

UNITS = ROOT / "deploy" / "systemd"
SERVICES = sorted(path.name for path in UNITS.glob("*.service"))
TIMERS = sorted(path.name for path in UNITS.glob("*.timer"))
PROMISE = "SYSTEMD_PROMISED"
MAX_EXPOSURE = 20
"""In tenths, of a hundred; a unit that says nothing has 96."""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A machine on which the units are installed, as docs/operations.md says."""
    root = tmp_path_factory.mktemp("root")
    shutil.copytree(UNITS, root / "etc" / "systemd" / "system")
    python = root / "opt" / "booking" / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    shutil.copy("/bin/true", python)
    for name in ("sysinit", "basic", "shutdown", "multi-user", "timers", "network-online"):
        made = root / "etc" / "systemd" / "system" / f"{name}.target"
        made.write_text(f"[Unit]\nDescription={name}\n")
    return root


def named(unit: str) -> str:
    return unit.replace("@.", "@8001.")


@pytest.mark.parametrize("unit", [*SERVICES, *TIMERS])
def test_a_unit_is_one(unit: str, root: Path) -> None:
    analyze = require("systemd-analyze", PROMISE)

    done = subprocess.run(
        [analyze, "verify", f"--root={root}", "--man=no", named(unit)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr.strip()) == (0, "")


@pytest.mark.parametrize("unit", SERVICES)
def test_a_service_is_exposed_little(unit: str, root: Path) -> None:
    analyze = require("systemd-analyze", PROMISE)

    done = subprocess.run(
        [
            *(analyze, "security", "--offline=yes", f"--threshold={MAX_EXPOSURE}"),
            *("--no-pager", f"--root={root}", named(unit)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr


def read(unit: str) -> dict[str, list[str]]:
    """Return a unit's settings: of each name all values."""
    lines = (UNITS / unit).read_text(encoding="utf-8").splitlines()
    settings: dict[str, list[str]] = {}
    for name, _, value in (line.partition("=") for line in lines if re.match(r"[A-Z]\w+=", line)):
        settings.setdefault(name, []).append(value)
    return settings


@pytest.mark.parametrize("unit", SERVICES)
def test_secrets_come_as_credentials_and_each_is_used(unit: str) -> None:
    settings = read(unit)
    credentials = {value.partition(":")[0] for value in settings.get("LoadCredential", [])}
    said = " ".join([*settings.get("Environment", []), *settings["ExecStart"]])

    assert set(re.findall(r"%d/([\w-]+)", said)) == credentials
    for variable in re.findall(r"\b([A-Z][A-Z_]+)=", " ".join(settings.get("Environment", []))):
        assert variable.removesuffix("_FILE") in VARIABLES or variable.startswith(
            ("PYTHON", "ENV_FILE")
        )


def test_a_server_has_time_to_end_by_itself_and_comes_back_always() -> None:
    settings = read("booking-api@.service")

    assert int(settings["TimeoutStopSec"][0]) > VARIABLES["STOP_TIMEOUT_S"].default
    assert settings["KillMode"] == ["mixed"]
    assert settings["Restart"] == ["always"]
    # Neither the migrations' end nor their restart takes a server down.
    assert "booking-migrate.service" not in " ".join(settings.get("Requires", []))
    assert settings["ExecStartPre"][0].endswith("manage.py migrate --check")


@pytest.mark.parametrize("timer", TIMERS)
def test_a_timer_has_its_service_and_a_time_that_is_one(timer: str) -> None:
    analyze = require("systemd-analyze", PROMISE)
    (when,) = read(timer)["OnCalendar"]

    assert timer.replace(".timer", ".service") in SERVICES
    assert subprocess.run([analyze, "calendar", when], check=False).returncode == 0
