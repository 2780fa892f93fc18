"""The thread that applies the inbox: one in each process that serves, which starts it.

It is woken by a request that stored something; it waits a moment then, because what happens
together in HubSpot comes in several events. It also looks by itself for what other processes and
crashes left. Its own failures are logged and end nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from django.db import Error as DatabaseFailure
from django.db import connection

from hubspot_sync.background.worker import Worker

logger = logging.getLogger(__name__)

# So a flood costs HubSpot a few calls a second; measured in `make bench`.
GATHER_S: Final = 1.0
LOOK_AGAIN_S: Final = 5.0
STOP_WITHIN_S: Final = 10.0


def build_inbox_worker(
    apply_waiting: Callable[[], object],
    *,
    gather_s: float = GATHER_S,
    look_again_s: float = LOOK_AGAIN_S,
) -> Worker:
    """Return a worker that has not started; `apply_waiting`, called from its thread alone, applies
    all that waits."""

    def apply_and_rest() -> float:
        try:
            apply_waiting()
        except DatabaseFailure:
            logger.exception("The inbox cannot be read; it is tried again")
            connection.close()
        except Exception:
            logger.exception("The inbox cannot be applied; it is tried again")
        return look_again_s

    return Worker(
        "webhooks",
        apply_and_rest,
        gather_s=gather_s,
        starts_when_woken=False,
        stop_within_s=STOP_WITHIN_S,
    )
