"""A limit on what one caller may do: at most an amount in any period, however it is spread.

A fixed window lets twice its amount through at its edge; one that moves with the time does not. The
counting is in Redis where there is one, so that all processes count together, else in this process.
Who is counted can not be read from what is kept: keys are hashed with SECRET_KEY.
"""

from __future__ import annotations

import hashlib
import ipaddress
import os
import threading
from functools import lru_cache
from typing import Final

from django.conf import settings

from booking_api.api.windows.accounts import MICROSECONDS, Account, Accounts, Take, WindowStore
from booking_api.api.windows.local_windows import LocalWindows

WIDER_PREFIX: Final = 48
WIDER_FACTOR: Final = 8
"""A site has a /48 and so 65 536 networks to be counted afresh from; all of them together may do
this many times what one may."""


class SlidingWindow:
    """At most `rate`, an amount in a period of whole seconds, in any such period, for each caller
    in a scope; no rate is no limit.

    A caller is a text that begins with the address `resolve_client` gives, and after a space says
    what else tells callers apart. One in an IPv6 network counts for the network around it too.
    Nothing here raises, whether Redis answers or not."""

    def __init__(self, scope: str, rate: tuple[int, int] | None) -> None:
        self._scope = scope
        self._amount, period_s = (0, 0) if rate is None else rate
        self._period_us = period_s * MICROSECONDS

    def take(self, caller: str) -> Take:
        """Count one if there is room for it."""
        if self._amount == 0:
            return Take(granted=True)
        return stores.current().take(self._scope, self._period_us, self._accounts(caller))

    def look(self, caller: str) -> Take:
        """Return what `take` would now, and count nothing."""
        if self._amount == 0:
            return Take(granted=True)
        return stores.current().look(self._scope, self._period_us, self._accounts(caller))

    def add(self, caller: str) -> None:
        """Count one, room or not."""
        if self._amount > 0:
            stores.current().add(self._scope, self._period_us, self._accounts(caller))

    def count(self, caller: str) -> int:
        """Return how many are counted, at most the amount; 0 where there is no limit."""
        if self._amount == 0:
            return 0
        own = self._accounts(caller)[0]
        return stores.current().count(self._scope, self._period_us, own)

    def _accounts(self, caller: str) -> Accounts:
        address, _, detail = caller.partition(" ")
        wider = find_wider_network(address)
        if wider is None:
            return (Account(f"{{{self._hash(caller)}}}", self._amount),)
        # One hash tag for both, so that a cluster keeps them together.
        tag = f"{{{self._hash(f'{wider} {detail}')}}}"
        return (
            Account(f"{tag}:{self._hash(caller)}", self._amount),
            Account(tag, self._amount * WIDER_FACTOR),
        )

    def _hash(self, caller: str) -> str:
        hashed = begin_hash(self._scope, settings.SECRET_KEY).copy()
        # What a caller sends may hold half a surrogate pair.
        hashed.update(caller.encode(errors="surrogatepass"))
        return hashed.hexdigest()


@lru_cache(maxsize=4096)
def find_wider_network(address: str) -> str | None:
    """Return the network around an IPv6 network, None for everything else."""
    if ":" not in address:
        return None
    try:
        network = ipaddress.IPv6Network(address)
    except ValueError:
        return None
    if network.prefixlen <= WIDER_PREFIX:
        return None
    return str(network.supernet(new_prefix=WIDER_PREFIX))


@lru_cache(maxsize=64)
def begin_hash(scope: str, secret: str) -> hashlib.blake2b:
    """Return the hash of a scope, to be copied and gone on with: a caller's is not remembered, as
    its text is of any length and says who it is."""
    key = hashlib.sha256(f"windows {secret}".encode()).digest()
    return hashlib.blake2b(f"{scope}\0".encode(), key=key, digest_size=16)


class Stores:
    """This process's store, opened when it is first asked for; a forked process has its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: tuple[int, str, WindowStore] | None = None

    def current(self) -> WindowStore:
        held, url = self._held, settings.REDIS_URL
        if held is None or held[0] != os.getpid() or held[1] != url:
            held = self._open(url)
        return held[2]

    def forget(self) -> None:
        with self._lock:
            held, self._held = self._held, None
        if held is not None and held[0] == os.getpid():
            held[2].close()

    def _open(self, url: str) -> tuple[int, str, WindowStore]:
        pid = os.getpid()
        with self._lock:
            held = self._held
            if held is None or held[0] != pid or held[1] != url:
                held = self._held = (pid, url, open_store(url))
            return held


def open_store(url: str) -> WindowStore:
    """Return a store in the Redis at `url`, in this process where that is empty."""
    if url == "":
        return LocalWindows()
    # Here, so that a process without Redis does not import its client.
    from booking_api.api.windows.redis_windows import RedisWindows

    return RedisWindows(url)


stores = Stores()


def forget_windows() -> None:
    """Let this process count afresh; what is in Redis stays there."""
    stores.forget()
