"""The files in which processes share their metrics, while one of them begins."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from prometheus_client import multiprocess, values

from booking_api.ops.metrics.sharing import VARIABLE, prepare_own_files


def test_files_can_be_read_from_the_moment_they_have_their_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    monkeypatch.setattr(values.ValueClass, "_multiprocess", True)
    write_whole = Path.write_bytes

    def read_amid_writing(path: Path, data: bytes) -> int:
        path.touch()
        multiprocess.MultiProcessCollector(None, str(tmp_path)).collect()  # type: ignore[no-untyped-call]
        return write_whole(path, data)

    monkeypatch.setattr(Path, "write_bytes", read_amid_writing)
    prepare_own_files()

    names = {path.name for path in tmp_path.iterdir()}
    assert f"counter_{os.getpid()}.db" in names
    assert {name for name in names if not name.endswith(".db")} == set()
