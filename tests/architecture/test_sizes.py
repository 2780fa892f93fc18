"""No file over 400 lines, few functions over 40, no room over 16 entries: read off the tree."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LONGEST_FILE = 400
LONG_FUNCTION = 40
SHARE_OF_LONG_FUNCTIONS = 0.05


def sources() -> list[Path]:
    packages = ("booking_api", "hubspot_sync", "cache_layer", "tests")
    found = (path for package in packages for path in (ROOT / package).rglob("*.py"))
    return sorted(path for path in found if "migrations" not in path.parts)


def test_a_file_stays_readable_at_one_sitting() -> None:
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in sources()}

    assert len(lines) > 0
    assert {str(path): count for path, count in lines.items() if count > LONGEST_FILE} == {}


def function_lengths() -> Iterator[tuple[str, int]]:
    for path in sources():
        if "tests" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.end_lineno is not None:
                yield f"{path.name}:{node.name}", node.end_lineno - node.lineno + 1


def test_few_functions_are_long() -> None:
    lengths = dict(function_lengths())
    long = {name: lines for name, lines in lengths.items() if lines > LONG_FUNCTION}

    assert len(long) <= SHARE_OF_LONG_FUNCTIONS * len(lengths), long


MAX_ENTRIES = 16
UNCOUNTED = {
    *("__init__.py", "apps.py", "admin.py", "admin", "models.py"),
    *("migrations", "management", "static"),
}


def rooms() -> list[Path]:
    packages = ("booking_api", "hubspot_sync", "cache_layer")
    return sorted({path.parent for path in sources() if path.parts[len(ROOT.parts)] in packages})


def entries_of(room: Path) -> list[str]:
    tracked = {path for path in room.iterdir() if path.is_dir() or path.suffix == ".py"}
    return sorted({path.name for path in tracked if path.name != "__pycache__"} - UNCOUNTED)


def test_a_room_can_be_taken_in_at_a_glance() -> None:
    entries = {str(room): entries_of(room) for room in rooms()}

    assert len(entries) > 0
    assert {room: names for room, names in entries.items() if len(names) > MAX_ENTRIES} == {}
