"""Versions: what this code runs on, beside what it was locked to."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Final

import django
from packaging.requirements import Requirement

from booking_api.ops.doctor.deployment import Deployment
from booking_api.ops.doctor.diagnosis import Diagnosis
from hubspot_sync.preflight import FindingKind

AREA: Final = "versions"
REQUIREMENT: Final = re.compile(r"^[A-Za-z0-9][^\s#]*[^\\\n#]*", re.MULTILINE)
"""The first line of each, before its hashes."""
MAX_NAMED: Final = 8


def check_versions(deployment: Deployment) -> Iterator[Diagnosis]:
    yield Diagnosis(
        area=AREA,
        subject="Python, Django",
        verdict=FindingKind.OK,
        found=f"{platform.python_version()}, {django.get_version()}",
    )
    yield compare_with_lock(deployment.base_dir / "requirements.txt")


def compare_with_lock(lock: Path) -> Diagnosis:
    """Return whether what is installed is what the lock names."""
    if not lock.is_file():
        return Diagnosis(
            area=AREA,
            subject="packages",
            verdict=FindingKind.OK,
            found="not compared: no requirements.txt beside the code",
        )
    others = sorted(list_differences(lock.read_text(encoding="utf-8")))
    if not others:
        return Diagnosis(
            area=AREA, subject="packages", verdict=FindingKind.OK, found="as requirements.txt says"
        )
    more = f" and {len(others) - MAX_NAMED} more" if len(others) > MAX_NAMED else ""
    return Diagnosis(
        area=AREA,
        subject="packages",
        verdict=FindingKind.WARNING,
        found=f"not as requirements.txt says: {', '.join(others[:MAX_NAMED])}{more}",
        advice="pip install --require-hashes -r requirements.txt, and start the servers anew.",
    )


def list_differences(locked: str) -> Iterator[str]:
    """Yield "name 1.0, not 2.0" for what is installed otherwise than a lock's text has it. A
    package may be there several times, each under a condition (PEP 508)."""
    for line in REQUIREMENT.findall(locked):
        wanted = Requirement(line)
        if wanted.marker is not None and not wanted.marker.evaluate():
            continue
        try:
            installed = metadata.version(wanted.name)
        except metadata.PackageNotFoundError:
            yield f"{wanted.name} is missing"
            continue
        if not wanted.specifier.contains(installed, prereleases=True):
            yield f"{wanted.name} {installed}, not {wanted.specifier}"
