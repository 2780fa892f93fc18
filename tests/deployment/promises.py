"""Programs that a test needs: it skips by name without them, unless they were promised."""

from __future__ import annotations

import os
import shutil

import pytest


def require(program: str, promise: str) -> str:
    """Return where the program is; skip without it, fail where `promise` is in the environment."""
    found = shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")
    if found is not None:
        return found
    if promise in os.environ:
        pytest.fail(f"{program} is promised by {promise}, and not installed")
    pytest.skip(f"{program} is not installed")
