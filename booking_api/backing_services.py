"""Django's settings of what stands behind the API: its database and its caches."""

from __future__ import annotations

from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

from booking_api.env_variables import BASE_DIR, Variable


def database(url: str, pool_size: Variable, *, limits_session: bool = True) -> dict[str, Any]:
    """Return Django's settings of the database at `url`, or of a file where that is empty;
    `pool_size` is read where there is a pool. `limits_session` has each session ask PostgreSQL for
    its limits."""
    url = url or f"sqlite:///{BASE_DIR / 'db.sqlite3'}"
    # What cannot be read of an address may be a part of its password.
    wrong = ImproperlyConfigured(
        "DATABASE_URL must be an address as sqlite:///file or postgres://user:password@host/name."
    )
    if not url.startswith(("sqlite:///", "postgres://", "postgresql://")):
        raise wrong
    try:
        config: dict[str, Any] = environ.Env.db_url_config(url)
    except ValueError:
        raise wrong from None
    if config["ENGINE"] == "django.db.backends.sqlite3":
        # Readers beside one writer; a writer waits its turn at BEGIN instead of failing half-way.
        config["OPTIONS"] = {
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
        }
    else:
        # Its driver takes a tenth of a start, which a process with a file need not wait for.
        from hubspot_sync.background.postgres.connections import (
            CONNECTION_OPTIONS,
            POOL_OPTIONS,
            limit_session,
        )

        # Threads outnumber the connections a server allows; each has one only while it uses it.
        pool = POOL_OPTIONS | {"max_size": pool_size.read()}
        # What the address itself says, such as sslmode, stays.
        given = config.get("OPTIONS", {})
        options = CONNECTION_OPTIONS | given | {"pool": pool}
        if limits_session:
            options["options"] = limit_session(options.get("options", ""))
        config["OPTIONS"] = options
        config["ENGINE"] = "hubspot_sync.background.postgres"
    return config


def caches(url: str) -> dict[str, Any]:
    """Return Django's settings of its cache: in the Redis at `url`, or in this process without."""
    if not url:
        local = "django.core.cache.backends.locmem.LocMemCache"
        return {"default": {"BACKEND": local, "LOCATION": "default"}}
    if not url.startswith(("redis://", "rediss://", "unix://")):
        raise ImproperlyConfigured("REDIS_URL must be an address as redis://host/0.")
    # Without a serializer of its own it would keep pickles, which run whatever somebody put there.
    quick = {
        "SOCKET_CONNECT_TIMEOUT": 1,
        "SOCKET_TIMEOUT": 1,
        "SERIALIZER": "django_redis.serializers.json.JSONSerializer",
    }
    shared = {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": url}
    return {"default": shared | {"OPTIONS": quick, "KEY_PREFIX": "mocks"}}
