"""What others wrote and we keep is what its README says, and has its licence beside it."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VENDORED = [
    *sorted((ROOT / "booking_api" / "static" / "booking_api" / "vendor").iterdir()),
    ROOT / "tests" / "deployment" / "compose_spec",
]
LINE = re.compile(r"^\| `(?P<name>[^`]+)` \| `(?P<digest>[0-9a-f]{64})` \|$", re.MULTILINE)


def test_what_is_kept_of_others_is_what_its_readme_says() -> None:
    assert len(VENDORED) > 0
    for folder in VENDORED:
        readme = (folder / "README.md").read_text(encoding="utf-8")
        written = {match["name"]: match["digest"] for match in LINE.finditer(readme)}
        kept = {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in folder.iterdir()
            if path.name != "README.md"
        }
        assert kept == written
        assert "LICENSE" in kept
        assert re.match(r"# \S+ \d+\.\d+\.\d+\n", readme)
