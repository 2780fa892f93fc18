"""The folder in which the workers of one server keep their metrics, so that any of them can tell
all.

Made before `prometheus_client` is imported, which looks for it then, and removed at the end. A
server holds a lock on its own, which ends with its last process however that ends: what is not
locked was left by a server that was killed, and goes when the next one starts beside it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"
"""`prometheus_client`'s own."""
PREFIX: Final = "booking-metrics-"
MIN_ROOM_BYTES: Final = 4_194_304
"""What the workers of a small server write in a day. They write into mapped files: where no room is
left for those, the system kills them."""


class NoMetricsFolder(Exception):
    """There can be no folder; the text is a sentence that says why, and what to set."""


@contextmanager
def own_metrics_folder(parent: str) -> Iterator[Path]:
    """Inside the block this process, and those that it starts, keep their metrics in a folder that
    no other server has. It is made in `parent`, or with "" where the system keeps what is
    temporary. Raises NoMetricsFolder."""
    if "prometheus_client" in sys.modules:
        raise AssertionError("prometheus_client was imported before it could know its folder.")
    place = Path(parent if parent != "" else tempfile.gettempdir())
    try:
        remove_left_folders(place)
        folder, lock = make_locked_folder(place)
    except OSError as error:
        raise NoMetricsFolder(
            f"Cannot keep the metrics in {place}: {error.strerror}. Set {VARIABLE} to a folder "
            "that can be written and has room."
        ) from error
    given = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = str(folder)
    try:
        yield folder
    finally:
        os.environ.pop(VARIABLE)
        if given is not None:
            os.environ[VARIABLE] = given
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def make_locked_folder(place: Path) -> tuple[Path, int]:
    """Return a new folder and the descriptor that holds its lock; raise OSError, also where there
    is no room for what will be written there."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=place))
        try:
            lock = try_lock(folder)
            if lock is None:
                continue  # another server, starting too, takes it for left behind and removes it
            if is_there(folder, lock):
                check_room(folder)
                return folder, lock
            os.close(lock)
        except OSError:
            shutil.rmtree(folder, ignore_errors=True)
            raise


def remove_left_folders(place: Path) -> None:
    """Remove the folders there of our own that no living server holds; raise OSError where one
    cannot look."""
    for folder in place.glob(f"{PREFIX}*"):
        try:
            if folder.is_symlink() or folder.stat().st_uid != os.getuid():
                continue
            lock = try_lock(folder)
        except (FileNotFoundError, NotADirectoryError):
            continue  # somebody else removed it, or it is none
        if lock is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)


def try_lock(folder: Path) -> int | None:
    """Return a descriptor that holds the folder's lock, None where another process does."""
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    except OSError:
        os.close(lock)
        raise
    return lock


def is_there(folder: Path, lock: int) -> bool:
    """Whether the folder that was locked still has its name."""
    try:
        return os.path.samestat(folder.stat(), os.fstat(lock))
    except FileNotFoundError:
        return False


def check_room(folder: Path) -> None:
    """Raise OSError where so much cannot be written there."""
    probe = folder / "room"
    probe.write_bytes(bytes(MIN_ROOM_BYTES))
    probe.unlink()
