"""What journeys have, for what is deployed: a portal, a PostgreSQL, a Redis."""

from __future__ import annotations

from tests.journeys.conftest import (  # noqa: F401 - fixtures
    database_url,
    portal,
    postgres,
    redis_url,
)
