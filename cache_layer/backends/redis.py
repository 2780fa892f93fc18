"""The cache in Redis, through django-redis: any number of processes and hosts.

Each atomic step is one Lua file in `scripts/`; this module turns typed values into its arguments
and its answer back. Redis keeps the time, so that hosts need not agree on it. Every connection
first makes sure that the Redis it reached is the one whose entries these are (`adopt.lua`).
"""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, TypeVar, cast

from django_redis.cache import RedisCache
from django_redis.pool import ConnectionFactory
from redis import Redis
from redis.backoff import NoBackoff
from redis.commands.core import Script
from redis.connection import ConnectionPool
from redis.exceptions import RedisError
from redis.retry import Retry
from typing_extensions import override

from cache_layer.backends.base import (
    ByFamily,
    ByteBudget,
    Lookup,
    Refusal,
    Size,
    StoreResult,
    Ticket,
    WriteThroughResult,
)
from cache_layer.backends.proof import Proof, ProofState
from cache_layer.config import DEFAULT_MAX_BYTES, DEFAULT_SETTLE_S, DEFAULT_TTL_CONFIRMED_S
from cache_layer.endings import Ended, Ending, EndingsObserver
from cache_layer.entries.entries import Entry, HeldEntry
from cache_layer.errors import BackendUnavailable

_SCRIPTS = Path(__file__).parent / "scripts"
_SCAN_COUNT = 500  # a hint: Redis may return more or fewer
_MAX_CONNECTIONS = 64

T = TypeVar("T")


class UnsharedPoolFactory(ConnectionFactory):  # type: ignore[misc]  # django-redis has no types
    """Gives each backend a pool of its own. django-redis keeps one pool per address, and ours must
    not be shared with connections that skip `adopt.lua`."""

    @override
    def get_or_create_connection_pool(self, params: dict[str, Any]) -> ConnectionPool:
        return self.get_connection_pool(params)  # type: ignore[no-any-return]


class RedisBackend:
    """Many processes, one Redis, shared by everyone with the same prefix."""

    name = "redis"
    shared = True

    def __init__(
        self,
        url: str,
        *,
        prefix: str,
        max_entries: int,
        load_horizon_s: float,
        lease_s: float,
        timeout_s: float,
        max_bytes: int = DEFAULT_MAX_BYTES,
        settle_s: float = DEFAULT_SETTLE_S,
        ttl_confirmed_s: float = DEFAULT_TTL_CONFIRMED_S,
    ) -> None:
        self.max_entries = max_entries
        budget = ByteBudget(max_bytes)
        self._bounds = {
            "horizon_ms": int(load_horizon_s * 1000),
            "settle_ms": math.ceil(settle_s * 1000),
            "max_entries": max_entries,
            "max_entry_bytes": budget.for_one_entry,
            "max_bytes_of_entries": budget.for_entries,
            "max_mark_bytes": budget.for_marks,
        }
        # At each look too: entries may have been stored by a process with another setting.
        self._confirmed_ms = int(ttl_confirmed_s * 1000)
        self._lease_ms = int(lease_s * 1000)
        root = f"{{{prefix}}}:"
        names = ("state", "tags", "meta", "uses", "deadlines")
        self._keys = tuple(root + name for name in names)
        self._payloads = f"{root}payload:"
        self._leases = f"{root}lease:"
        options = {
            "CONNECTION_FACTORY": f"{__name__}.{UnsharedPoolFactory.__qualname__}",
            "SOCKET_TIMEOUT": timeout_s,
            "SOCKET_CONNECT_TIMEOUT": timeout_s,
            # Nothing is kept through it; its own default would be pickles.
            "SERIALIZER": "django_redis.serializers.json.JSONSerializer",
            # One more try at once, for a pooled connection that Redis has closed. redis-py's own
            # default waits seconds. Every script may run twice: the second time only removes more.
            # Threads outnumber the connections and wait for one: a script takes a fraction of a
            # millisecond. One refused would go without the cache, as if Redis were away.
            "CONNECTION_POOL_CLASS": "redis.connection.BlockingConnectionPool",
            "CONNECTION_POOL_KWARGS": {
                "max_connections": _MAX_CONNECTIONS,
                "timeout": timeout_s,
                "redis_connect_func": self._adopt,
                "retry": Retry(NoBackoff(), 1),
            },
        }
        self._observers: list[EndingsObserver] = []
        self._cache = RedisCache(url, {"OPTIONS": options})
        self._client: Redis = self._cache.client.get_client(write=True)
        register = partial(_register_script, self._client)
        self._lookup, self._store = register("lookup"), register("store")
        self._invalidate, self._remove = register("invalidate"), register("remove")
        self._write_through, self._raise_floor = register("write_through"), register("raise_floor")
        self._size, self._claim = register("size"), register("claim", common=False)
        self._release = register("release", common=False)
        self._read_proof, self._begin_epoch = register("read_proof"), register("begin_epoch")
        self._confirm, self._end_proof = register("confirm"), register("end_proof")

    def observe_endings(self, observer: EndingsObserver) -> None:
        self._observers.append(observer)

    def look_up(self, keys: Sequence[str], *, touch: bool = True) -> Lookup:
        answer = self._run(self._lookup, int(touch), *keys)
        generation, count, now_ms, epoch, expired, found = answer
        return Lookup(
            entries={row[0].decode(): _parse_held_entry(row, now_ms) for row in found},
            ticket=Ticket(generation.decode(), count, now_ms, epoch.decode()),
            expired=_parse_by_family(expired),
        )

    def store(self, ticket: Ticket, entries: Mapping[str, Entry]) -> StoreResult:
        payloads = [entry.payload for entry in entries.values()]
        return _parse_store_result(
            self._run(self._store, self._build_order(ticket, entries), *payloads)
        )

    def invalidate(self, tags: Collection[str], keys: Collection[str]) -> ByFamily:
        order = {"tags": list(tags), "keys": list(keys), **self._bounds}
        return _parse_by_family(self._run(self._invalidate, json.dumps(order)))

    def write_through(
        self, ticket: Ticket, tags: Collection[str], entries: Mapping[str, Entry]
    ) -> WriteThroughResult:
        payloads = [entry.payload for entry in entries.values()]
        order = self._build_order(ticket, entries, tags)
        removed, stored = self._run(self._write_through, order, *payloads)
        return WriteThroughResult(
            removed=_parse_by_family(removed), stored=_parse_store_result(stored)
        )

    def raise_floor(self) -> None:
        self._run(self._raise_floor)

    def scan_keys(self) -> Iterator[Sequence[str]]:
        cursor, first = 0, True
        while first or cursor != 0:
            scan = partial(self._client.zscan, self._keys[3], cursor, count=_SCAN_COUNT)
            cursor, pairs = _call_redis(scan)
            first = False
            yield [cast(bytes, member).decode() for member, _ in pairs]

    def find_keys_by_tags(self, tags: Collection[str]) -> frozenset[str]:
        found: set[str] = set()
        for tag in tags:
            # A member is the tag, a NUL and the key, see common.lua.
            first, beyond = f"{tag}\0".encode(), f"{tag}\1".encode()
            search = partial(self._client.zrangebylex, self._keys[1], b"[" + first, b"(" + beyond)
            members = cast(list[bytes], _call_redis(search))
            found.update(member.removeprefix(first).decode() for member in members)
        return frozenset(found)

    def remove(self, keys: Collection[str]) -> ByFamily:
        return _parse_by_family(self._run(self._remove, *keys))

    def size(self) -> Size:
        rows, expired, used_bytes = self._run(self._size)
        sizes: dict[str, dict[str, int]] = {"entries": {}, "bytes": {}}
        for measure, family, number in rows:
            if number > 0:
                sizes[measure.decode()][family.decode()] = number
        return Size(
            entries=sizes["entries"],
            payload_bytes=sizes["bytes"],
            expired=_parse_by_family(expired),
            used_bytes=used_bytes,
        )

    def read_proof(self) -> ProofState:
        epoch, covered, confirmed_ms, lapses_ms, term, now_ms = self._run(self._read_proof)
        proof = Proof(
            epoch=epoch.decode(),
            covered=frozenset(family.decode() for family in covered),
            confirmed_ms=None if confirmed_ms < 0 else confirmed_ms,
            lapses_ms=lapses_ms,
            term=term,
        )
        return ProofState(proof=proof, now_ms=now_ms)

    def begin_epoch(self, epoch: str, covered: Collection[str], term: int) -> bool:
        return bool(self._run(self._begin_epoch, epoch, term, *covered))

    def confirm(self, epoch: str, until_ms: int, lapses_ms: int, term: int) -> bool:
        return bool(self._run(self._confirm, epoch, until_ms, lapses_ms, term))

    def end_proof(self, term: int | None) -> ByFamily | None:
        ended, expired = self._run(self._end_proof, -1 if term is None else term)
        return _parse_by_family(expired) if ended else None

    def claim_leases(self, keys: Collection[str], owner: str) -> frozenset[str]:
        asked = list(keys)
        leases = [self._leases + key for key in asked]
        claimed = _call_redis(lambda: self._claim(keys=leases, args=[owner, self._lease_ms]))
        return frozenset(asked[index - 1] for index in claimed)

    def release_leases(self, keys: Collection[str], owner: str) -> None:
        leases = [self._leases + key for key in keys]
        _call_redis(lambda: self._release(keys=leases, args=[owner]))

    def close(self) -> None:
        self._client.connection_pool.disconnect()

    def _run(self, script: Script, *arguments: Any) -> Any:
        prepared = [self._payloads, uuid.uuid4().hex, self._confirmed_ms, *arguments]
        answer, ended = _call_redis(lambda: script(keys=list(self._keys), args=prepared))
        if ended:
            endings = _parse_endings(ended)
            for observer in self._observers:
                observer(endings)
        return answer

    def _build_order(
        self, ticket: Ticket, entries: Mapping[str, Entry], tags: Collection[str] = ()
    ) -> str:
        return json.dumps(
            {
                "generation": ticket.generation,
                "count": ticket.count,
                "began_ms": ticket.began_ms,
                **self._bounds,
                "tags": list(tags),
                "entries": [_entry_as_json(key, entry) for key, entry in entries.items()],
            }
        )

    def _adopt(self, connection: Any) -> None:
        # Any: redis-py leaves these three methods without types.
        connection.on_connect()
        arguments = (self._payloads, uuid.uuid4().hex, self._confirmed_ms)
        connection.send_command(
            "EVAL", _read_source("adopt"), len(self._keys), *self._keys, *arguments
        )
        connection.read_response()


@lru_cache
def _read_source(name: str, *, common: bool = True) -> str:
    text = (_SCRIPTS / f"{name}.lua").read_text(encoding="utf-8")
    return (_SCRIPTS / "common.lua").read_text(encoding="utf-8") + text if common else text


def _register_script(client: Redis, name: str, *, common: bool = True) -> Script:
    return client.register_script(_read_source(name, common=common))


def _call_redis(call: Callable[[], T]) -> T:
    try:
        return call()
    except (RedisError, OSError) as error:
        raise BackendUnavailable(f"Redis did not answer: {type(error).__name__}.") from error


def _entry_as_json(key: str, entry: Entry) -> dict[str, Any]:
    told = {
        "key": key,
        "family": entry.family,
        "ttl_ms": max(1, int(entry.ttl_s * 1000)) if entry.ttl_s > 0 else 0,
        "version": entry.version,
        "tags": sorted(entry.tags),
    }
    if entry.ahead:
        told["ahead"] = True
    if entry.epoch:
        told["epoch"] = entry.epoch
    if entry.keep_s != math.inf:
        told["keep_ms"] = int(entry.keep_s * 1000)
    return told


def _parse_held_entry(row: Sequence[Any], now_ms: int) -> HeldEntry:
    _, family, version, stamp, stored_ms, expires_ms, payload, tags, ahead, *proof = row
    epoch, ends_ms, proven = proof or (b"", -1, 0)
    entry = Entry(
        family=family.decode(),
        payload=payload,
        tags=frozenset(tag.decode() for tag in tags),
        ttl_s=(expires_ms - stored_ms) / 1000,
        version=version.decode(),
        keep_s=math.inf if ends_ms < 0 else (ends_ms - stored_ms) / 1000,
        epoch=epoch.decode(),
        ahead=bool(ahead),
    )
    return HeldEntry(
        entry=entry,
        stamp=stamp,
        age_s=(now_ms - stored_ms) / 1000,
        proven=bool(proven),
    )


def _parse_store_result(answer: Sequence[Any]) -> StoreResult:
    refused, provable, generation, count, now_ms, epoch, *gone = answer
    evicted, evicted_for_bytes, expired = gone
    reasons = {key.decode(): Refusal(reason.decode()) for key, reason in _pairs(refused)}
    return StoreResult(
        refused=reasons,
        as_of=Ticket(generation.decode(), count, now_ms, epoch.decode()),
        provable=frozenset(key.decode() for key in provable),
        evicted=_parse_by_family(evicted),
        evicted_for_bytes=_parse_by_family(evicted_for_bytes),
        expired=_parse_by_family(expired),
    )


def _parse_by_family(flat: Sequence[Any]) -> ByFamily:
    return {family.decode(): number for family, number in _pairs(flat)}


def _parse_endings(flat: Sequence[Any]) -> list[Ending]:
    rows = zip(flat[::4], flat[1::4], flat[2::4], flat[3::4], strict=True)
    return [
        Ending(key.decode(), family.decode(), Ended(cause.decode()), age_ms / 1000)
        for key, family, cause, age_ms in rows
    ]


def _pairs(flat: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
    return zip(flat[::2], flat[1::2], strict=True)
