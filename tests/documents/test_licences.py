"""docs/licences.md: what is installed, under the licence that each names itself."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import PackageNotFoundError, metadata

from packaging.utils import canonicalize_name

from tests.architecture.test_requirements import read_lock
from tests.documents.markdown import ROOT, rows_of

PAGE = ROOT / "docs" / "licences.md"
FREE = {"MIT", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "PSF-2.0"}
"""What asks for no more than that its text is kept."""
# Where a package names its licence in other words than SPDX's.
WORDS = {
    "BSD": "BSD-3-Clause",
    "BSD License": "BSD-3-Clause",
    "MIT License": "MIT",
    "BSD 3-Clause OR Apache-2.0": "BSD-3-Clause OR Apache-2.0",
}


def written() -> dict[str, str]:
    head, *rows = rows_of(PAGE)
    assert head == ["package", "licence"]
    return {name.strip("`"): licence for name, licence in rows}


def named_by(package: str) -> str | None:
    """Return the licence that a package names; None for one that other machines need."""
    try:
        about = metadata(package)
    except PackageNotFoundError:
        return None
    classifiers = about.get_all("Classifier") or []
    classified = [line.rpartition(" :: ")[2] for line in classifiers if "License ::" in line]
    named = about.get("License-Expression") or about.get("License") or " ".join(classified)
    return WORDS.get(named, named)


def test_each_package_that_is_installed_is_there_and_no_other() -> None:
    assert set(written()) == {canonicalize_name(name) for name in read_lock("requirements.txt")}


def test_each_has_the_licence_that_it_names() -> None:
    named = {package: named_by(package) for package in written()}

    assert {name: written()[name] for name, licence in named.items() if licence} == {
        name: licence for name, licence in named.items() if licence
    }


def test_what_asks_for_more_than_to_be_named_is_explained() -> None:
    prose = PAGE.read_text(encoding="utf-8").partition("\n| package")[0]

    for package, licence in written().items():
        for part in set(re.split(r" AND | OR |[()]", licence)) - FREE - {""}:
            assert f"**{part.removesuffix('-only')}**" in prose, (package, part)
            assert f"`{package}`" in prose, package


def test_the_project_says_its_own() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert project["license"] == "MIT"
    assert (ROOT / "LICENSE").read_text(encoding="utf-8").startswith("MIT License\n")
