"""Ports as commands take them: a number that can be one, and whether it is free."""

from __future__ import annotations

import socket
from argparse import ArgumentTypeError

MAX_PORT = 65_535


def parse_port(text: str) -> int:
    """Return the port that a command line names; raise ArgumentTypeError with a sentence."""
    if not (text.isdecimal() and 0 < int(text) <= MAX_PORT):
        raise ArgumentTypeError(f"a port is a number from 1 to {MAX_PORT}, not {text!r}")
    return int(text)


def find_bind_error(host: str, port: int) -> str | None:
    """Return why nobody can listen at this address now, None where somebody can."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        return error.strerror or str(error)
    return None
