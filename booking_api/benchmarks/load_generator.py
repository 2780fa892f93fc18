"""A load generator in its own process: keep-alive connections, each with one request under way.

Plain sockets and one thread, so that on a small machine it is the server that is measured. It reads
`path connections requests` from its input, line by line, and behind it, where one is to be sent, an
entity tag for `If-None-Match`. It writes a line of JSON for each: the seconds from the first byte
sent to the last received, and how many answers were neither 200 nor, with a tag, 304.
"""

from __future__ import annotations

import json
import selectors
import socket
import sys
import time
from dataclasses import dataclass

END_OF_HEAD = b"\r\n\r\n"
LENGTH = b"content-length:"
READ_SIZE = 65536
MAX_SILENCE_S = 30.0
ACCEPTED = "Accept: */*\r\nAccept-Encoding: gzip\r\n"


@dataclass(slots=True)
class Exchange:
    """One connection and what has come of the answer under way."""

    connection: socket.socket
    received: bytes = b""

    def is_complete(self) -> bool:
        head, found, body = self.received.partition(END_OF_HEAD)
        if not found:
            return False
        length = head.lower().partition(LENGTH)[2].partition(b"\r\n")[0]
        return len(body) >= int(length or b"0")  # a 304 has none


def send_requests(
    host: str, port: int, path: str, connections: int, requests: int, tag: str = ""
) -> tuple[float, int]:
    """Send the requests; return the seconds they took and how many were not answered with 200, or
    with 304 where they name a tag. Raises ConnectionError where the server hangs up or falls
    silent."""
    request = write_request(host, port, path, tag)
    wanted = b"HTTP/1.1 200" if tag == "" else b"HTTP/1.1 304"
    failures = 0
    with selectors.DefaultSelector() as selector:
        exchanges = [Exchange(open_connection(host, port)) for _ in range(connections)]
        started_s = time.perf_counter()
        for exchange in exchanges:
            selector.register(exchange.connection, selectors.EVENT_READ, exchange)
            exchange.connection.sendall(request)
        sent, answered = connections, 0
        while answered < requests:
            ready = selector.select(MAX_SILENCE_S)
            if not ready:
                raise ConnectionError("The server fell silent.")
            for key, _ in ready:
                exchange = key.data
                chunk = exchange.connection.recv(READ_SIZE)
                if chunk == b"":
                    raise ConnectionError("The server hung up.")
                exchange.received += chunk
                if not exchange.is_complete():
                    continue
                failures += not exchange.received.startswith(wanted)
                exchange.received = b""
                answered += 1
                if sent < requests:
                    sent += 1
                    exchange.connection.sendall(request)
        took_s = time.perf_counter() - started_s
    for exchange in exchanges:
        exchange.connection.close()
    return took_s, failures


def write_request(host: str, port: int, path: str, tag: str) -> bytes:
    """Return a request as browsers send it: they take what is compressed."""
    condition = "" if tag == "" else f"If-None-Match: {tag}\r\n"
    head = f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\n{ACCEPTED}{condition}\r\n"
    return head.encode()


def open_connection(host: str, port: int) -> socket.socket:
    connection = socket.create_connection((host, port), timeout=MAX_SILENCE_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def main() -> None:
    host, port = sys.argv[1], int(sys.argv[2])
    for line in sys.stdin:
        path, connections, requests, *tag = line.split()
        took_s, failures = send_requests(
            host, port, path, int(connections), int(requests), "".join(tag)
        )
        sys.stdout.write(json.dumps({"took_s": took_s, "failures": failures}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
