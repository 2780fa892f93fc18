"""Our pages in Markdown, read by a parser: fenced blocks, links, headings, tables."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT: Final = Path(__file__).resolve().parents[2]
PARSER: Final = MarkdownIt("commonmark").enable("table")


@dataclass(frozen=True, slots=True)
class Fence:
    """A fenced block: the word after its fence, and what stands in it."""

    language: str
    content: str


def parse(path: Path) -> list[Token]:
    return PARSER.parse(path.read_text(encoding="utf-8"))


def fences_of(path: Path) -> list[Fence]:
    return [Fence(token.info, token.content) for token in parse(path) if token.type == "fence"]


def links_of(path: Path) -> Iterator[str]:
    """Yield where links and pictures of a page lead, as written."""
    for token in parse(path):
        for child in token.children or ():
            target = child.attrGet("href") or child.attrGet("src")
            if target is not None:
                yield str(target)


def codes_of(path: Path) -> Iterator[str]:
    """Yield what a page shows as code within its lines."""
    for token in parse(path):
        for child in token.children or ():
            if child.type == "code_inline":
                yield child.content


def anchors_of(path: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    tokens = parse(path)
    headings = (
        tokens[number + 1].children or []
        for number, token in enumerate(tokens)
        if token.type == "heading_open"
    )
    return {make_anchor("".join(child.content for child in children)) for children in headings}


def make_anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def rows_of(path: Path) -> list[list[str]]:
    """Return the rows of a page's tables, heads among them, each cell as it is written."""
    rows: list[list[str]] = []
    cell = ("td_open", "th_open")
    tokens = parse(path)
    for number, token in enumerate(tokens):
        if token.type == "tr_open":
            rows.append([])
        elif token.type in cell:
            rows[-1].append(tokens[number + 1].content)
    return rows
