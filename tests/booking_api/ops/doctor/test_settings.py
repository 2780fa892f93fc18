"""`manage.py doctor`: settings, as a process of its own reads them."""

from __future__ import annotations

import json
from pathlib import Path

from tests.booking_api.ops.doctor.patient import Report
from tests.manage import PRODUCTION, manage


def test_settings_that_cannot_serve_and_names_that_nobody_reads(tmp_path: Path) -> None:
    env_file = tmp_path / "env"
    env_file.write_text("CRON_SECRT=x\nSOME_THING=1\n# NOT_THIS=1\n", encoding="utf-8")
    given = PRODUCTION | {
        "SECRET_KEY": "short",
        "ENV_FILE": str(env_file),
        "HUBSPOT_WEBHOOK_SECRETS": "several",
        "DATABASE_URL": f"sqlite:///{tmp_path / 'db.sqlite3'}",
    }

    ended = manage("doctor", "--offline", "--no-server", "--json", **given)

    report = Report(ended.returncode, json.loads(ended.stdout))
    assert (report.code, report.verdict("settings", "booking_api.E001")) == (1, "wrong")
    advice = {
        each["subject"]: each["advice"]
        for each in report.body["findings"]
        if "no setting has this name" in each["found"]
    }
    assert set(advice) == {"CRON_SECRT", "SOME_THING", "HUBSPOT_WEBHOOK_SECRETS"}
    assert advice["CRON_SECRT"] == "CRON_SECRET is meant?"
    assert report.verdict("database", "migrations") == "wrong"
    for secret in (given["CRON_SECRET"], given["HUBSPOT_WEBHOOK_SECRET"]):
        assert secret not in ended.stdout + ended.stderr


def test_a_value_that_cannot_be_read_is_a_sentence() -> None:
    ended = manage("doctor", DEBUG="perhaps")

    assert ended.returncode == 1
    assert ended.stderr == "Cannot start: DEBUG must be true or false, not 'perhaps'.\n"
