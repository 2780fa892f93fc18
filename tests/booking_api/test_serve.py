"""`manage.py serve` where it cannot."""

from __future__ import annotations

import socket

import pytest

from tests.manage import PRODUCTION, manage


def test_a_port_that_another_server_shares_willingly_is_still_taken() -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]

        result = manage("serve", "--port", str(port), **PRODUCTION)

    assert result.returncode == 1
    assert result.stdout == ""
    assert (
        result.stderr
        == f"CommandError: Cannot serve on 127.0.0.1:{port}: Address already in use.\n"
    )


@pytest.mark.parametrize("port", ["0", "65536", "http"])
def test_what_is_no_port_is_refused_in_a_sentence(port: str) -> None:
    result = manage("serve", "--port", port, **PRODUCTION)

    assert result.returncode != 0
    assert f"a port is a number from 1 to 65535, not {port!r}" in result.stderr
    assert "Traceback" not in result.stderr
