"""What the cache is a cache of: records somebody edits, loaded in batches that can be held up."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from cache_layer import (
    Catalogue,
    Family,
    Key,
    KeyPattern,
    LoadedValue,
    LoadResult,
    ValueCodec,
    collection_tag,
    object_tag,
)
from tests.waiting import WAIT_LIMIT_S

TTL_S = 60.0

Kept = None | bool | int | str | list[int] | dict[str, int]
"""What an exam may be so that it is kept; a loader may bring anything."""


class Truth:
    """Exams by id, and pages of several; `loads` lists every load's keys, in order.

    `before_answering` runs within each load, after it has read: a load in flight. `failing` fails
    the whole load, `unknown` ids fail alone, as a batch answered in part does.
    """

    def __init__(self) -> None:
        self.exams: dict[str, object] = {}
        self.loads: list[list[str]] = []
        self.failing: Exception | None = None
        self.unknown: set[str] = set()
        self.before_answering: Callable[[], object] = lambda: None
        self._lock = threading.Lock()
        self.exam = Family[object, str](
            name="exam",
            patterns=(KeyPattern("exam:{id}"),),
            values=ValueCodec(Kept),
            ttl_s=TTL_S,
            load_many=self._exams,
        )
        self.page = Family[bytes, str](
            name="page",
            patterns=(KeyPattern("page:{name}"),),
            values=ValueCodec(bytes),
            ttl_s=TTL_S,
            load_many=self._pages,
        )
        self.catalogue = Catalogue([self.exam, self.page])

    def key(self, exam_id: str) -> Key:
        return self.exam.key(id=exam_id)

    def keys(self, *exam_ids: str) -> list[Key]:
        return [self.key(exam_id) for exam_id in exam_ids]

    def _exams(self, keys: Sequence[Key], context: str) -> LoadResult[object]:
        with self._lock:
            self.loads.append([key.arguments["id"] for key in keys])
            read = dict(self.exams)
        self.before_answering()
        if self.failing is not None:
            raise self.failing
        ids = {key: key.arguments["id"] for key in keys}
        known = {key: exam_id for key, exam_id in ids.items() if exam_id not in self.unknown}
        return LoadResult(
            loaded={
                key: LoadedValue.built_from(read[exam_id], [object_tag("exam", exam_id)])
                for key, exam_id in known.items()
                if exam_id in read
            },
            absent=frozenset(key for key, exam_id in known.items() if exam_id not in read),
            failed={
                key: ConnectionError(exam_id) for key, exam_id in ids.items() if key not in known
            },
        )

    def _pages(self, keys: Sequence[Key], context: str) -> LoadResult[bytes]:
        with self._lock:
            self.loads.append([key.text for key in keys])
            text = repr(sorted(self.exams.items())).encode()
            tags = {object_tag("exam", exam_id) for exam_id in self.exams}
        self.before_answering()
        tags.add(collection_tag("exams", "all"))
        return LoadResult(loaded={key: LoadedValue.built_from(text, tags) for key in keys})


class Gate:
    """Holds a load up until it is opened; tells when somebody has come."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self._open = threading.Event()

    def __call__(self) -> None:
        self.reached.set()
        assert self._open.wait(WAIT_LIMIT_S), "the gate was never opened"

    def open(self) -> None:
        self._open.set()

    def wait_until_reached(self) -> None:
        assert self.reached.wait(WAIT_LIMIT_S), "nobody came to the gate"
