"""What can go wrong between us and HubSpot, as a tree.

    HubSpotError
    ├── RateLimited    HubSpot's 429, or our own budget would answer only after the deadline
    ├── Unavailable    5xx, 423, no connection, cut off, circuit open, or the deadline would pass
    │   ├── LeftOut    an answer that says nothing of a record asked for
    │   └── FileUnreadable    a file of the change journal is none, expired, or may not be fetched
    ├── NotFound       404, or the record asked for is archived or never was
    │   └── OffsetGone    the change journal does not know an offset: what came after it is unknown
    └── Refused        HubSpot understood and said no (400, 401, 403, 409, 415): never retried
        └── WrongPortal    a token of another portal than the configured one; we said no

    ConfigurationError    outside the tree on purpose: nothing that forgives HubSpot may swallow it

An error carries the decision and its data: when to try again, which ids or properties were meant,
whether the call may have taken effect.
"""

from __future__ import annotations

from typing_extensions import override


class ConfigurationError(Exception):
    """A setting or a portal profile that cannot work; the message names the key and its need."""


class HubSpotError(Exception):
    """Something HubSpot did, or did not do.

    `status` is HTTP's, or None when no answer came. `retry_after_s` is a hint for the caller, in
    seconds. `correlation_id` is HubSpot's, for its support. `may_have_taken_effect` is True when a
    write was sent and nobody knows whether it happened.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        category: str | None = None,
        sub_category: str | None = None,
        correlation_id: str | None = None,
        retry_after_s: float | None = None,
        may_have_taken_effect: bool = False,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.category = category
        self.sub_category = sub_category
        self.correlation_id = correlation_id
        self.retry_after_s = retry_after_s
        self.may_have_taken_effect = may_have_taken_effect

    @property
    def safe_text(self) -> str:
        """What may be logged and kept: HubSpot's own words may quote a property's value. It ends
        with the correlation id, by which HubSpot's support finds the call."""
        words = self._safe_words()
        if self.correlation_id is None:
            return words
        return f"{words} Correlation id {self.correlation_id}."

    def _safe_words(self) -> str:
        return self.message


class RateLimited(HubSpotError):
    """Too many requests: HubSpot said so, or our own limiter knows it would."""


class Unavailable(HubSpotError):
    """HubSpot could not answer in time; later it may."""


class LeftOut(Unavailable):
    """HubSpot's answer says nothing of a record that was asked for."""


class FileUnreadable(Unavailable):
    """A file of the change journal could not be had, though it was asked for anew.

    `reason` is one word of a closed list, for logs and metrics: `expired`, `forbidden` (an address
    that we do not connect to), `too_large`, `encoding`, `not_json`, `shape`, `status`.
    """

    def __init__(self, message: str, *, reason: str, status: int | None = None) -> None:
        super().__init__(message, status=status)
        self.reason = reason


class NotFound(HubSpotError):
    """The record, or the path, does not exist."""


class OffsetGone(NotFound):
    """The change journal does not know this offset, or not any more: what came after is unknown."""


class Refused(HubSpotError):
    """HubSpot will not do this, however often it is asked.

    `property_names` are the properties HubSpot named as the reason, `ids` the records,
    `trace_ids` the `objectWriteTraceId`s of the members it refused; each may be empty.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        category: str | None = None,
        sub_category: str | None = None,
        correlation_id: str | None = None,
        property_names: tuple[str, ...] = (),
        ids: tuple[str, ...] = (),
        trace_ids: tuple[str, ...] = (),
    ) -> None:
        super().__init__(
            message,
            status=status,
            category=category,
            sub_category=sub_category,
            correlation_id=correlation_id,
        )
        self.property_names = property_names
        self.ids = ids
        self.trace_ids = trace_ids

    @override
    def _safe_words(self) -> str:
        words = (self.category, self.sub_category, *self.property_names)
        said = ", ".join(word for word in words if word)
        return f"HubSpot refused with {self.status}" + (f": {said}." if said else ".")


class WrongPortal(Refused):
    """HubSpot gave a token of another portal than HUBSPOT_PORTAL_ID; the message names both."""

    @override
    def _safe_words(self) -> str:
        return self.message
