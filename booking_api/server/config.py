"""The server's bounds, as typed values; each has a variable of the environment (settings.py)."""

from __future__ import annotations

from dataclasses import dataclass

from booking_api.api.context import WEBHOOKS_PREFIX

# hyper's default gives a client half a minute to send its headers, and as long between two requests
# of one connection.
HEADERS_TIMEOUT_S = 5
# hyper's default is 400 KiB for each connection.
MAX_HEAD_BYTES = 65_536
# How many connections may be open at once, and how many more may wait to be accepted.
MAX_CONNECTIONS = 4_096
# Bytes of each body that count for nobody: the number of connections bounds them, to 16 MiB, and a
# student's request fits in them. So whoever fills the rest shuts out large bodies only.
UNCOUNTED_BODY_BYTES = 4_096
CONNECTIONS_BYTES = MAX_CONNECTIONS * UNCOUNTED_BODY_BYTES
# How much of a stop is kept for its end: answers to those who cannot be waited for, and then the
# lease given back and threads joined.
ENDING_S = 3.0
ANSWERING_S = 1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerConfig:
    """`max_bodies_bytes` is for a process; of it one address may have a part."""

    threads: int = 128
    workers: int = 1
    max_queued: int = 1_024
    max_wait_s: float = 25.0
    max_body_bytes: int = 1_048_576
    max_webhook_body_bytes: int = 8_388_608
    body_timeout_s: float = 10.0
    stop_timeout_s: float = 30.0
    max_bodies_bytes: int = 67_108_864
    max_address_bodies_bytes: int = 16_777_216
    trusted_proxies: tuple[str, ...] = ()

    @property
    def max_counted_bytes(self) -> int:
        """What is left of `max_bodies_bytes` for what is counted."""
        return max(0, self.max_bodies_bytes - CONNECTIONS_BYTES)

    @property
    def max_stop_wait_s(self) -> float:
        """For how long a stop waits for requests under way before they are answered without."""
        return self.stop_timeout_s - ENDING_S

    def max_bytes_at(self, path: str) -> int:
        """Return how long a body may be at this address."""
        is_webhook = path.startswith(WEBHOOKS_PREFIX)
        return self.max_webhook_body_bytes if is_webhook else self.max_body_bytes
