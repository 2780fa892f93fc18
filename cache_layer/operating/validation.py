"""Comparing the cache with the truth: sample, reload, compare, repair, report.

A random sample of every family is loaded again in chunks and compared whole. An entry that expired,
was invalidated or replaced during the comparison is skipped: only what is still served counts.
Repairing removes everything built from what drifted, because its invalidation was lost, and leaves
the fresh value in its place. Drift in an entry that has outlived its time to live shows that the
change feed proved what was not so: its proof ends, and who follows it begins a new epoch.
"""

from __future__ import annotations

import logging
import random
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from cache_layer.backends.base import Lookup, Ticket
from cache_layer.backends.chunks import split_into_chunks
from cache_layer.cache import Cache
from cache_layer.coherence.guarded_store import FreshValue, Removal
from cache_layer.counters import Cause, Count, ValidationOutcome
from cache_layer.entries.entries import HeldEntry, LoadedValue
from cache_layer.entries.families import Family, LoadResult
from cache_layer.entries.keys import Key
from cache_layer.errors import BackendUnavailable, InvalidationUnacknowledged, UnreadableEntry
from cache_layer.operating.redaction import describe_difference

DEFAULT_SAMPLE = 10
MAX_PER_LOAD = 100

logger = logging.getLogger(__name__)


class Comparison(StrEnum):
    """What came of comparing one entry."""

    SAME = "same"
    DIFFERS = "differs"
    GONE = "gone"  # the truth has no such thing any more
    SKIPPED = "skipped"  # expired, invalidated or replaced meanwhile
    UNKNOWN = "unknown"  # the truth could not be asked


DRIFTED = frozenset({Comparison.DIFFERS, Comparison.GONE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """One entry that was being served and was wrong."""

    family: str
    key: str
    verdict: Comparison
    age_s: float
    difference: str
    """Where it was wrong, in a few words that hold no e-mail; see `redaction`."""
    repaired: bool
    outlived: bool
    """Whether it was past its time to live, served because the change feed proved it fresh."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationReport:
    """How many entries came to which verdict, by family, and each drift."""

    by_family: Mapping[str, Mapping[Comparison, int]]
    drifts: tuple[Drift, ...]

    def total(self, verdict: Comparison) -> int:
        return sum(verdicts.get(verdict, 0) for verdicts in self.by_family.values())

    @property
    def drifted(self) -> bool:
        return len(self.drifts) > 0

    @property
    def complete(self) -> bool:
        """Whether the truth answered for every entry it was asked about."""
        return self.total(Comparison.UNKNOWN) == 0

    @property
    def outcome(self) -> ValidationOutcome:
        if self.drifted:
            return ValidationOutcome.DRIFTED
        return ValidationOutcome.CLEAN if self.complete else ValidationOutcome.INCOMPLETE


Progress = Callable[[str, int, int], None]
"""Told the family, how many of its entries are compared, and how many there are to compare."""


@dataclass(frozen=True, slots=True)
class _ComparedEntry:
    key: Key
    held: HeldEntry
    verdict: Comparison
    fresh: LoadedValue[Any] | None


class Validator:
    """Compares a cache's entries with what their loaders say now."""

    def __init__(self, cache: Cache, *, chance: random.Random | None = None) -> None:
        self._guarded_store = cache.guarded_store
        self._catalogue = cache.catalogue
        self._counters = cache.counters
        # A sample is no secret.
        self._random = chance if chance is not None else random.Random()  # noqa: S311

    def run(
        self,
        context: Any,
        *,
        sample: int | None = DEFAULT_SAMPLE,
        repair: bool = True,
        families: Collection[str] | None = None,
        progress: Progress | None = None,
    ) -> ValidationReport:
        """Compare `sample` entries of every family, or all of them when it is None, and return the
        report; with `families` only of those. Raises BadPattern for a family that is none, and
        BackendUnavailable. `context` goes to the loaders; make it one that tells those built from
        other families to load those anew, or the cache is compared with itself."""
        try:
            report = self._compare_families(context, sample, families, progress, repair=repair)
        except Exception:
            self._counters.add(Count.VALIDATIONS, detail=ValidationOutcome.FAILED)
            raise
        self._counters.add(Count.VALIDATIONS, detail=report.outcome)
        return report

    def _compare_families(
        self,
        context: Any,
        sample: int | None,
        families: Collection[str] | None,
        progress: Progress | None,
        *,
        repair: bool,
    ) -> ValidationReport:
        by_family: dict[str, Mapping[Comparison, int]] = {}
        drifts: list[Drift] = []
        for family, keys in self._pick_keys(sample, families):
            verdicts: Counter[Comparison] = Counter()
            done = 0
            for chunk in split_into_chunks(keys, MAX_PER_LOAD):
                for compared, repaired in self._compare_chunk(
                    family, chunk, context, repair=repair
                ):
                    verdicts[compared.verdict] += 1
                    if compared.verdict in DRIFTED:
                        drifts.append(_to_drift(family, compared, repaired=repaired))
                if any(drift.outlived for drift in drifts):
                    self._end_proof(family)
                done += len(chunk)
                if progress is not None:
                    progress(family.name, done, len(keys))
            by_family[family.name] = dict(verdicts)
            self._counters.add(Count.DRIFTS, family.name, sum(verdicts[v] for v in DRIFTED))
        return ValidationReport(by_family=by_family, drifts=tuple(drifts))

    def _end_proof(self, family: Family[Any, Any]) -> None:
        if self._guarded_store.backend.read_proof().proof.epoch != "":
            logger.warning("An entry of %s that was proven fresh was not: proof ends", family.name)
            self._guarded_store.end_proof(None)

    def _pick_keys(
        self, sample: int | None, names: Collection[str] | None
    ) -> list[tuple[Family[Any, Any], list[Key]]]:
        families = list(self._catalogue)
        if names is not None:
            families = [self._catalogue.family(name) for name in names]
        held: dict[str, dict[str, Key]] = {family.name: {} for family in self._catalogue}
        for page in self._guarded_store.backend.scan_keys():
            for text in page:
                known = self._catalogue.parse_key(text)
                if known is not None:
                    family, key = known
                    held[family.name][text] = key
        picked = []
        for family in families:
            keys = list(held[family.name].values()) if family.reloadable else []
            if sample is not None and sample < len(keys):
                keys = self._random.sample(keys, sample)
            picked.append((family, keys))
        return picked

    def _compare_chunk(
        self, family: Family[Any, Any], keys: Sequence[Key], context: Any, *, repair: bool
    ) -> list[tuple[_ComparedEntry, bool]]:
        before = self._guarded_store.look_up(keys, touch=False)
        held_keys = _recall_arguments(family, keys, before)
        load_result = _reload(family, held_keys, context)
        after = self._guarded_store.look_up(held_keys, touch=False)
        compared_entries = []
        for key in held_keys:
            compared = _compare(family, key, before, after, load_result)
            repaired = (
                repair
                and compared.verdict in DRIFTED
                and self._repair(family, compared, before.ticket)
            )
            compared_entries.append((compared, repaired))
        return compared_entries

    def _repair(self, family: Family[Any, Any], compared: _ComparedEntry, ticket: Ticket) -> bool:
        """Put an entry right, and return whether every process will see that."""
        try:
            return self._replace_or_remove(family, compared, ticket).acknowledged
        except BackendUnavailable:
            raise
        except InvalidationUnacknowledged:
            logger.warning("An entry of %s could not be repaired for all to see", family.name)
        except Exception:
            # One value that cannot be kept must not end the comparison of all others.
            logger.exception("An entry of %s cannot be stored anew", family.name)
        return False

    def _replace_or_remove(
        self, family: Family[Any, Any], compared: _ComparedEntry, ticket: Ticket
    ) -> Removal:
        tags = compared.held.entry.tags
        if compared.fresh is None:
            return self._guarded_store.invalidate(tags, [compared.key.text], cause=Cause.VALIDATION)
        fresh = FreshValue(family, compared.key, compared.fresh)
        return self._guarded_store.invalidate_and_store(
            ticket, tags, [fresh], cause=Cause.VALIDATION
        )


def _recall_arguments(family: Family[Any, Any], keys: Sequence[Key], held: Lookup) -> list[Key]:
    """Return the keys of what is held, with the e-mails that are hidden in their texts. One whose
    entry does not say which that was cannot be loaded anew, and is left out."""
    whole: list[Key] = []
    for key in keys:
        if key.text not in held.entries:
            continue
        if not key.tags:
            whole.append(key)
            continue
        try:
            value = family.values.decode(held.entries[key.text].entry.payload)
        except UnreadableEntry:
            continue  # its next reader drops it
        recalled = family.recall_arguments(key, value)
        if recalled is not None:
            whole.append(recalled)
    return whole


def _reload(family: Family[Any, Any], keys: Sequence[Key], context: Any) -> LoadResult[Any]:
    if not keys:
        return LoadResult(loaded={})
    try:
        return family.load_many(keys, context)
    except Exception as error:  # noqa: BLE001 - reported as unknown for each key
        return LoadResult(loaded={}, failed=dict.fromkeys(keys, error))


def _compare(
    family: Family[Any, Any], key: Key, before: Lookup, after: Lookup, load_result: LoadResult[Any]
) -> _ComparedEntry:
    held = before.entries[key.text]
    still = after.entries.get(key.text)
    fresh = load_result.loaded.get(key)
    if still is None or still.stamp != held.stamp:
        verdict = Comparison.SKIPPED
    elif fresh is not None:
        verdict = Comparison.SAME if _is_same(family, held, fresh) else Comparison.DIFFERS
    elif key in load_result.absent:
        verdict = Comparison.GONE
    else:
        verdict = Comparison.UNKNOWN
    return _ComparedEntry(key, held, verdict, fresh)


def _is_same(family: Family[Any, Any], held: HeldEntry, fresh: LoadedValue[Any]) -> bool:
    try:
        return family.same(family.values.decode(held.entry.payload), fresh.value)
    except UnreadableEntry:
        return False
    except Exception:
        # What cannot be compared is replaced; it must not end the comparison of all others.
        logger.exception("An entry of %s cannot be compared", family.name)
        return False


def _to_drift(family: Family[Any, Any], compared: _ComparedEntry, *, repaired: bool) -> Drift:
    return Drift(
        family=family.name,
        key=compared.key.text,
        verdict=compared.verdict,
        age_s=compared.held.age_s,
        difference=_describe_drift(family, compared),
        repaired=repaired,
        outlived=compared.held.ttl_left_s <= 0,
    )


def _describe_drift(family: Family[Any, Any], compared: _ComparedEntry) -> str:
    if compared.fresh is None:
        return "no longer there"
    try:
        held = family.values.decode(compared.held.entry.payload)
        return describe_difference(held, compared.fresh.value)
    except UnreadableEntry:
        return "cannot be read"
    except Exception:
        logger.exception("The drift of %s cannot be described", compared.key.text)
        return "cannot be compared"
