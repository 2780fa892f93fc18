"""The application's settings, whatever the machine's environment and `.env` say."""

from __future__ import annotations

import os

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
    "WARM_",
)
for name in [name for name in os.environ if name.startswith(OWN)]:
    del os.environ[name]
os.environ |= {"ENV_FILE": "", "DEBUG": "true", "LOG_LEVEL": "WARNING"}

from booking_api.settings import *  # noqa: E402, F403 - all of them, after the environment

# Passwords are tried by the hundred here, and the usual hash takes a tenth of a second for each.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

# Nobody needs the tests' database after the machine has lost its power.
DATABASES["default"]["OPTIONS"]["init_command"] += "PRAGMA synchronous=OFF;"  # noqa: F405

# A worker hands its connection back after each step, which is a pool's business; here each would be
# made anew, in more time than most steps take.
DATABASES["default"]["CONN_MAX_AGE"] = None  # noqa: F405
