"""Every link of our pages leads somewhere: to a file that is there, to a heading that it has."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.documents.markdown import ROOT, anchors_of, codes_of, links_of

OUTSIDE = ("https://", "http://", "mailto:")
PATH = re.compile(r"(?:docs|deploy|tests)/[\w./-]*\w")


def pages() -> list[Path]:
    listed = subprocess.check_output(["git", "ls-files", "*.md"], cwd=ROOT, text=True)
    return [ROOT / name for name in listed.splitlines()]


def find_broken_links(page: Path) -> list[str]:
    """Return the links and the paths of a page that lead nowhere; other hosts are not tried."""
    broken = []
    for link in links_of(page):
        if link.startswith(OUTSIDE):
            continue
        name, _, anchor = unquote(link).partition("#")
        target = page.parent / name if name else page
        is_there = target.exists() and ROOT in target.resolve().parents
        if not is_there or (anchor and anchor not in anchors_of(target)):
            broken.append(link)
    return broken + [
        code for code in codes_of(page) if PATH.fullmatch(code) and not (ROOT / code).exists()
    ]


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="no checkout")
def test_links_lead_somewhere() -> None:
    found = {str(page.relative_to(ROOT)): find_broken_links(page) for page in pages()}

    assert len(found) > 0
    assert {page: links for page, links in found.items() if links} == {}


def test_a_link_to_nothing_is_found(tmp_path: Path) -> None:
    page = ROOT / "docs" / "glossary.md"
    wrong = tmp_path / "page.md"
    wrong.write_text(
        "[a](nowhere.md) [b](#no-such-heading) ![c](gone.png) [d](https://h/) `docs/no.md`\n# One"
    )

    assert find_broken_links(page) == []
    assert find_broken_links(wrong) == ["nowhere.md", "#no-such-heading", "gone.png", "docs/no.md"]
