"""What the list of exams costs after a change: whoever books moves no exam to another list, so only
the exam is read again; the search is for changes that may move one."""

from __future__ import annotations

import pytest

from tests.builders import Exam
from tests.desk import School, create
from tests.webhooks import CACHE_INVALIDATION, Events, tell

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.larger_portal,
    pytest.mark.usefixtures("webhook_secret"),
]

AVAILABLE = "/api/mock-exams/available"
READ, SEARCH = "objects.batch_read", "objects.search"


@pytest.fixture
def exam(school: School) -> Exam:
    """An exam that is listed, with its list in the cache."""
    made = school.portal.exam(capacity=5)
    look(school)
    return made


def look(school: School) -> list[tuple[str, int]]:
    """Ask which exams there are; return what of the exams was asked of HubSpot, and by how many
    calls."""
    school.portal.sandbox.clear_calls()
    assert school.api.get(AVAILABLE, mock_type=school.portal.first_type.value).status == 200
    exams = school.portal.profile.object_types.mock_exams
    calls = school.portal.sandbox.calls()
    operations = [call["operation"] for call in calls if call["object_type"] == exams]
    return [(each, operations.count(each)) for each in sorted(set(operations))]


def tell_of(school: School, exam: Exam, name: str) -> None:
    """Tell that a property of the exam changed, by the profile's name for it or HubSpot's."""
    named = school.portal.profile.exam_properties.get(name, name)
    event = Events(school.portal.profile).exam("propertyChange", exam.id, propertyName=named)
    assert tell(school.api, event, path=CACHE_INVALIDATION).status == 200


def test_after_a_booking_the_exam_is_read_and_nothing_searched_for(
    school: School, exam: Exam
) -> None:
    assert create(school.api, school.portal.student("alice"), exam).status == 201

    assert look(school) == [(READ, 1)]


@pytest.mark.parametrize("name", ["total_bookings", "capacity", "unheard_of"])
def test_what_moves_no_exam_to_another_list_costs_one_read(
    name: str, school: School, exam: Exam
) -> None:
    tell_of(school, exam, name)

    assert look(school) == [(READ, 1)]


@pytest.mark.parametrize("name", ["is_active", "mock_type", "exam_date"])
def test_what_may_move_it_is_searched_for(name: str, school: School, exam: Exam) -> None:
    tell_of(school, exam, name)

    assert (SEARCH, 1) in look(school)
