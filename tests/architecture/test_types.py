"""What mypy cannot see: an object made of a dictionary's names, a name that is put together."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("booking_api", "hubspot_sync", "cache_layer")
MADE_OF_NAMES = {
    # The pool's own options, which psycopg_pool takes as Django's settings have them.
    ("hubspot_sync/background/postgres/base.py", "LimitedPool"),
}
"""Where a class is given a dictionary as its arguments, and why."""


@cache
def calls() -> list[tuple[str, str, ast.Call]]:
    """Return every call by a name in the packages: the file, what is called, and the call."""
    return [
        (path.relative_to(ROOT).as_posix(), name, node)
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and (name := last_name(node.func)) is not None
    ]


def last_name(called: ast.expr) -> str | None:
    if isinstance(called, ast.Subscript):  # Family[Contact, LoadContext](…)
        return last_name(called.value)
    if isinstance(called, ast.Attribute):
        return called.attr
    return called.id if isinstance(called, ast.Name) else None


def test_no_object_is_made_of_a_dictionary_of_names() -> None:
    """`Class(**values)` is checked neither for a name that is missing nor for what it holds."""
    found = {
        (path, called)
        for path, called, call in calls()
        if called[:1].isupper() and any(keyword.arg is None for keyword in call.keywords)
    }

    assert found == MADE_OF_NAMES


def test_families_and_their_keys_can_be_searched_for() -> None:
    """Their names are written out, or handed on as they were written out."""
    put_together = (ast.JoinedStr, ast.BinOp, ast.Call, ast.Subscript)
    names = [
        (path, ast.unparse(name))
        for path, called, call in calls()
        if called in {"Family", "KeyPattern"}
        for name in [*call.args[:1], *(each.value for each in call.keywords if each.arg == "name")]
        if isinstance(name, put_together)
    ]
    families = [path for path, called, _ in calls() if called == "Family"]

    assert names == []
    assert len(families) > 0, "nothing was looked at"
