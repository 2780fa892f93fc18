"""Which of HubSpot's signatures are taken, and until when the weaker ones are.

v1 and v2 have no time in them: whoever once recorded a request could send it for ever, and v1 could
be sent to any address. They are taken because private apps send nothing else (hubspot-facts, "Which
signature comes"). Three things make up for it:

- An app that has once signed v3 rightly is not believed with less. This is kept in the database,
  so it holds for all processes and after a restart. A v3 signature that is not right says nothing.
- What is signed without a time must tell of something that HubSpot would still be repeating.
- An event that is known already does nothing (`receiver.py`), and the inbox keeps events for longer
  than this page takes them.

Where v3 is not among the accepted kinds, whoever set it so wants the weaker ones whatever was seen.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from typing import Final

from django.utils import timezone

from hubspot_sync.inbox.events import Event
from hubspot_sync.webhooks.models import SeenSignature
from hubspot_sync.webhooks.signature import (
    InvalidSignature,
    SignatureResult,
    SignatureVersion,
    SignedRequest,
    claimed_version,
    verify,
)

MAX_UNTIMED_AGE: Final = timedelta(hours=26)
"""HubSpot repeats a delivery for a day (hubspot-facts, Webhooks), and begins a little late."""
MAX_UNTIMED_LEAD: Final = timedelta(hours=1)
"""So far a clock of ours may be behind. What comes from later would be good for longer than the
inbox knows it again."""


class SignaturePolicy:
    """Says who is HubSpot. `now` is the wall clock, aware."""

    def __init__(self, now: Callable[[], datetime] = timezone.now) -> None:
        self._now = now

    def check(
        self,
        request: SignedRequest,
        secrets: Sequence[str],
        accepted: Collection[SignatureVersion],
    ) -> SignatureVersion:
        """Return how the request is signed; raise InvalidSignature with the reason, and Django's
        database errors where nobody can say what was seen."""
        result = verify(request, secrets, self._now(), accepted)
        version = claimed_version(request, accepted)
        if result is not SignatureResult.VERIFIED or isinstance(version, SignatureResult):
            raise InvalidSignature(result)
        if SignatureVersion.V3 not in accepted:
            return version
        seen = SeenSignature.objects.filter(version=SignatureVersion.V3).exists()
        if version is not SignatureVersion.V3 and seen:
            raise InvalidSignature(SignatureResult.SUPERSEDED)
        if version is SignatureVersion.V3 and not seen:
            first = SeenSignature(version=version, first_seen_at=self._now())
            SeenSignature.objects.bulk_create([first], ignore_conflicts=True)
        return version


def is_timely(event: Event, now: datetime) -> bool:
    """Whether HubSpot may be telling of this event now, by what the event itself says."""
    occurred_at = event.occurred_at
    return occurred_at is not None and (
        now - MAX_UNTIMED_AGE <= occurred_at <= now + MAX_UNTIMED_LEAD
    )
