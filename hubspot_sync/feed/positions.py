"""Where the feed stands, kept in one row that only the lease's holder moves.

The offset moves only from the value that was read before, in the transaction that stores what came
with it: killed in between, the same is read again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from hashlib import sha256
from typing import Any, Final, Protocol

from hubspot_sync.config import JournalConfig
from hubspot_sync.feed.models import FeedPosition

MAX_ERROR_CHARS: Final = 300


class FeedLease(Protocol):
    """What the one process holds that follows the feed. `epoch` grows with each holder."""

    @property
    def epoch(self) -> int: ...

    def fenced_transaction(self) -> AbstractContextManager[None]:
        """A transaction that takes place only while the lease is held; raises otherwise."""
        ...


class PositionMoved(Exception):
    """The offset is not the one that was read: somebody else has moved it."""


class Positions:
    """One source's row; `now` is the clock that all processes share."""

    def __init__(self, config: JournalConfig, now: Callable[[], datetime]) -> None:
        self._portal_id = config.portal_id
        self._source = name_source(config)
        self._now = now

    def load(self) -> FeedPosition | None:
        """Return the position; None before the first start, or with another app or portal."""
        return FeedPosition.objects.filter(source=self._source).first()

    def knows_other_source(self) -> bool:
        """Return whether the journal of another app, portal or version was followed until now."""
        return FeedPosition.objects.exclude(source=self._source).exists()

    def begin(self, lease: FeedLease, offset: str, *, lost_at: datetime | None) -> None:
        """Begin at an offset; what was known of other sources is forgotten. `lost_at` is when that
        was, None where nothing was known."""
        with lease.fenced_transaction():
            FeedPosition.objects.exclude(source=self._source).delete()
            FeedPosition.objects.get_or_create(
                source=self._source,
                defaults={
                    "portal_id": self._portal_id,
                    "offset": offset,
                    "lost_at": lost_at,
                    "recount_due": lost_at is not None,
                    "erasures_missed_at": lost_at,
                },
            )

    @contextmanager
    def moving(
        self, lease: FeedLease, position: FeedPosition, offset: str, **values: Any
    ) -> Iterator[None]:
        """A transaction that moves the offset on, with what is stored in the block. Raises
        PositionMoved, and what the lease raises where it is lost."""
        with lease.fenced_transaction():
            same = FeedPosition.objects.filter(pk=position.pk, offset=position.offset)
            if same.update(offset=offset, **values) != 1:
                raise PositionMoved
            yield
        _assign(position, offset=offset, **values)

    def note(self, lease: FeedLease, position: FeedPosition, **values: Any) -> None:
        """Write down what does not move the offset."""
        with lease.fenced_transaction():
            FeedPosition.objects.filter(pk=position.pk).update(**values)
        _assign(position, **values)

    def note_failure(self, error: str) -> None:
        """Write down why the feed stands still; says nothing of the lease."""
        rows = FeedPosition.objects.filter(source=self._source)
        rows.filter(failing_since=None).update(failing_since=self._now())
        rows.exclude(error=error[:MAX_ERROR_CHARS]).update(error=error[:MAX_ERROR_CHARS])

    def recount_due_since(self) -> datetime | None:
        """Return when something was missed, while the upcoming exams are to be counted anew."""
        rows = FeedPosition.objects.filter(source=self._source, recount_due=True)
        return rows.values_list("lost_at", flat=True).first()

    def note_recounted(self, since: datetime) -> None:
        """Write down that they were, for what was missed then."""
        rows = FeedPosition.objects.filter(source=self._source, lost_at=since)
        rows.update(recount_due=False)

    def note_unreadable(self, position: FeedPosition) -> None:
        """Write down that something told could not be understood or kept: it may have been that
        somebody is to be forgotten. For a transaction that moves the offset."""
        now = self._now()
        FeedPosition.objects.filter(pk=position.pk).update(erasures_missed_at=now)
        _assign(position, erasures_missed_at=now)

    def erasures_missed_since(self) -> datetime | None:
        """Return when a request to forget somebody may last have been lost; None where those lost
        were looked for since."""
        rows = FeedPosition.objects.filter(source=self._source)
        return rows.values_list("erasures_missed_at", flat=True).first()

    def note_erasures_found(self, since: datetime) -> None:
        """Write down that those were looked for that may have been lost until then."""
        rows = FeedPosition.objects.filter(source=self._source, erasures_missed_at=since)
        rows.update(erasures_missed_at=None)


def name_source(config: JournalConfig) -> str:
    """Return the name of an app's journal of a portal: offsets mean nothing elsewhere."""
    parts = (config.base_url, config.client_id, config.portal_id, config.dated_version)
    return sha256("\n".join(parts).encode()).hexdigest()


def _assign(position: FeedPosition, **values: Any) -> None:
    for name, value in values.items():
        setattr(position, name, value)
