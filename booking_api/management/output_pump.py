"""What a child prints, into a file that stays small."""

from __future__ import annotations

import logging
import threading
from collections import deque
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import IO, Final

MAX_FILE_BYTES: Final = 5_000_000
OLD_FILES: Final = 1
MAX_LINE_BYTES: Final = 65_536
"""What is longer is written in pieces."""
LAST_LINES: Final = 20


class OutputPump:
    """Writes what comes from `source` to `file`, which is begun anew; when it is full, it goes on
    in another, and of the old ones OLD_FILES are kept. Ends with the child."""

    def __init__(self, source: IO[bytes], file: Path) -> None:
        self._source = source
        self._last: deque[str] = deque(maxlen=LAST_LINES)
        file.unlink(missing_ok=True)
        self._handler = RotatingFileHandler(
            file, maxBytes=MAX_FILE_BYTES, backupCount=OLD_FILES, encoding="utf-8"
        )
        self._thread = threading.Thread(target=self._run, name="output", daemon=True)
        self._thread.start()

    def last_lines(self) -> str:
        """Return what came last; of a child that has ended, all of it."""
        self._thread.join(timeout=1.0)
        return "".join(self._last)

    def _run(self) -> None:
        with self._source:
            while raw := self._source.readline(MAX_LINE_BYTES):
                line = raw.decode("utf-8", errors="replace")
                self._last.append(line)
                self._write(line)
        self._handler.close()

    def _write(self, line: str) -> None:
        self._handler.emit(
            logging.LogRecord("output", logging.INFO, "", 0, line.rstrip("\n"), (), None)
        )
