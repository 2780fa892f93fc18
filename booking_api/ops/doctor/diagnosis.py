"""A diagnosis: one thing that was looked at, what was found, and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from hubspot_sync.preflight import FindingKind

ALL_WELL, SOMETHING_WRONG, COULD_NOT_ASK = 0, 1, 2
WRONG: Final = frozenset({FindingKind.WRONG, FindingKind.MISSING})


@dataclass(frozen=True, kw_only=True, slots=True)
class Diagnosis:
    """`advice` is empty where nothing is to be done."""

    area: str
    subject: str
    verdict: FindingKind
    found: str
    advice: str = ""


def exit_code(diagnoses: Sequence[Diagnosis], *, warnings_fail: bool) -> int:
    """Return what a probe goes by: something wrong comes before something that is not known."""
    verdicts = {diagnosis.verdict for diagnosis in diagnoses}
    failing = WRONG | {FindingKind.WARNING} if warnings_fail else WRONG
    if verdicts & failing:
        return SOMETHING_WRONG
    return COULD_NOT_ASK if FindingKind.UNKNOWN in verdicts else ALL_WELL
