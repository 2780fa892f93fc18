"""What can go wrong in the cache, as a tree.

CacheError
├── BackendUnavailable    the store did not answer; a read goes to its loader instead
├── TableUnavailable      the table of undelivered invalidations did not answer; reads bypass
├── InvalidationUnacknowledged  neither took an invalidation; whoever asked may promise nothing
├── UnreadableEntry       what was stored cannot be read back; it is loaded again
├── UnfitValue            a value that would not come back as it is, and so is not stored
├── TermPassed            somebody else leads the change feed by now; nothing was done
├── BadPattern            a key, a tag or a pattern that cannot be built or would match too much
├── SentBefore            a form that asks for a removal was carried out before
└── LoadFailed            a load gave no answer for a key
    └── WaitedTooLong     its waiter's own limit passed first; the load goes on for the others

ConfigurationError        outside the tree on purpose: nothing that forgives the cache may
                          swallow a setting that cannot work
"""

from __future__ import annotations

from enum import StrEnum

from django.db import OperationalError


class ConfigurationError(Exception):
    """A cache setting that cannot work; the message names the key and what it wants."""


class CacheError(Exception):
    """Something the cache did, or did not do."""


class BackendUnavailable(CacheError):
    """The store of the entries cannot be reached, or answered nonsense."""


class TableUnavailable(CacheError):
    """The table of undelivered invalidations cannot be reached, or refuses."""


class InvalidationUnacknowledged(CacheError, OperationalError):
    """Other processes may not see an invalidation: neither the cache nor the database took it.

    To whoever handles a database that is away it is one: nothing may be answered as done. It is
    delivered as soon as one of the two is back."""


class SentBefore(CacheError):
    """A form that asks for a removal comes a second time; nothing was done."""


class UnreadableReason(StrEnum):
    """Why an entry is not read."""

    OTHER_VERSION = "other version"  # of the value's types; whoever has that one still reads it
    NO_BYTES = "no bytes"  # or others than were stored
    MALFORMED = "malformed"  # cut off, with more behind its end, or nothing of ours at all
    OTHER_SHAPE = "other shape"  # a field more or less, another type, or written otherwise


class UnreadableEntry(CacheError):
    """An entry's bytes do not make its value again."""

    def __init__(self, reason: UnreadableReason) -> None:
        super().__init__(f"An entry cannot be read: {reason}.")
        self.reason = reason


class UnfitValue(CacheError):
    """A value that its family's type does not describe."""


class TermPassed(CacheError):
    """A later holder of the change feed's lease has begun: under the term `highest`."""

    def __init__(self, highest: int) -> None:
        super().__init__(f"The cache has seen the term {highest} of the feed's lease.")
        self.highest = highest


class BadPattern(CacheError, ValueError):
    """Not a key, tag or pattern; the message says what is wrong with it."""


class LoadFailed(CacheError):
    """The loader said nothing about a key it was asked for."""


class WaitedTooLong(LoadFailed, TimeoutError):
    """The load takes longer than this waiter may wait."""
