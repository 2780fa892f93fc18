"""What a student may spend on a mock type."""

from __future__ import annotations

from booking_api.rules.credits import spendable_credits
from hubspot_sync.portal.profile import load_profile

PORTAL = load_profile("prepdoctors")
LEFT = {"sj_credits": 2, "cs_credits": -1, "sjmini_credits": 0, "shared_mock_credits": 3}


def available(mock_type: str) -> tuple[int, int, int]:
    kind = PORTAL.mock_type(mock_type)
    assert kind is not None
    credits_ = spendable_credits(LEFT, kind)
    return credits_.specific, credits_.shared, credits_.available


def test_specific_and_shared_credits_add_up() -> None:
    assert available("Situational Judgment") == (2, 3, 5)


def test_shared_credits_do_not_count_where_the_type_may_not_use_them() -> None:
    assert available("Mini-mock") == (0, 0, 0)


def test_a_balance_below_zero_is_nothing_to_spend_rather_than_a_debt() -> None:
    assert available("Clinical Skills") == (0, 3, 3)


def test_a_credit_never_set_is_none() -> None:
    kind = load_profile("default").mock_type("osce")
    assert kind is not None

    assert spendable_credits({}, kind).available == 0
