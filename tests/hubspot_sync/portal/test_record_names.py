"""One rule for record ids: what HubSpot could have given out, and nothing else."""

from __future__ import annotations

import pytest

from hubspot_sync.portal.record_names import is_record_id


@pytest.mark.parametrize("text", ["1", "1001", "50158913", "9" * 18])
def test_what_hubspot_could_have_given_out_is_an_id(text: str) -> None:
    assert is_record_id(text)


@pytest.mark.parametrize(
    "text", ["", "0", "01", "-1", "1.0", "1 ", "1\n", "\u0661", "1e3", "9" * 19]
)
def test_what_it_could_not_is_none(text: str) -> None:
    assert not is_record_id(text)
