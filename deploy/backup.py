"""Back the database up into a folder: `backup.py FILE-WITH-THE-ADDRESS FOLDER [--keep 168]`.

The dump has its name, `booking-TIME.dump`, only once it is whole and its contents can be listed;
then all but the newest `--keep` go. The address is handed to PostgreSQL's tools by the environment,
since arguments are seen by all who are on this machine. Exit 1, with a sentence that quotes no
address, where there is no dump.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from psycopg import ProgrammingError, pq
from psycopg.conninfo import conninfo_to_dict

# https://www.postgresql.org/docs/current/libpq-envars.html, as the installed libpq has it.
VARIABLES = {
    option.keyword.decode(): option.envvar.decode()
    for option in pq.Conninfo.get_defaults()
    if option.envvar is not None
}
PREFIX = "booking-"
MAX_PART_AGE = timedelta(days=1)


class NoBackup(Exception):
    """There is no dump; the message says why, and quotes no address."""


def make_environment(file: Path) -> dict[str, str]:
    """Return the environment in which PostgreSQL's tools reach the database whose address is in the
    file; raise NoBackup."""
    try:
        address = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise NoBackup(f"{file} cannot be read ({type(error).__name__})") from error
    try:
        parts = conninfo_to_dict(address)
    except ProgrammingError:
        parts = {}
    # Without a name the tools would dump whichever database is called like the user.
    if not parts.get("dbname"):
        raise NoBackup(f"{file} must hold an address as postgres://user:password@host/name")
    named = {VARIABLES[name]: str(value) for name, value in parts.items() if name in VARIABLES}
    return os.environ | named


def back_up(environment: dict[str, str], folder: Path) -> Path:
    """Return the new dump; raise NoBackup and leave nothing where there is none."""
    name = f"{PREFIX}{datetime.now(UTC):%Y%m%dT%H%M%SZ}.dump"
    part = folder / f"{name}.part"
    dump = ["pg_dump", "--format=custom", "--no-owner", "--no-privileges", f"--file={part}"]
    try:
        subprocess.run(dump, env=environment, check=True)
        subprocess.run(["pg_restore", "--list", part], stdout=subprocess.DEVNULL, check=True)
        return part.rename(folder / name)
    except subprocess.CalledProcessError as error:
        raise NoBackup(f"{error.cmd[0]} ended with {error.returncode}") from error
    except OSError as error:
        raise NoBackup(f"{error.filename}: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)


def remove_old(folder: Path, keep: int) -> None:
    """Leave the newest dumps, and nothing of a run that was killed or lost its power."""
    dumps = sorted(folder.glob(f"{PREFIX}*.dump"))
    for dump in dumps[: max(0, len(dumps) - keep)]:
        dump.unlink()
    latest = datetime.now(UTC) - MAX_PART_AGE
    for part in folder.glob(f"{PREFIX}*.dump.part"):
        if datetime.fromtimestamp(part.stat().st_mtime, UTC) < latest:
            part.unlink()


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("address", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--keep", type=int, default=168)
    options = parser.parse_args()
    os.umask(0o077)
    # A service manager that has waited too long tells the tools as well. They end, and what they
    # have written is removed here.
    signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        made = back_up(make_environment(options.address), options.folder)
    except NoBackup as error:
        sys.stderr.write(f"No backup: {error}.\n")
        return 1
    remove_old(options.folder, max(1, options.keep))
    sys.stdout.write(f"Backed up to {made}.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
