"""What a student may spend on a mock type."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from booking_api.rules.credits import change_balance, choose_charge, spendable_credits
from booking_api.rules.errors import InsufficientCredits, InvalidRequest
from hubspot_sync.portal.profile import MockType, load_profile
from hubspot_sync.portal.property_values import MAX_DIGITS, format_number, parse_number

PORTAL = load_profile("prepdoctors")
LEFT = {
    "sj_credits": Decimal(2),
    "cs_credits": Decimal(-1),
    "sjmini_credits": Decimal(0),
    "shared_mock_credits": Decimal("3.5"),
}
readable_balances = st.one_of(
    st.integers(-(10**15) + 1, 10**15 - 1).map(str),
    st.decimals(-(10**8), 10**8, places=6).map(str),
    st.decimals(-(10**12), 10**12, places=2).map(str),
)


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


def situational() -> MockType:
    kind = PORTAL.mock_type("Situational Judgment")
    assert kind is not None
    return kind


@given(text=readable_balances)
def test_booking_and_cancelling_leaves_any_readable_balance_as_it_was(text: str) -> None:
    balance = parse_number(text)
    try:
        cost = choose_charge({"sj_credits": balance}, situational())
    except InsufficientCredits:
        assert balance < 1
        return
    charged = parse_number(format_number(cost.after))
    before, after = change_balance(cost.property_name, charged, 1)

    assert (before, after) == (balance - 1, balance)
    assert parse_number(format_number(after)) == parse_number(text)


def test_a_credit_is_whole_within_one_balance() -> None:
    halves = {"sj_credits": Decimal("0.5"), "shared_mock_credits": Decimal("0.9")}

    assert spendable_credits(halves, situational()).available == 0
    with pytest.raises(InsufficientCredits):
        choose_charge(halves, situational())


def test_an_unreadable_balance_is_passed_over() -> None:
    left = {"sj_credits": None, "shared_mock_credits": Decimal(1)}

    assert spendable_credits(left, situational()).available == 1
    assert choose_charge(left, situational()).property_name == "shared_mock_credits"


@pytest.mark.parametrize("balance", [None, Decimal(10) ** MAX_DIGITS - 1])
def test_nothing_is_added_to_what_cannot_be_read_or_could_not_afterwards(
    balance: Decimal | None,
) -> None:
    with pytest.raises(InvalidRequest, match="sj_credits"):
        change_balance("sj_credits", balance, 1)
