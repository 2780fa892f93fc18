"""The desk's patience: values that cannot work are refused with a sentence."""

from __future__ import annotations

import pytest

from booking_api.desk.config import DeskConfig
from hubspot_sync.errors import ConfigurationError


@pytest.mark.parametrize("grace_s", [-1, 15, 20])
def test_nobody_waits_longer_than_the_lease_lasts(grace_s: float) -> None:
    """Every process that took over would be taken over while it waits."""
    with pytest.raises(ConfigurationError, match="DESK_GRACE_S"):
        DeskConfig(lease_s=15, grace_s=grace_s)
