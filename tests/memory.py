"""What a server holds in memory."""

from __future__ import annotations

from pathlib import Path

from tests.server import Server


def resident_bytes(server: Server) -> int:
    """Return what the server's processes hold in memory, by Linux; 1 elsewhere."""
    return 1 + sum(resident_bytes_of_each(server.pid).values())


def resident_bytes_of_each(pid: int) -> dict[int, int]:
    """Return what this process and all below it hold in memory, by their ids; by Linux, nothing
    elsewhere."""
    children: dict[int, list[int]] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        children.setdefault(int(fields[1]), []).append(int(status.parent.name))
    held, waiting = {}, [pid]
    while waiting:
        found = waiting.pop()
        waiting += children.get(found, [])
        if size := resident_bytes_of(Path(f"/proc/{found}/status")):
            held[found] = size
    return held


def resident_bytes_of(status: Path) -> int:
    try:
        lines = status.read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))
