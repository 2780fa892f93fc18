"""The lines of many threads on one stream: each once, whole and in order, whatever the stream."""

from __future__ import annotations

import io
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from select import PIPE_BUF, select

import pytest
from typing_extensions import override

from booking_api.ops.logs.line_handler import MAX_WAITING_LINES, LineHandler

LONG_S = 30.0


class Stream(io.StringIO):
    """Takes nothing while it is held back, and tells who waits for it."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[str] = []
        self.may_go = threading.Event()
        self.may_go.set()
        self.is_held = threading.Event()

    @override
    def write(self, text: str, /) -> int:
        if not self.may_go.is_set():
            self.is_held.set()
            assert self.may_go.wait(LONG_S)
        self.pieces.append(text)
        return len(text)

    @property
    def lines(self) -> list[str]:
        return "".join(self.pieces).splitlines()


class Broken(Stream):
    @override
    def write(self, text: str, /) -> int:
        raise OSError("No space left on device")


@pytest.fixture
def stream() -> Stream:
    return Stream()


@pytest.fixture
def handler(stream: Stream) -> LineHandler:
    return LineHandler(stream)


def say(handler: logging.Handler, text: str, level: int = logging.INFO) -> None:
    handler.handle(logging.LogRecord("a", level, "", 0, text, (), None))


@contextmanager
def writing(handler: LineHandler, stream: Stream) -> Iterator[None]:
    """One thread writes, and its stream takes nothing until the block ends."""
    stream.may_go.clear()
    with ThreadPoolExecutor(1) as thread:
        thread.submit(say, handler, "first")
        assert stream.is_held.wait(LONG_S)
        try:
            yield
        finally:
            stream.may_go.set()


def ends(thread: threading.Thread) -> bool:
    thread.join(LONG_S)
    return not thread.is_alive()


def test_a_line_is_left_to_whoever_is_writing(handler: LineHandler, stream: Stream) -> None:
    with writing(handler, stream):
        say(handler, "second")
        say(handler, "third")
        assert stream.pieces == []

    assert stream.pieces == ["first\n", "second\nthird\n"]


@pytest.mark.parametrize("level", [logging.WARNING, logging.ERROR, logging.CRITICAL])
def test_what_is_urgent_is_written_when_it_has_been_said(
    handler: LineHandler, stream: Stream, level: int
) -> None:
    told: list[list[str]] = []

    def say_urgent() -> None:
        say(handler, "urgent", level)
        told.append(stream.lines)

    urgent = threading.Thread(target=say_urgent)
    with writing(handler, stream):
        say(handler, "second")
        urgent.start()
        urgent.join(0.05)
        assert told == []

    assert ends(urgent)
    assert told == [["first", "second", "urgent"]]


def test_a_stream_that_takes_nothing_is_waited_for_once_enough_lines_wait(
    handler: LineHandler, stream: Stream
) -> None:
    texts = [str(number) for number in range(MAX_WAITING_LINES)]
    one_more = threading.Thread(target=say, args=(handler, "one more"))
    with writing(handler, stream):
        for text in texts:
            say(handler, text)
        one_more.start()
        one_more.join(0.05)
        assert one_more.is_alive()

    assert ends(one_more)
    assert stream.lines == ["first", *texts, "one more"]


@pytest.mark.parametrize("letter", ["a", "ä", "€", "😀"])
def test_a_piece_is_what_a_pipe_takes_whole(
    handler: LineHandler, stream: Stream, letter: str
) -> None:
    with writing(handler, stream):
        for _ in range(200):
            say(handler, letter * 90)
        say(handler, letter * 2 * PIPE_BUF)
        say(handler, "last")

    sizes = [len(piece.encode()) for piece in stream.pieces]
    lengths = [len(piece.splitlines()) for piece in stream.pieces]
    assert len(stream.lines) == 203
    assert all(size <= PIPE_BUF or length == 1 for size, length in zip(sizes, lengths, strict=True))
    assert max(lengths) > 1
    assert stream.lines[-1] == "last"


def test_lines_of_many_threads_come_once_each_whole_and_in_order() -> None:
    reading, written = os.pipe()
    barrier = threading.Barrier(8)
    with os.fdopen(reading) as reader, ThreadPoolExecutor(9) as threads:
        with os.fdopen(written, "w", buffering=1) as stream:
            handler = LineHandler(stream)

            def talk(name: int) -> None:
                barrier.wait(LONG_S)
                for number in range(400):
                    say(handler, f"{name} {number} {'x' * (number % 90)}")

            read = threads.submit(reader.readlines)
            for talking in [threads.submit(talk, name) for name in range(8)]:
                talking.result(LONG_S)
        lines = [line.split() for line in read.result(LONG_S)]

    for name in range(8):
        of_this = [int(words[1]) for words in lines if words[0] == str(name)]
        assert of_this == list(range(400))
    assert len(lines) == 8 * 400


def test_flush_writes_what_waits(handler: LineHandler, stream: Stream) -> None:
    flushing = threading.Thread(target=handler.flush)
    with writing(handler, stream):
        say(handler, "second")
        flushing.start()

    assert ends(flushing)
    assert stream.lines == ["first", "second"]


def test_a_stream_that_fails_costs_its_line_alone(
    handler: LineHandler, stream: Stream, capsys: pytest.CaptureFixture[str]
) -> None:
    handler.setStream(Broken())
    say(handler, "lost")
    handler.setStream(stream)
    say(handler, "kept")

    assert stream.lines == ["kept"]
    assert "No space left on device" in capsys.readouterr().err


def test_what_cannot_be_formatted_costs_its_line_alone(
    handler: LineHandler, stream: Stream, capsys: pytest.CaptureFixture[str]
) -> None:
    handler.handle(logging.LogRecord("a", logging.INFO, "", 0, "%d", ("no number",), None))
    say(handler, "kept")

    assert stream.lines == ["kept"]
    assert "Logging error" in capsys.readouterr().err


def test_a_filter_is_asked(handler: LineHandler, stream: Stream) -> None:
    def is_wanted(record: logging.LogRecord) -> bool:
        return record.msg == "wanted"

    handler.addFilter(is_wanted)
    for text in ("unwanted", "wanted"):
        say(handler, text)

    assert stream.lines == ["wanted"]


FORKED_WHILE_WRITING = """
import logging, os, sys, threading
from booking_api.ops.logs.line_handler import LineHandler

class Held:
    def __init__(self): self.entered, self.may_go = threading.Event(), threading.Event()
    def write(self, text):
        self.entered.set(); self.may_go.wait(20); os.write(1, text.encode())
    def flush(self): pass

def say(text): handler.handle(logging.LogRecord("a", logging.INFO, "", 0, text, (), None))

held = Held()
handler = LineHandler(held)
thread = threading.Thread(target=say, args=("first",)); thread.start(); held.entered.wait(20)
say("second")
child = os.fork()
held.may_go.set()
if child == 0:
    say("of the child")
    os._exit(0)
os.waitpid(child, 0)
thread.join(20)
"""


def test_a_process_forked_meanwhile_writes_its_own_lines_alone() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORKED_WHILE_WRITING],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert sorted(done.stdout.splitlines()) == ["first", "of the child", "second"]


SIGNALLED_WHILE_WRITING = """
import logging, os, signal, sys
from booking_api.ops.logs.line_handler import LineHandler

def say(text): handler.handle(logging.LogRecord("a", logging.WARNING, "", 0, text, (), None))

def report(*_):
    say("of the signal")
    os.write(1, b"said")

handler = LineHandler(sys.stderr)
signal.signal(signal.SIGUSR1, report)
say("x" * 1_000_000)
"""


def test_what_a_signal_says_in_the_middle_of_a_write_follows_it() -> None:
    # Unbuffered, Python itself leaves out what is left of an interrupted write.
    buffered = {name: os.environ[name] for name in os.environ if name != "PYTHONUNBUFFERED"}
    with subprocess.Popen(
        [sys.executable, "-c", SIGNALLED_WHILE_WRITING],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=buffered,
    ) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        assert select([child.stderr], [], [], LONG_S)[0], "it writes more than a pipe takes"
        child.send_signal(signal.SIGUSR1)
        select([child.stdout], [], [], LONG_S)
        lines = child.stderr.read().decode().splitlines()
        said = child.stdout.read()

    assert child.returncode == 0
    assert (said, lines) == (b"said", ["x" * 1_000_000, "of the signal"])
