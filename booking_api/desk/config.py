"""How patient the booking desk is. Bad values are refused when made."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from hubspot_sync.errors import ConfigurationError

MAX_CALLS_OF_GROUP = 8
"""As a rule: five reads, the change, and credits and counts beside each other."""
MAX_GROUP_SIZE = 100
"""HubSpot's batch: one call makes or changes so many records (hubspot-facts, Objects)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DeskConfig:
    """Durations in seconds.

    A desk holds its lease for `lease_s` after each renewal. A write that HubSpot did not answer may
    take effect for `late_write_s`: until then its contact or booking is not written again, unless
    it is seen to have come. What a desk that vanished may have counted is counted again after
    `grace_s`. Finished journal rows are kept for `retention_days`.
    """

    lease_s: float = 5.0
    grace_s: float = 2.0
    late_write_s: float = 120.0
    retention_days: int = 30

    def __post_init__(self) -> None:
        if self.lease_s < 1:
            raise ConfigurationError(f"DESK_LEASE_S must be at least 1, not {self.lease_s}.")
        if self.late_write_s < 0:
            raise ConfigurationError(
                f"HUBSPOT_LATE_WRITE_S must be at least 0, not {self.late_write_s}."
            )
        if not 0 <= self.grace_s < self.lease_s:
            raise ConfigurationError(
                f"DESK_GRACE_S must be at least 0 and less than DESK_LEASE_S ({self.lease_s}), "
                f"not {self.grace_s}."
            )
        if self.retention_days < 1:
            raise ConfigurationError(
                f"JOURNAL_RETENTION_DAYS must be at least 1, not {self.retention_days}."
            )

    @property
    def lease_duration(self) -> timedelta:
        return timedelta(seconds=self.lease_s)

    @property
    def renew_every_s(self) -> float:
        return self.lease_s / 5

    @property
    def late_write(self) -> timedelta:
        return timedelta(seconds=self.late_write_s)

    @property
    def max_step_s(self) -> float:
        """How long one step of calls may take, in seconds. Cut off from the database at its
        beginning, it must end before whoever took over begins to write."""
        return (self.lease_s + self.grace_s) * 0.8
