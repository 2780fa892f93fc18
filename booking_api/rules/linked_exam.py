"""Which exam a booking is of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from hubspot_sync.portal.records import MockExam


def first_linked_exam(exam_ids: Iterable[str], exams: Mapping[str, MockExam]) -> MockExam | None:
    """Return the exam a booking is linked to; the first by id, should a person have linked two."""
    linked_ids = [exam_id for exam_id in exam_ids if exam_id in exams]
    # Ids are compared as the numbers they are.
    first_id = min(linked_ids, key=lambda exam_id: (len(exam_id), exam_id), default=None)
    return None if first_id is None else exams[first_id]
