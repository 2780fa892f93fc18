"""Back the database up into a folder: `backup.py FILE-WITH-THE-ADDRESS FOLDER [--keep 168]`.

The dump has its name, `booking-TIME.dump`, only once it is whole and its contents can be listed;
then all but the newest `--keep` go. The address is handed to PostgreSQL's tools by the environment,
since arguments are seen by all who are on this machine. Exit 1, with their own words, where one
fails.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict

# https://www.postgresql.org/docs/current/libpq-envars.html
PARTS = (
    "host",
    "hostaddr",
    "port",
    "user",
    "password",
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
)
VARIABLES = {"dbname": "PGDATABASE"} | {part: f"PG{part.upper()}" for part in PARTS}
PREFIX = "booking-"


def make_environment(address: str) -> dict[str, str]:
    """Return the environment in which PostgreSQL's tools reach the database at this address."""
    parts = conninfo_to_dict(address)
    named = {VARIABLES[name]: str(value) for name, value in parts.items() if name in VARIABLES}
    return os.environ | named


def back_up(address: str, folder: Path) -> Path:
    """Return the new dump; raise CalledProcessError and leave nothing where there is none."""
    environment = make_environment(address)
    name = f"{PREFIX}{datetime.now(UTC):%Y%m%dT%H%M%SZ}.dump"
    part = folder / f"{name}.part"
    dump = ["pg_dump", "--format=custom", "--no-owner", "--no-privileges", f"--file={part}"]
    try:
        subprocess.run(dump, env=environment, check=True)
        subprocess.run(["pg_restore", "--list", part], stdout=subprocess.DEVNULL, check=True)
        return part.rename(folder / name)
    finally:
        part.unlink(missing_ok=True)


def remove_old(folder: Path, keep: int) -> None:
    dumps = sorted(folder.glob(f"{PREFIX}*.dump"))
    for dump in dumps[: max(0, len(dumps) - keep)]:
        dump.unlink()


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("address", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--keep", type=int, default=168)
    options = parser.parse_args()
    os.umask(0o077)
    try:
        made = back_up(options.address.read_text(encoding="utf-8").strip(), options.folder)
    except subprocess.CalledProcessError as error:
        sys.stderr.write(f"No backup: {error.cmd[0]} ended with {error.returncode}.\n")
        return 1
    remove_old(options.folder, max(1, options.keep))
    sys.stdout.write(f"Backed up to {made}.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
