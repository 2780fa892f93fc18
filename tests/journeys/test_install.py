"""`install.py`: what somebody sees while packages are installed, and when they cannot be."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
import sys
import termios
import venv
import zipfile
from pathlib import Path

import pytest

from tests.manage import ROOT

METADATA = "Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
WHEEL = "Wheel-Version: 1.0\nGenerator: a-test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def make_wheel(folder: Path, name: str) -> None:
    """Make the smallest package there can be."""
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as wheel:
        info = f"{name}-1.0.dist-info"
        wheel.writestr(f"{info}/METADATA", METADATA.format(name=name))
        wheel.writestr(f"{info}/WHEEL", WHEEL)
        wheel.writestr(f"{info}/RECORD", "")


def install(
    folder: Path, *names: str, errors: int = subprocess.PIPE
) -> subprocess.CompletedProcess[str]:
    """Install into the folder, of wheels that lie there, asking nobody."""
    requirements = folder / "requirements.txt"
    requirements.write_text("".join(f"{name}==1.0\n" for name in names), encoding="utf-8")
    options = ("--no-index", "--find-links", str(folder), "--target", str(folder / "target"))
    return subprocess.run(
        [sys.executable, "install.py", str(requirements), *options],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
        check=False,
        timeout=100,
    )


@pytest.mark.chaos
def test_in_a_pipe_there_are_few_lines_and_none_of_pips(tmp_path: Path) -> None:
    for name in ("alpha", "beta"):
        make_wheel(tmp_path, name)

    ended = install(tmp_path, "alpha", "beta")

    assert ended.returncode == 0
    assert (tmp_path / "target" / "beta-1.0.dist-info").is_dir()
    assert ended.stderr.splitlines()[-1].startswith("Installed what ")
    assert "Collecting" not in ended.stderr


@pytest.mark.chaos
def test_on_a_terminal_one_line_moves(tmp_path: Path) -> None:
    make_wheel(tmp_path, "alpha")
    seen, terminal = pty.openpty()

    ended = install(tmp_path, "alpha", errors=terminal)

    os.close(terminal)
    shown = os.read(seen, 65_536).decode()
    os.close(seen)
    assert ended.returncode == 0
    assert shown.startswith("\rInstalling (once), ")
    assert shown.count("\n") == 1


@pytest.mark.chaos
def test_on_a_narrow_terminal_one_line_moves_and_does_not_scroll(tmp_path: Path) -> None:
    make_wheel(tmp_path, "apackagewhosenameislongerthantheline")
    seen, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (24, 40))

    ended = install(tmp_path, "apackagewhosenameislongerthantheline", errors=terminal)

    os.close(terminal)
    shown = os.read(seen, 65_536).decode()
    os.close(seen)
    assert ended.returncode == 0
    assert shown.startswith("\rInstalling (once), ")
    assert shown.count("\n") == 1
    assert {len(line.strip("\r\n")) for line in shown.split("\r")[1:]} <= {39, 0}


@pytest.mark.chaos
def test_an_environment_that_is_only_half_made_is_made_anew(tmp_path: Path) -> None:
    """As Ctrl-C leaves one, or a Debian without python3-venv: with Python, and without pip."""
    for name in ("Makefile", "install.py"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "requirements.txt").touch()
    venv.create(tmp_path / ".venv", with_pip=False)

    ended = subprocess.run(
        ["make", ".venv/.installed", f"PYTHON={sys.executable}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )

    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / ".venv" / ".installed").is_file()


def test_what_pip_says_is_shown_where_it_fails(tmp_path: Path) -> None:
    make_wheel(tmp_path, "alpha")

    ended = install(tmp_path, "alpha", "gamma")

    assert ended.returncode != 0
    assert "pip failed" in ended.stderr
    assert "No matching distribution found for gamma==1.0" in ended.stderr
