"""The settings: what Django's and our own checks say, and variables that nobody reads."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from django.core.checks import CheckMessage, run_checks
from django.core.checks import messages as levels

from booking_api.env_variables import VARIABLES
from booking_api.ops.doctor.deployment import Deployment
from booking_api.ops.doctor.diagnosis import Diagnosis
from hubspot_sync.preflight import FindingKind

AREA: Final = "settings"
MIN_LIKENESS: Final = 0.87
"""Of two names, one of them misspelt: HUBSPOT_WEBHOOK_SECRETS, but not TEST_DATABASE_URL."""
ASSIGNMENT: Final = re.compile(r"^\s*(?:export\s+)?([A-Za-z_]\w*)\s*=", flags=re.MULTILINE)
SAID_BY_OURS: Final = frozenset({"security.W009"})
"""Django's check of SECRET_KEY, which our E001 makes an error of."""
FILE_SUFFIX: Final = "_FILE"
OTHERS: Final = re.compile(r"DJANGO_\w+|PYTHON\w+|ENV_FILE|PGOPTIONS|TZ")
"""Read by others than our settings."""


def check_settings(deployment: Deployment) -> Iterator[Diagnosis]:
    """What Django says of a deployment follows from DEBUG where that is on; it is said once."""
    if deployment.debug:
        yield Diagnosis(
            area=AREA,
            subject="DEBUG",
            verdict=FindingKind.WARNING,
            found="on: errors show their insides, secrets may be weak, any host name is taken",
            advice="Leave it out wherever others than developers call.",
        )
    said = run_checks(include_deployment_checks=not deployment.debug)
    spoken = [each for each in said if not each.is_silenced() and each.id not in SAID_BY_OURS]
    yield from map(diagnose_message, spoken)
    if not spoken:
        yield Diagnosis(
            area=AREA, subject="checks", verdict=FindingKind.OK, found="nothing to complain of"
        )
    yield from find_unread(os.environ, read_names(deployment.env_file))
    yield from find_given_twice(os.environ)


def diagnose_message(message: CheckMessage) -> Diagnosis:
    verdict = FindingKind.OK
    if message.level >= levels.ERROR:
        verdict = FindingKind.WRONG
    elif message.level >= levels.WARNING:
        verdict = FindingKind.WARNING
    return Diagnosis(
        area=AREA,
        subject=message.id or "",
        verdict=verdict,
        found=" ".join(str(message.msg).split()),
        advice=" ".join(str(message.hint or "").split()),
    )


def read_names(env_file: str) -> list[str]:
    """Return the names that the file sets; none where there is no file."""
    if env_file == "" or not Path(env_file).is_file():
        return []
    text = Path(env_file).read_text(encoding="utf-8", errors="replace")
    return ASSIGNMENT.findall(text)


def find_unread(environment: Iterable[str], in_file: Collection[str]) -> Iterator[Diagnosis]:
    """The file is ours, so that each name in it is meant for us; of the environment only what looks
    like one of our names is. Each may name a file that holds the value (NAME_FILE)."""
    for name in sorted({*environment, *in_file}):
        bare = name.removesuffix(FILE_SUFFIX)
        if {name, bare} & VARIABLES.keys() or OTHERS.fullmatch(name) is not None:
            continue
        near = difflib.get_close_matches(bare.upper(), VARIABLES, n=1, cutoff=MIN_LIKENESS)
        if near or name in in_file:
            meant = [f"{each}{name[len(bare) :]}" for each in near]
            yield Diagnosis(
                area=AREA,
                subject=name,
                verdict=FindingKind.WARNING,
                found="is set, and no setting has this name",
                advice=f"{meant[0]} is meant?" if meant else "See .env.example for the names.",
            )


def find_given_twice(environment: Mapping[str, str]) -> Iterator[Diagnosis]:
    """Whoever replaces a value that does not count is told nothing by the server."""
    for name in sorted(VARIABLES.keys() & environment.keys()):
        if environment.get(f"{name}{FILE_SUFFIX}"):
            yield Diagnosis(
                area=AREA,
                subject=name,
                verdict=FindingKind.WARNING,
                found=f"is set, and so is {name}{FILE_SUFFIX}: the file counts",
                advice="Take one of them away.",
            )
