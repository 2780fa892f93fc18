"""The schema held against a running API: `make conformance`.

It starts the API and a sandbox of its own, lets schemathesis send what the schema allows and what
it does not, with every check on, and ends both. The exit code is schemathesis's; too few cases fail
too.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from hubspot_sync.portal.profile import load_profile
from tests.builders import Portal
from tests.journeys.databases import manage
from tests.manage import ROOT
from tests.sandbox import start_sandbox
from tests.server import serving

MIN_CASES = 2_000
MAX_RUN_S = 600
STUDENTS = 12
MANY = 1_000_000
WEBHOOK_SECRET = "a-client-secret-for-the-schema"
CRON_SECRET = "a-cron-secret-for-the-schema"
GENERATED = re.compile(r"(\d+) generated")
MAKE_TOKEN = (
    "from django.contrib.auth import get_user_model as m;"
    "from rest_framework.authtoken.models import Token as t;"
    "print(t.objects.create(user=m().objects.create_superuser('conformance')).key)"
)


def main() -> int:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=40, help="of each operation and phase")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    sandbox = start_sandbox(unkind=False)
    try:
        with tempfile.TemporaryDirectory() as folder:
            database = f"sqlite:///{folder}/db.sqlite3"
            manage(database, "migrate", "--verbosity", "0")
            token = manage(database, "shell", "--no-imports", "-c", MAKE_TOKEN).strip()
            portal = Portal(sandbox, load_profile("default"))
            sandbox.configure(rate_limit=MANY, search_rate=MANY)
            world = make_world(portal)
            settings = {
                "CRON_SECRET": CRON_SECRET,
                "HUBSPOT_WEBHOOK_SECRET": WEBHOOK_SECRET,
                "DEBUG": "true",
                "LOG_LEVEL": "ERROR",
                "THROTTLE_READS": "",
                "THROTTLE_WRITES": "",
                "THROTTLE_FAILED_PAIRS": "",
                "THROTTLE_FAILED_SECRETS": "",
                # What is tried is the schema; budgets would only make it wait.
                "HUBSPOT_RATE_LIMIT": str(MANY),
                "HUBSPOT_SEARCH_RATE": str(MANY),
            }
            with serving(sandbox, Path(folder), **settings) as server:
                secrets = {
                    "CONFORMANCE_STAFF_TOKEN": token,
                    "CONFORMANCE_CRON_SECRET": CRON_SECRET,
                    "CONFORMANCE_WORLD": json.dumps(world),
                }
                return hold_against(server.base_url, secrets, options.examples, options.seed)
    finally:
        sandbox.stop()


def make_world(portal: Portal) -> dict[str, Any]:
    """Fill the portal; return what a caller may name of it."""
    exams = [portal.exam(in_days=7 + number, capacity=1_000) for number in range(4)]
    rows = []
    for number in range(STUDENTS):
        student = portal.student(f"caller{number}", credits=10_000)
        exam = exams[number % len(exams)]
        rows.append(
            {
                **student.pair,
                "contact_id": student.id,
                "name": student.name,
                "mock_exam_id": exams[(number + 1) % len(exams)].id,
                "exam_date": exams[(number + 1) % len(exams)].day.isoformat(),
                "mock_type": exam.mock_type,
                "record_id": portal.booking(student, exam).id,
            }
        )
    return {"bookings": rows, "webhook_secret": WEBHOOK_SECRET}


def hold_against(base_url: str, secrets: dict[str, str], examples: int, seed: int) -> int:
    """Run schemathesis; return its exit code, or 1 where it tried too little."""
    command = [
        *(sys.executable, "-m", "schemathesis.cli"),
        *("--config-file", str(Path(__file__).with_name("schemathesis.toml"))),
        *("run", f"{base_url}/api/schema", "--checks", "all", "--mode", "all"),
        *("--max-examples", str(examples), "--seed", str(seed), "--no-color"),
    ]
    environment = {**os.environ, **secrets}
    ran = subprocess.run(
        command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        timeout=MAX_RUN_S,
    )
    print(ran.stdout)
    cases = GENERATED.search(ran.stdout)
    if cases is None or int(cases[1]) < MIN_CASES:
        print(f"Fewer than {MIN_CASES} cases were tried.")
        return ran.returncode or 1
    return ran.returncode


if __name__ == "__main__":
    sys.exit(main())
