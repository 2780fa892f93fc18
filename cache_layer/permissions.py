"""What staff may do with the cache, as Django's permissions: who has none may only log in.

Superusers have all. Django prefixes a permission with its app's label, see `apps.py`.
"""

from __future__ import annotations

from typing import Final

VIEW_ENTRIES: Final = "cache.view_entries"
VALIDATE: Final = "cache.validate"
INVALIDATE: Final = "cache.invalidate"
VIEW_PERSONAL_DATA: Final = "cache.view_personal_data"
"""To see who somebody is, in entries and in the admin's other pages: a student's id and e-mail are
their login."""

NAMES: Final = {
    VIEW_ENTRIES: "Can see the cache's numbers and entries",
    VALIDATE: "Can compare the cache with the truth and repair it",
    INVALIDATE: "Can remove entries from the cache",
    VIEW_PERSONAL_DATA: "Can see personal data: names, e-mails, student ids",
}


def describe_for_model(*permissions: str) -> tuple[tuple[str, str], ...]:
    """Return permissions as the options of a model declare them."""
    return tuple((permission.partition(".")[2], NAMES[permission]) for permission in permissions)


def explain_missing(permission: str) -> str:
    """Return what somebody is told who lacks a permission."""
    return (
        f"That needs the permission “{NAMES[permission]}” ({permission}). An administrator can "
        "give it to you."
    )
