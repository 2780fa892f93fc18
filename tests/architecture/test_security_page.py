"""The threat model: each test that it names exists, and each file of attacks is named."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TESTS = ROOT / "tests"
PAGE = ROOT / "docs" / "security.md"
NAMED = re.compile(r"`([\w/]+\.py)::(\w+)`")


def named_tests() -> list[tuple[str, str]]:
    return sorted(set(NAMED.findall(PAGE.read_text(encoding="utf-8"))))


def test_it_names_tests_in_one_way_only() -> None:
    text = PAGE.read_text(encoding="utf-8")

    assert text.count("::") == len(NAMED.findall(text)) > 0


def test_each_test_that_it_names_exists() -> None:
    named = named_tests()
    there = {
        (file, node.name)
        for file in {file for file, _ in named}
        for node in ast.parse((TESTS / file).read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef)
    }

    assert set(named) - there == set()


def test_each_kind_of_attack_is_named() -> None:
    files = {f"attacks/{path.name}" for path in (TESTS / "attacks").glob("test_*.py")}

    assert files - {file for file, _ in named_tests()} == set()
