"""The image: its own steps taken in an empty root, its entry point run as compose.yaml runs it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import Any

import pytest

from tests.deployment.container import copy_context
from tests.manage import ROOT

NAMESPACES = ["unshare", "--mount"]


def run_container(*options: str) -> dict[str, Any]:
    """Return what was seen of a container, see container.py; skip where nobody may make one."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root on Linux can lay a root directory over the machine's")
    if subprocess.run([*NAMESPACES, "true"], check=False, capture_output=True).returncode != 0:
        pytest.skip("namespaces cannot be made here")
    command = [sys.executable, "-m", "tests.deployment.container", *options]
    done = subprocess.run(
        [*NAMESPACES, *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    seen: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return seen


@pytest.mark.chaos
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "options",
    [[], ["--install"]],
    ids=["this Python's packages", "installed by its own step"],
)
def test_it_is_built_starts_serves_and_stops_as_an_engine_would_have_it(options: list[str]) -> None:
    seen = run_container(*options)

    assert seen["user"] == "10001"
    assert seen["writable"] == ["/tmp"]  # noqa: S108 - the only place
    assert seen["static"] > 0
    assert seen["migrated"] == 0
    assert (seen["healthy_before"], seen["starts"], seen["healthy"]) == (1, True, 0)
    # HubSpot was silent; who asked is answered all the same, and the engine has nobody to kill.
    assert (seen["answered"]["status"], seen["answered"]["code"]) == (503, "RATE_LIMITED")
    assert "restarted" in seen["answered"]["error"]
    assert seen["stopped"] == 0


def test_an_engine_is_sent_what_serves_and_nothing_else(tmp_path: Any) -> None:
    copy_context(tmp_path)

    sent = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    beginnings = {name.partition("/")[0] for name in sent}
    assert beginnings == {
        *("booking_api", "hubspot_sync", "cache_layer", "templates"),
        *("deploy", "manage.py", "requirements.txt"),
    }
    assert {name for name in sent if name.startswith("deploy/")} == {"deploy/healthcheck.py"}
    assert not {name for name in sent if ".env" in name or name.endswith((".pyc", ".sqlite3"))}


def test_it_stops_before_an_engine_kills_it() -> None:
    """Docker waits for ten seconds, unless it is told otherwise."""
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    (stop_timeout_s,) = re.findall(r"STOP_TIMEOUT_S=(\d+)", dockerfile)

    assert int(stop_timeout_s) < 10


def test_what_it_is_made_of_is_pinned() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")

    bases = re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE)
    assert len(set(bases)) == 1
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+", bases[0])
    assert "--require-hashes" in dockerfile
