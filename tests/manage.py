"""`manage.py` as a user runs it: its own process, with the environment that a test gives."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PRODUCTION = {
    "SECRET_KEY": secrets.token_urlsafe(50),
    "HS_PRIVATE_APP_TOKEN": "pat-eu1-00000000",
    "CRON_SECRET": secrets.token_urlsafe(30),
    "HUBSPOT_WEBHOOK_SECRET": secrets.token_urlsafe(30),
    "HUBSPOT_WEBHOOK_SIGNATURES": "v3",
}


def manage(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run manage.py with these variables and no others of ours."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=kept | {"ENV_FILE": ""} | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
