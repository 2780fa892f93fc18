"""All checks at the same time, each with a limit: what is silent holds up neither the others nor
whoever asked."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import structlog
from django.db import connections

from booking_api.ops.doctor.diagnosis import Diagnosis
from hubspot_sync.background.wait_limits import WaitingUntil
from hubspot_sync.preflight import FindingKind

MAX_CHECK_S: Final = 5.0
MAX_SLOW_CHECK_S: Final = 12.0
"""For a check that asks a dozen times."""
GRACE_S: Final = 0.5
"""So much longer a check may take to say that it was not answered."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """`look` yields what it finds as it finds it. `silence` is the verdict where it is not done in
    `max_s`: wrong for what is ours, unknown for what is not."""

    area: str
    look: Callable[[], Iterator[Diagnosis]]
    silence: FindingKind = FindingKind.UNKNOWN
    max_s: float = MAX_CHECK_S
    advice: str = ""


@dataclass(slots=True)
class _Run:
    check: Check
    found: list[Diagnosis] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        # A daemon: one that hangs must not keep the process from ending.
        name = f"check {self.check.area}"
        threading.Thread(target=self._look, name=name, daemon=True).start()

    def _look(self) -> None:
        try:
            with WaitingUntil(time.monotonic() + self.check.max_s):
                for diagnosis in self.check.look():
                    self.found.append(diagnosis)
        except Exception as error:
            # Whatever one check stumbles over, the others are worth seeing.
            log.exception("check_failed", area=self.check.area)
            said = f"the check itself failed: {type(error).__name__}"
            self.found.append(self._describe(FindingKind.UNKNOWN, said))
        finally:
            self.ended.set()
            connections.close_all()

    def wait(self, until_s: float) -> list[Diagnosis]:
        """Return what was found by then."""
        if self.ended.wait(max(0.0, until_s - time.monotonic())):
            return list(self.found)
        silence = f"did not answer in {self.check.max_s:.0f} s"
        return [*self.found, self._describe(self.check.silence, silence, self.check.advice)]

    def _describe(self, verdict: FindingKind, found: str, advice: str = "") -> Diagnosis:
        area = self.check.area
        return Diagnosis(area=area, subject="", verdict=verdict, found=found, advice=advice)


def examine(checks: Sequence[Check]) -> list[Diagnosis]:
    """Return what the checks found, in their order; ends when the longest limit is over at the
    latest."""
    began_s = time.monotonic()
    runs = [_Run(check) for check in checks]
    for run in runs:
        run.start()
    return [
        diagnosis for run in runs for diagnosis in run.wait(began_s + run.check.max_s + GRACE_S)
    ]
