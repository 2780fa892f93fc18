"""What stands in docs/api/ to be pasted, and what the pages say that it prints."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.documents.markdown import ROOT, fences_of

PAGES: Final = ROOT / "docs" / "api"
STORY: Final = (
    *("see-exams", "check-credits", "book-a-seat", "change-a-booking", "cancel-a-booking"),
    *("page-through-bookings", "wait-and-retry"),
)
"""The pages in the order in which their index leads through them."""
COMMANDS: Final[Mapping[str, tuple[str | None, str]]] = {
    "bash": (shutil.which("curl") and shutil.which("bash"), "sh"),
    "python": (sys.executable, "py"),
    "js": (shutil.which("node"), "mjs"),
}
"""What runs a language, None where it is not here, and how its files end."""
PRINTED: Final = ("json", "text")
PATIENCE_S: Final = 100

# What differs from one deployment and day to the next.
CHANGING: Final = (
    (r"[\w.+-]+@example\.org", "EMAIL"),
    (r"\d{4}-\d{2}-\d{2}T[\d:.]+(Z|\+00:00)", "INSTANT"),
    (r"\d{4}-\d{2}-\d{2}", "DAY"),
    (r"\bS\d{4}\b", "STUDENT"),
    (r"\b\d{5,}\b", "ID"),
    (r"\b[0-9a-f]{32}\b", "KEY"),
    (r'("next": *)"[^"]+"', r'\1"CURSOR"'),
)


@dataclass(frozen=True, slots=True)
class Snippet:
    """A program of a page, and what the page says that it prints."""

    page: str
    language: str
    source: str
    printed: str

    def run(self, folder: Path, environment: Mapping[str, str]) -> str:
        """Run it in a folder, as it stands; return what it prints. Fails where it does."""
        command, ending = COMMANDS[self.language]
        assert command is not None
        program = folder / f"{self.page}.{ending}"
        program.write_text(self.source, encoding="utf-8")
        done = subprocess.run(
            [command, program.name],
            cwd=folder,
            env={**os.environ, "NO_PROXY": "127.0.0.1", **environment},
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        assert done.returncode == 0, f"{self.page}, {self.language}: {done.stdout}{done.stderr}"
        return done.stdout


def snippet_of(page: str, language: str) -> Snippet:
    """Return a page's program in a language; it prints what stands in the next block of those that
    are no program."""
    fences = fences_of(PAGES / f"{page}.md")
    (number,) = (n for n, fence in enumerate(fences) if fence.language == language)
    printed = next(fence for fence in fences[number:] if fence.language in PRINTED)
    return Snippet(page, language, fences[number].content, printed.content)


def settle(printed: str) -> Any:
    """Return what was printed, without what differs each time; JSON as what it means."""
    for pattern, name in CHANGING:
        printed = re.sub(pattern, name, printed)
    return json.loads(printed) if printed.startswith("{") else printed.strip()
