"""Counting must not cost what is counted: whoever tells of a thing has done it, and goes on.

A counter writes into a mapped file, whose growing the system may refuse. A booking that HubSpot has
taken would then seem to have failed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

import structlog

P = ParamSpec("P")

log = structlog.get_logger(__name__)


def never_raising(observe: Callable[P, None]) -> Callable[P, None]:
    """Log what `observe` raises, the first time: it is called several times a request."""
    was_logged = False

    @wraps(observe)
    def run(*arguments: P.args, **named: P.kwargs) -> None:
        nonlocal was_logged
        try:
            observe(*arguments, **named)
        except Exception:
            if not was_logged:
                was_logged = True
                log.exception("metrics_not_counted", observer=observe.__qualname__)

    return run
