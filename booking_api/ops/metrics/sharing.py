"""Metrics of all processes that share a folder, by the files that each keeps there.

`prometheus_client` keeps each process's metrics in mapped files named by its number, and adds them
up. What a process counted stays when it has died: a counter never falls. What it was, it no longer
is: its `live` gauges go with it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, multiprocess, values

VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"
"""`prometheus_client`'s own, read when it is used: the server names its folder after the settings
have been read (booking_api/server/metrics_folder.py)."""
ROOM_BYTES: Final = {
    "histogram": 1_048_576,
    "counter": 524_288,
    "gauge_livesum": 65_536,
    "gauge_livemax": 65_536,
    "gauge_max": 65_536,
    "gauge_mostrecent": 65_536,
}
"""What each file has from the beginning; more is taken as it is needed."""


def find_shared_folder() -> Path | None:
    """Return where the processes keep their metrics, None where each keeps to itself."""
    folder = os.environ.get(VARIABLE, "")
    return None if folder == "" else Path(folder)


def prepare_own_files() -> None:
    """Make this process's files with room for what will be written, if it shares a folder.

    A write to a mapped file for which the disk has no room left ends the process, so the room is
    taken first. Raises OSError where there is none.
    """
    folder = find_shared_folder()
    if folder is None:
        return
    if not getattr(values.ValueClass, "_multiprocess", False):
        raise AssertionError("prometheus_client was imported before it could know its folder.")
    for prefix, size in ROOM_BYTES.items():
        path = folder / f"{prefix}_{os.getpid()}.db"
        # One that is there was an earlier process's of this number: what it counted goes on.
        if not path.exists():
            # Under another name: whoever reads them all meanwhile cannot read one without a length.
            unnamed = path.with_suffix(".new")
            unnamed.write_bytes(bytes(size))
            unnamed.rename(path)


def collect_shared_metrics() -> CollectorRegistry | None:
    """Return what all processes of the folder have counted, None where none is shared."""
    folder = find_shared_folder()
    if folder is None:
        return None
    forget_dead_processes(folder)
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry, str(folder))  # type: ignore[no-untyped-call]
    return registry


def forget_dead_processes(folder: Path) -> None:
    """Remove the live gauges of processes that are no more."""
    for path in folder.glob("gauge_live*_*.db"):
        number = path.stem.rpartition("_")[2]
        if number.isdecimal() and not is_alive(int(number)):
            path.unlink(missing_ok=True)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # somebody's, whom one may not signal
    return True
