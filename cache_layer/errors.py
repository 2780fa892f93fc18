"""What can go wrong in the cache, as a tree.

CacheError
├── BackendUnavailable    the store did not answer; a read goes to its loader instead
├── UnreadableEntry       what was stored cannot be read back; it is dropped and loaded again
├── BadPattern            a key, a tag or a pattern that cannot be built or would match too much
└── LoadFailed            a load gave no answer for a key
    └── WaitedTooLong     its waiter's own limit passed first; the load goes on for the others

ConfigurationError        outside the tree on purpose: nothing that forgives the cache may
                          swallow a setting that cannot work
"""

from __future__ import annotations


class ConfigurationError(Exception):
    """A cache setting that cannot work; the message names the key and what it wants."""


class CacheError(Exception):
    """Something the cache did, or did not do."""


class BackendUnavailable(CacheError):
    """The store of the entries cannot be reached, or answered nonsense."""


class UnreadableEntry(CacheError):
    """An entry's bytes do not make its value again."""


class BadPattern(CacheError, ValueError):
    """Not a key, tag or pattern; the message says what is wrong with it."""


class LoadFailed(CacheError):
    """The loader said nothing about a key it was asked for."""


class WaitedTooLong(LoadFailed, TimeoutError):
    """The load takes longer than this waiter may wait."""
