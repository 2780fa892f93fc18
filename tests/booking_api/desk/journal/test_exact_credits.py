"""The journal keeps every balance that can be read, to the last digit."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from booking_api.desk.journal.models import JournalEntry
from hubspot_sync.portal.property_values import format_number, parse_number

NOW = datetime(2026, 11, 25, tzinfo=UTC)

readable_balances = st.one_of(
    st.integers(-(10**15) + 1, 10**15 - 1).map(str),
    st.decimals(-(10**8), 10**8, places=6).map(str),
    st.decimals(-(10**12), 10**12, places=2).map(str),
    st.sampled_from(["999999999999999", "-999999999.999999", "0.000001", "4165550123.5"]),
).map(parse_number)


@pytest.mark.django_db
@examples(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=readable_balances, after=readable_balances)
def test_a_balance_is_kept_exactly(before: Decimal, after: Decimal) -> None:
    row, _ = JournalEntry.objects.update_or_create(
        idempotency_key="a key",
        defaults={
            **dict.fromkeys(("arrived_at", "wanted_until", "changed_at"), NOW),
            "credit_before": before,
            "credit_after": after,
        },
    )

    row.refresh_from_db()

    assert (row.credit_before, row.credit_after) == (before, after)
    assert format_number(row.credit_after) == format_number(after)
