"""The promise with real threads: whoever starts to read after an acknowledged edit sees it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from cache_layer import Cache, Cause, Count, FreshValue, LoadedValue, WriteResult
from tests.cache_layer.truth import Truth
from tests.waiting import WAIT_LIMIT_S

EDITS = 150
READERS = 8
LOAD_S = 0.001  # as long as a fast network


class Editor:
    """Edits one exam again and again; `promised` is the version readers may not fall behind."""

    def __init__(self, cache: Cache, truth: Truth) -> None:
        self.cache = cache
        self.truth = truth
        self.promised = 0
        self.done = threading.Event()
        self.answered = threading.Condition()
        self.answers = 0

    def edit(self, tell: Callable[[int], None]) -> None:
        try:
            for version in range(1, EDITS + 1):
                tell(version)
                self.promised = version
                # Now and then at once, while loads are still in flight.
                self.let_readers_read(version % 3 * READERS)
        finally:
            self.done.set()

    def let_readers_read(self, times: int) -> None:
        with self.answered:
            enough = self.answers + times
            assert self.answered.wait_for(lambda: self.answers >= enough, WAIT_LIMIT_S)

    def webhook(self, version: int) -> None:
        self.truth.exams = {"1": version, "2": -version}
        self.cache.invalidator.invalidate_tags(["exam:1", "exam:2"], cause=Cause.WEBHOOK)

    def write(self, version: int) -> None:
        def call() -> WriteResult[None]:
            self.truth.exams = {"1": version, "2": -version}
            fresh = FreshValue(
                self.truth.exam, self.truth.key("1"), LoadedValue.built_from(version, ["exam:1"])
            )
            return WriteResult(None, [fresh])

        self.cache.guarded_store.write_through(["exam:1", "exam:2"], call)

    def read(self) -> list[tuple[int, object]]:
        """Read until all is edited; return every answer older than what was promised."""
        broken = []
        keys = self.truth.keys("1", "2")
        while not self.done.is_set():
            promised = self.promised
            reads = self.cache.reader.read_many(self.truth.exam, keys, "", wait_s=WAIT_LIMIT_S)
            versions = [abs(int(str(value))) for value in reads.found.values()]
            if len(versions) < 2 or min(versions) < promised:
                broken.append((promised, reads))
            with self.answered:
                self.answers += 1
                self.answered.notify_all()
        return broken


def run(editor: Editor, tell: Callable[[int], None]) -> list[object]:
    editor.truth.exams = {"1": 0, "2": 0}
    never = threading.Event()
    editor.truth.before_answering = lambda: never.wait(LOAD_S)
    with ThreadPoolExecutor(READERS + 1) as pool:
        readers = [pool.submit(editor.read) for _ in range(READERS)]
        pool.submit(editor.edit, tell).result()
        return [broken for reader in readers for broken in reader.result()]


@pytest.mark.sampled
def test_no_read_falls_behind_an_acknowledged_webhook(cache: Cache, truth: Truth) -> None:
    editor = Editor(cache, truth)

    assert run(editor, editor.webhook) == []
    assert cache.counters.snapshot().total(Count.HITS) > 0


@pytest.mark.sampled
def test_no_read_falls_behind_an_acknowledged_write(cache: Cache, truth: Truth) -> None:
    editor = Editor(cache, truth)

    assert run(editor, editor.write) == []
    assert cache.counters.snapshot().total(Count.HITS) > 0
