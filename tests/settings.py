"""The application's settings, whatever the machine's environment and `.env` say."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

OWN = (
    "HUBSPOT_",
    "HS_",
    "CACHE_",
    "THROTTLE_",
    "CORS_",
    "REDIS_URL",
    "DATABASE_URL",
    "CRON_SECRET",
    "PUBLIC_BASE_URL",
    "WEBHOOK_",
    "SCHEDULER",
    "DEPLOYMENT_NAME",
    "SECRET_KEY_FALLBACKS",
    "RECOUNT_",
    "VALIDATE_",
)
for name in [name for name in os.environ if name.startswith(OWN)]:
    del os.environ[name]
os.environ |= {"ENV_FILE": "", "DEBUG": "true", "LOG_LEVEL": "WARNING"}

from booking_api.settings import *  # noqa: E402, F403 - all of them, after the environment

# Passwords are tried by the hundred here, and the usual hash takes a tenth of a second for each.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

# Threads and child processes share the tests' database, which one in memory does not allow. Nobody
# needs it after the machine has lost its power.
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":  # noqa: F405
    DATABASES["default"]["TEST"] = {  # noqa: F405
        "NAME": str(Path(tempfile.gettempdir()) / f"mock-exams-tests-{os.getpid()}.sqlite3")
    }
    DATABASES["default"]["OPTIONS"]["init_command"] += "PRAGMA synchronous=OFF;"  # noqa: F405
