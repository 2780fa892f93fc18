"""What one member of staff may see of a student, by the permissions of the pages behind it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, PermissionsMixin

from cache_layer.permissions import VIEW_PERSONAL_DATA

User = PermissionsMixin | AbstractBaseUser | AnonymousUser


@dataclass(frozen=True, kw_only=True, slots=True)
class Sight:
    """`persons` are names, e-mails, student ids and all that people wrote."""

    persons: bool
    notes: bool
    reviews: bool
    erasures: bool
    events: bool
    unreadable: bool

    def list_hidden(self) -> Iterator[str]:
        """Yield what is left out, in words."""
        hidden = {
            "names, e-mails, student ids and what people wrote": self.persons,
            "notes": self.notes,
            "credit reviews": self.reviews,
            "that the person is to be forgotten": self.erasures,
            "what HubSpot told": self.events,
            "values that cannot be read": self.unreadable,
        }
        yield from (words for words, is_seen in hidden.items() if not is_seen)


def sight_of(user: AbstractBaseUser | AnonymousUser) -> Sight:
    may = user.has_perm  # type: ignore[union-attr]
    return Sight(
        persons=may(VIEW_PERSONAL_DATA),
        notes=may("booking_api.view_outboxnote"),
        reviews=may("booking_api.view_creditreview"),
        erasures=may("booking_api.view_erasurerequest"),
        events=may("hubspot_sync.view_webhookevent"),
        unreadable=may("hubspot_sync.view_unreadablevalue"),
    )
