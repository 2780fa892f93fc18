"""`manage.py benchmark` refuses options of which it would ignore one."""

from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command


@pytest.mark.parametrize(
    "options",
    [
        ("--check", "feed"),
        ("--check", "--quick"),
        ("--check", "--json"),
        ("--write-docs", "operations"),
        ("--write-docs", "--quick"),
        ("--check", "--write-docs"),
    ],
    ids=" ".join,
)
def test_what_would_be_ignored_is_refused(options: tuple[str, ...]) -> None:
    with pytest.raises(CommandError, match="is of the whole record: give it nothing else"):
        call_command("benchmark", *options)
