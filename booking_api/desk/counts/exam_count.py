"""One exam as it was counted."""

from __future__ import annotations

from dataclasses import dataclass

from hubspot_sync.portal.records import MockExam


@dataclass(frozen=True, kw_only=True, slots=True)
class ExamCount:
    """An exam's stored count, 0 where that cannot be read, and the true one; `error` says why it
    could not be counted, or why the correction could not be written. `updated` is True once the
    correction is stored."""

    exam_id: str
    exam: MockExam | None = None
    actual: int | None = None
    updated: bool = False
    error: str = ""

    @property
    def stored(self) -> int:
        return 0 if self.exam is None else self.exam.stored_total or 0

    @property
    def differs(self) -> bool:
        """Whether HubSpot's count is to be corrected; one that cannot be read is, too."""
        if self.exam is None or self.actual is None:
            return False
        return self.actual != self.exam.stored_total
