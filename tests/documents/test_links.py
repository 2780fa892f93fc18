"""Every link of our pages leads somewhere: to a file that is there, to a heading that it has."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.documents.markdown import ROOT, anchors_of, codes_of, links_of

pytestmark = pytest.mark.skipif(not (ROOT / ".git").exists(), reason="no checkout")
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


def test_links_lead_somewhere() -> None:
    found = {str(page.relative_to(ROOT)): find_broken_links(page) for page in pages()}

    assert len(found) > 0
    assert {page: links for page, links in found.items() if links} == {}


def find_reachable(page: Path) -> set[Path]:
    """Return the pages that links lead to from this one; a folder leads to those in it."""
    reached, waiting = set(), [page]
    while waiting:
        here = waiting.pop()
        if here in reached:
            continue
        reached.add(here)
        for link in links_of(here):
            target = (here.parent / unquote(link).partition("#")[0]).resolve()
            waiting += target.glob("*.md") if target.is_dir() else [target]
            waiting = [each for each in waiting if each.suffix == ".md" and each.exists()]
    return reached


def test_the_readme_leads_to_every_page() -> None:
    listed = {page for page in pages() if "docs" in page.relative_to(ROOT).parts}

    assert len(listed) > 0
    assert listed - find_reachable(ROOT / "README.md") == set()


def test_a_link_to_nothing_is_found(tmp_path: Path) -> None:
    page = ROOT / "docs" / "glossary.md"
    wrong = tmp_path / "page.md"
    wrong.write_text(
        "[a](nowhere.md) [b](#no-such-heading) ![c](gone.png) [d](https://h/) `docs/no.md`\n# One"
    )

    assert find_broken_links(page) == []
    assert find_broken_links(wrong) == ["nowhere.md", "#no-such-heading", "gone.png", "docs/no.md"]
