"""The locked requirements: all that is asked for, pinned and hashed, and nothing else."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from importlib.metadata import (
    PackageNotFoundError,
    distribution,
    packages_distributions,
    requires,
)
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
OWN = {"booking_api", "hubspot_sync", "cache_layer"}
PIN = re.compile(r"(?P<name>[\w.-]+)==(?P<version>[\w.!+]+)(?: ; (?P<marker>[^\\]+?))?")
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")
ENTRY = re.compile(r"^(?P<name>[\w.-]+)==.*\n(?P<rest>(?:^ .*\n)*)", re.MULTILINE)
ASKED_BY = re.compile(r"^ +# +(?:via +)?(?P<who>(?!via$).+)$", re.MULTILINE)

# What is locked: for each name the version, marker and hashes of each of its entries.
Lock = dict[str, set[tuple[str, str, tuple[str, ...]]]]


def asked_for(name: str) -> list[Requirement]:
    """What a file asks for by name, those that it includes left out."""
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return [Requirement(line) for line in lines if line and line[0] not in "#-"]


def read_lock(name: str) -> Lock:
    """Read a locked file; fail on any line that is no pin with hashes."""
    locked: Lock = {}
    text = (ROOT / name).read_text(encoding="utf-8").replace("\\\n", " ")
    for line in text.splitlines():
        if line.lstrip().startswith("#"):
            continue
        head, *hashes = line.split(" --hash", maxsplit=1)
        pin = PIN.fullmatch(head.strip())
        assert pin, line
        digests = tuple(HASH.findall(" --hash".join(["", *hashes])))
        assert digests, f"{head} has no hash"
        entry = (pin["version"], pin["marker"] or "", digests)
        locked.setdefault(canonicalize_name(pin["name"]), set()).add(entry)
    return locked


def read_files(name: str) -> dict[str, set[tuple[str, tuple[str, ...]]]]:
    """What may be installed under each name: versions with hashes, for whatever machine."""
    return {
        name: {(version, hashes) for version, _, hashes in entries}
        for name, entries in read_lock(name).items()
    }


def is_for_some_machine(requirement: Requirement, extras: set[str]) -> bool:
    """Whether any platform and Python from 3.11 on would install it for these extras."""
    if requirement.marker is None:
        return True
    machines = (
        {"sys_platform": platform, "os_name": os_name, "platform_system": system}
        | {"python_version": f"3.{minor}", "python_full_version": f"3.{minor}.0"}
        | {"implementation_name": python.lower(), "platform_python_implementation": python}
        for platform, os_name, system in (
            ("linux", "posix", "Linux"),
            ("darwin", "posix", "Darwin"),
            ("win32", "nt", "Windows"),
        )
        for minor in range(11, 16)
        for python in ("CPython", "PyPy")
    )
    return any(
        requirement.marker.evaluate({**default_environment(), **machine, "extra": extra})
        for machine in machines
        for extra in extras or {""}
    )


def needed_by(wanted: list[Requirement]) -> set[str]:
    """The names of these and of all that they need, as the installed packages say."""
    seen: set[tuple[str, str]] = set()
    waiting = list(wanted)
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        for extra in requirement.extras or {""}:
            if (name, extra) in seen:
                continue
            seen.add((name, extra))
            try:
                lines = requires(name) or []
            except PackageNotFoundError:  # not for this machine
                continue
            needs = map(Requirement, lines)
            waiting += [need for need in needs if is_for_some_machine(need, {extra})]
    return {name for name, _ in seen}


def needed_elsewhere(name: str) -> set[str]:
    """What a locked file says is needed only by packages that are not for this machine: what those
    need is not installed here, and the file alone knows it."""
    asked_by = {
        canonicalize_name(entry["name"]): ASKED_BY.findall(entry["rest"])
        for entry in ENTRY.finditer((ROOT / name).read_text(encoding="utf-8"))
    }
    absent = {package for package in asked_by if not is_installed(package)}
    return {
        package
        for package, who in asked_by.items()
        if {canonicalize_name(each) for each in who} <= absent
    }


def is_installed(package: str) -> bool:
    try:
        distribution(package)
    except PackageNotFoundError:
        return False
    return True


FILES = [
    ("requirements.txt", ["requirements.in"]),
    ("requirements-dev.txt", ["requirements.in", "requirements-dev.in"]),
]


@pytest.mark.parametrize(("lock", "sources"), FILES)
def test_what_is_asked_for_is_locked_in_the_version_asked_for(
    lock: str, sources: list[str]
) -> None:
    locked = read_lock(lock)

    for requirement in (row for source in sources for row in asked_for(source)):
        versions = {version for version, _, _ in locked[canonicalize_name(requirement.name)]}
        assert {f"=={version}" for version in versions} == {str(requirement.specifier)}


@pytest.mark.parametrize(("lock", "sources"), FILES)
def test_all_that_is_needed_is_locked_and_nothing_else(lock: str, sources: list[str]) -> None:
    wanted = [row for source in sources for row in asked_for(source)]

    assert set(read_lock(lock)) == needed_by(wanted) | needed_elsewhere(lock)


def test_tests_run_on_what_runs_in_production() -> None:
    runtime, dev = read_files("requirements.txt"), read_files("requirements-dev.txt")

    assert {name: dev.get(name) for name in runtime} == runtime


def test_a_lock_names_no_place() -> None:
    for path in ROOT.glob("requirements*"):
        text = path.read_text(encoding="utf-8")

        assert not re.search(r"://|@|--(index|find|trusted|extra)|(^|\s)/", text), path.name


def imported_modules() -> Iterator[str]:
    """The top-level modules that the packages import, and the applications the settings name."""
    for path in (path for package in OWN for path in (ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from (alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module is not None:
                yield node.module.partition(".")[0]


def test_what_the_packages_import_is_asked_for_by_name() -> None:
    owners = packages_distributions()
    foreign = set(imported_modules()) - OWN - set(sys.stdlib_module_names)
    named = {canonicalize_name(requirement.name) for requirement in asked_for("requirements.in")}

    undeclared = {
        module
        for module in foreign
        if not named & {canonicalize_name(owner) for owner in owners.get(module, [])}
    }
    assert undeclared == set()


def test_what_is_asked_for_is_used() -> None:
    sources = (path for package in OWN for path in (ROOT / package).rglob("*.py"))
    words = set(re.findall(r"\w+", " ".join(path.read_text(encoding="utf-8") for path in sources)))
    modules = packages_distributions()

    for requirement in asked_for("requirements.in"):
        name = canonicalize_name(requirement.name)
        given = {
            module
            for module, owners in modules.items()
            if name in {canonicalize_name(owner) for owner in owners}
        }
        assert given & words, f"nothing uses {requirement.name}"
