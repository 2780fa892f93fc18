"""The record of a full run: `bench/results.json`, whose form has a version.

What another form says is refused, not guessed at. Of the machine it keeps what times depend on, and
nothing that names it.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

import msgspec

from booking_api.benchmarks.operations.measurement import Cost, System
from booking_api.benchmarks.processes import ROOT
from booking_api.benchmarks.report import Row

SCHEMA: Final = 1
RESULTS: Final = ROOT / "bench" / "results.json"
WHOLE_FROM: Final = 1_000
SOURCES: Final = ("booking_api", "hubspot_sync", "cache_layer")


class BadRecord(Exception):
    """There is no record, or it is of another form; the message says what to do."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """When and on what it was measured; `commit` is empty outside of a checkout, and ends with `+`
    where something was not committed."""

    date: str
    commit: str
    python: str
    cores: int
    latency_ms: float
    quick: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """All that one run measured: what operations cost, and the figures that have limits."""

    schema: Literal[1] = SCHEMA
    run: Run
    operations: tuple[Cost, ...]
    rows: tuple[Row, ...]

    def by_system(self) -> Mapping[str, Mapping[System, Cost]]:
        """Return the costs by operation, in the order they were measured in."""
        found: dict[str, dict[System, Cost]] = {}
        for cost in self.operations:
            found.setdefault(cost.operation, {})[cost.system] = cost
        return found

    def cost(self, operation: str, system: System) -> Cost | None:
        return self.by_system().get(operation, {}).get(system)

    def row(self, part: str, name: str) -> Row | None:
        return next((row for row in self.rows if (row.part, row.name) == (part, name)), None)


def describe_run(*, latency_ms: float, quick: bool) -> Run:
    return Run(
        date=datetime.now(UTC).date().isoformat(),
        commit=read_commit(),
        python=platform.python_version(),
        cores=os.cpu_count() or 1,
        latency_ms=latency_ms,
        quick=quick,
    )


def read_commit() -> str:
    """Return the short name of the commit that is checked out."""
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        return ""
    named = _ask_git(git, "rev-parse", "--short", "HEAD")
    changed = _ask_git(git, "status", "--porcelain", "--untracked-files=no", "--", *SOURCES)
    return named if changed == "" else f"{named}+"


def _ask_git(git: str, *arguments: str) -> str:
    said = subprocess.run(
        [git, *arguments], cwd=ROOT, capture_output=True, text=True, check=True, timeout=30
    )
    return said.stdout.strip()


def read_record(path: Path = RESULTS) -> Record:
    """Return what is recorded; raise BadRecord."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Record, strict=True)
    except FileNotFoundError as error:
        raise BadRecord(f"There is no {path.name}: `make bench` writes it.") from error
    except msgspec.MsgspecError as error:
        raise BadRecord(
            f"{path.name} is not of form {SCHEMA} ({error}): `make bench` writes it anew."
        ) from error


def write_record(record: Record, path: Path = RESULTS) -> None:
    """Write it in a form whose differences can be read line by line."""
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(msgspec.json.format(encode(record), indent=1) + b"\n")


def encode(record: Record) -> bytes:
    return msgspec.json.encode(_round(msgspec.to_builtins(record)))


def round_figure(value: float) -> float:
    """Return four digits of it, and all before the point: the others are chance."""
    return float(round(value)) if abs(value) >= WHOLE_FROM else float(f"{value:.4g}")


def _round(value: object) -> object:
    match value:
        case float():
            return round_figure(value)
        case dict():
            return {name: _round(each) for name, each in value.items()}
        case list() | tuple():
            return [_round(each) for each in value]
        case _:
            return value
