"""Waiting for calm: until all that may take a while is so, and HubSpot is not written to any more.

How long that took is told; what is not so after the limit is broken.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from tests.chaos.judge.facts import Facts
from tests.chaos.judge.promises import SETTLING
from tests.sandbox import SandboxHandle

LOOK_EVERY_S = 1.0
QUIET_S = 4.0
WRITES = ("create", "update", "batch_create", "batch_update")


def wait_for_calm(
    sandbox: SandboxHandle, look: Callable[[], Facts], limit_s: float
) -> tuple[Facts, float]:
    """Return the facts once all is calm, or at the limit, and how long that took in seconds. The
    looks' own calls are reads."""
    begun_s = time.monotonic()
    pause = threading.Event()
    quiet_since_s, written = begun_s, _count_writes(sandbox)
    while True:
        facts = look()
        now_s = time.monotonic()
        if (writes := _count_writes(sandbox)) != written:
            quiet_since_s, written = now_s, writes
        is_calm = all(judge(facts).holds for judge in SETTLING)
        if is_calm and now_s > quiet_since_s + QUIET_S:
            return facts, quiet_since_s - begun_s
        if now_s > begun_s + limit_s:
            return facts, now_s - begun_s
        pause.wait(LOOK_EVERY_S)


def _count_writes(sandbox: SandboxHandle) -> int:
    return sum(1 for call in sandbox.calls() if call["operation"].rpartition(".")[2] in WRITES)
