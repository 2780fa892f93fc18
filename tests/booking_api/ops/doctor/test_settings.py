"""`manage.py doctor`: settings, as a process of its own reads them."""

from __future__ import annotations

import json
from pathlib import Path

from tests.booking_api.ops.doctor.patient import Report
from tests.manage import PRODUCTION, manage


def test_settings_that_cannot_serve_and_names_that_nobody_reads(tmp_path: Path) -> None:
    env_file = tmp_path / "env"
    lines = (
        "CRON_SECRT=x",
        "SOME_THING=1",
        "# NOT_THIS=1",
        f"SECRET_KEY_FALLBACKS_FILE={tmp_path / 'none'}",
    )
    env_file.write_text("\n".join(lines), encoding="utf-8")
    for name in ("none", "token"):
        (tmp_path / name).write_text(f"{name}-of-ours\n", encoding="utf-8")
    given = PRODUCTION | {
        "HS_PRIVATE_APP_TOKEN": "another-token",
        "HS_PRIVATE_APP_TOKEN_FILE": str(tmp_path / "token"),
        "METRICS_TOKENS_FILE": str(tmp_path / "token"),
        "CACHE_ENABLED_FILE": "",
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
    assert set(advice) == {
        *("CRON_SECRT", "SOME_THING"),
        *("HUBSPOT_WEBHOOK_SECRETS", "METRICS_TOKENS_FILE"),
    }
    assert advice["CRON_SECRT"] == "CRON_SECRET is meant?"
    assert advice["METRICS_TOKENS_FILE"] == "METRICS_TOKEN_FILE is meant?"
    both = report.line("settings", "HS_PRIVATE_APP_TOKEN")
    assert (both["verdict"], "the file counts" in both["found"]) == ("warning", True)
    assert report.verdict("database", "migrations") == "wrong"
    for secret in (given["CRON_SECRET"], given["HUBSPOT_WEBHOOK_SECRET"]):
        assert secret not in ended.stdout + ended.stderr


def test_a_value_that_cannot_be_read_is_a_sentence() -> None:
    ended = manage("doctor", DEBUG="perhaps")

    assert ended.returncode == 1
    assert ended.stderr == "Cannot start: DEBUG must be true or false, not 'perhaps'.\n"
