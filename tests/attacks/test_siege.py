"""Everything at once, for ten seconds; `python -m tests.chaos.siege` does so for a minute."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.chaos.siege import besiege, table
from tests.sandbox import SandboxHandle


@pytest.mark.chaos
@pytest.mark.timeout(300)
@pytest.mark.skipif(sys.platform != "linux", reason="each attacker has an address of its own")
def test_twenty_students_are_served_as_before_while_everything_is_tried(
    kind_sandbox: SandboxHandle, tmp_path: Path
) -> None:
    outcome = besiege(kind_sandbox, tmp_path, seconds=10, rate=100)

    print("\n".join(table(outcome)))
    assert outcome.wrong == []
