"""What is no server's address is refused by commands at once, whatever there is to do."""

from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command

COMMANDS = ("sync_capacity", "finish_bookings", "validate_cache", "doctor")
NO_ADDRESSES = (
    *("", "foo", "127.0.0.1:8000", "ftp://127.0.0.1", "http://", "http://:8000", "http://[::1"),
    *("http://127.0.0.1:0", "http://127.0.0.1:65536", "http://127.0.0.1:x"),
    *("http://127.0.0.1:8000/?a=b", "http://127.0.0.1:8000/#a"),
)


@pytest.mark.parametrize("address", NO_ADDRESSES)
@pytest.mark.parametrize("command", COMMANDS)
def test_what_is_no_address_is_refused(command: str, address: str) -> None:
    with pytest.raises(CommandError, match=r"it wants http://host:port") as refused:
        call_command(command, f"--url={address}")

    assert repr(address) in str(refused.value)
