"""What tests of the journal's pages share: staff with some permissions, rows, pages read."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from booking_api.desk.journal.models import EntryState, JournalEntry

JOURNAL = "/admin/booking_api/journalentry/"
STORY = f"{JOURNAL}student/"
SEE_JOURNAL = "view_journalentry"
SEE_PERSONS = "view_personal_data"


def staff(*permissions: str, name: str = "olga") -> Client:
    """Somebody who is logged in and has these permissions and no others."""
    user = User.objects.create_user(name, is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def said(client: Client, path: str, **fields: Any) -> str:
    """The page as text with its tags."""
    response = client.get(path, fields, follow=True)
    assert response.status_code == 200
    return html.unescape(response.content.decode())


def read(page: str) -> str:
    """What a person reads of a page, its blanks made one."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page)).strip()


def listed(page: str) -> set[int]:
    """The rows of the journal that the page lists."""
    return {int(id_) for id_ in re.findall(rf"{JOURNAL}(\d+)/change/", page)}


def read_rows(page: str) -> dict[int, str]:
    """What a person reads of each row of the journal's list, by its id."""
    rows = re.findall(r"<tr.*?</tr>", page, re.DOTALL)
    return {id_: read(row) for row in rows for id_ in listed(row)}


def make_row(**fields: Any) -> JournalEntry:
    """Store a row of the journal: a create of Alice's that arrived an hour ago and took 2.5 s."""
    now = timezone.now()
    arrived_at = fields.pop("arrived_at", now - timedelta(hours=1))
    number = JournalEntry.objects.count() + 1
    asked = {
        "student_id": "S1001",
        "email": "alice.moreau@example.org",
        "contact_id": "1456",
        "mock_exam_id": "5012",
        "name": "Alice Moreau",
        "exam_date": "2026-12-01",
        "mock_type": "clinical",
        "fields": {},
    }
    return JournalEntry.objects.create(
        **{
            "kind": "create",
            "state": EntryState.QUEUED,
            "idempotency_key": f"key-{number}",
            "fingerprint": f"{number:064}",
            "email": "alice.moreau@example.org",
            "request": asked,
            "contact_id": "1456",
            "arrived_at": arrived_at,
            "wanted_until": arrived_at + timedelta(seconds=25),
            "changed_at": arrived_at + timedelta(seconds=2.5),
            **fields,
        }
    )


def refused(code: str, message: str = "A sentence for the student.") -> dict[str, Any]:
    """The fields of a row that was refused with this code."""
    return {"state": EntryState.REFUSED, "answer": {"code": code, "message": message}}


def state_of(row: JournalEntry) -> str:
    """Return the state that the row is in by now."""
    state: str = JournalEntry.objects.get(id=row.id).state
    return state
