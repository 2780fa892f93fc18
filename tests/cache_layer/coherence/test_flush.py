"""A flush while others read: nothing built of what it removes outlives it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import pytest
from typing_extensions import override

from cache_layer import (
    Cache,
    CacheConfig,
    Cause,
    Family,
    Key,
    KeyPattern,
    LoadedValue,
    LoadResult,
    ValueCodec,
    open_cache,
)
from cache_layer.backends.base import Backend, ByFamily
from cache_layer.entries.families import Catalogue
from tests.cache_layer.faithful import Faithful
from tests.cache_layer.truth import Kept, Truth
from tests.waiting import WAIT_LIMIT_S


class Watched(Faithful):
    """Runs something once, just before entries are removed."""

    meanwhile: Callable[[], object] | None = None

    @override
    def remove(self, keys: Collection[str]) -> ByFamily:
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        return super().remove(keys)


class Summaries:
    """Exams, and a summary of each that is built from the exam's own entry."""

    def __init__(self, truth: Truth, backend: Backend) -> None:
        self.truth = truth
        self.family = Family[object, str](
            name="summary",
            patterns=(KeyPattern("exam:{id}:summary"),),
            values=ValueCodec(Kept),
            ttl_s=60.0,
            load_many=self._load,
        )
        catalogue = Catalogue([truth.exam, self.family])
        self.cache: Cache = open_cache(catalogue, CacheConfig(), backend=backend)

    def read(self) -> object:
        key = self.family.key(id="1")
        return self.cache.reader.read(self.family, key, "", wait_s=WAIT_LIMIT_S).value

    def _load(self, keys: Sequence[Key], context: str) -> LoadResult[object]:
        exams = self.truth.keys(*(key.arguments["id"] for key in keys))
        reads = self.cache.reader.read_many(self.truth.exam, exams, context, wait_s=WAIT_LIMIT_S)
        values = zip(keys, reads.found.values(), strict=True)
        return LoadResult(loaded={key: LoadedValue(value, reads.tags) for key, value in values})


@pytest.mark.parametrize(
    "flush",
    [
        lambda cache: cache.invalidator.invalidate_everything(cause=Cause.FORCED),
        lambda cache: cache.invalidator.invalidate_pattern("exam:*", cause=Cause.FORCED),
    ],
    ids=["everything", "pattern"],
)
def test_what_is_built_while_a_flush_is_under_way_does_not_keep_what_it_removes(
    backend: Backend, truth: Truth, flush: Callable[[Cache], object]
) -> None:
    watched = Watched(backend)
    summaries = Summaries(truth, watched)
    truth.exams = {"1": "old"}
    summaries.cache.reader.read(truth.exam, truth.key("1"), "", wait_s=WAIT_LIMIT_S)
    truth.exams = {"1": "new"}
    watched.meanwhile = summaries.read

    flush(summaries.cache)

    assert summaries.read() == "new"
    summaries.cache.close()
