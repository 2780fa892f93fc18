"""All attacks at once, and twenty students who work as before.

    python -m tests.chaos.siege                       # 60 s at 200 requests a second; two minutes
    python -m tests.chaos.siege --seconds 10 --rate 100

A server process with its default settings, HubSpot 50 ms away with its limits on. Students work
alone first, then beside `attackers.py`. One line for each attack and each thing that students do, a
verdict at the end. Exit status 0: nothing wrong, 1: something is. Linux only: it counts memory in
/proc, and has each client at an address of its own in 127.0.0.0/8.
"""

from __future__ import annotations

import argparse
import json
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from statistics import quantiles

from hubspot.utils.signature import Signature

from hubspot_sync.portal.profile import load_profile
from tests.builders import Booking, Exam, Portal, Student
from tests.chaos.attackers import order
from tests.chaos.attacks import ATTACKS, GUESS, WEBHOOK, Siege
from tests.chaos.class_at_work import Class, Deed, body_of, seat_class
from tests.journeys.databases import query
from tests.manage import ROOT
from tests.memory import resident_bytes
from tests.sandbox import SandboxHandle, start_sandbox
from tests.server import Server, serving

STUDENTS, LATE, EXAMS, SEATS = 20, 4, 6, 60
BOOKINGS_OF_THE_ATTACKER = 150
LATENCY_MS = 50
MAX_CALLS, WINDOW_S = 190, 10.0
MAX_GROWTH = 1.5
MIB = 1024 * 1024
WARM_UP_S = 10.0
REST_S, LOOK_S = 90.0, 0.5
FINISHED_WITHIN_S = 60.0
WEBHOOK_SECRET = secrets.token_urlsafe(30)
# What has no default, and what a developer's own environment may not say.
SETTINGS = {
    "ENV_FILE": "",
    "DEBUG": "false",
    "LOG_LEVEL": "INFO",
    "SCHEDULER": "true",
    "SECRET_KEY": secrets.token_urlsafe(50),
    "CRON_SECRET": secrets.token_urlsafe(30),
    "HUBSPOT_WEBHOOK_SECRET": WEBHOOK_SECRET,
}
NOT_DONE = (
    "SELECT count(*) FROM booking_api_journalentry WHERE state NOT IN ('done', 'refused')",
    "SELECT count(*) FROM booking_api_outboxnote WHERE state <> 'sent'",
    "SELECT count(*) FROM booking_api_recountrequest",
)


@dataclass(slots=True)
class Outcome:
    """What came of it: answers by attack, students' deeds before and beside it, the most calls to
    HubSpot in any window then and in all, memory in bytes after the warm-up, at most and at the
    end, and what is wrong, a sentence each."""

    answers: Mapping[str, Mapping[str, int]]
    before: Sequence[Deed]
    beside: Sequence[Deed]
    calls: tuple[int, int]
    memory: tuple[int, int, int]
    wrong: list[str] = field(default_factory=list)


@dataclass(slots=True)
class School:
    """Who is there: students, exams, and an attacker with a right pair and bookings of her own."""

    portal: Portal
    students: Sequence[Student]
    exams: Sequence[Exam]
    attacker: Student
    bookings: Sequence[Booking]


def open_school(sandbox: SandboxHandle) -> School:
    portal = Portal(sandbox, load_profile("default"))
    sandbox.configure(latency_ms=LATENCY_MS, jitter_ms=LATENCY_MS // 5)
    with portal.at_once():
        exams = [portal.exam(in_days=3 + day, capacity=SEATS) for day in range(EXAMS)]
        old = portal.exam(in_days=30, capacity=SEATS, total_bookings=STUDENTS)
        many = [portal.exam(in_days=60 + day, total_bookings=10) for day in range(15)]
        students = [portal.student(f"student{number}", credits=99) for number in range(STUDENTS)]
        attacker = portal.student("mallory", student_id="M666")
        bookings = [portal.booking(student, old) for student in students]
    portal.bookings(attacker, many, BOOKINGS_OF_THE_ATTACKER)
    return School(portal, students, [*exams], attacker, bookings)


def besiege(
    sandbox: SandboxHandle,
    folder: Path,
    *,
    seconds: float,
    rate: float,
    only: Sequence[str] = (),
) -> Outcome:
    """Have the class warm the caches, work alone, then work beside the attackers."""
    school = open_school(sandbox)
    log = folder / "server.log"
    with (
        log.open("wb") as output,
        serving(sandbox, folder, output, **SETTINGS) as server,
    ):
        pupils = seat_class(server, school.students, school.exams, LATE)
        sandbox.clear_calls()
        pupils.begin(late=False)
        pause = threading.Event()
        pause.wait(WARM_UP_S)
        began_s = time.monotonic()
        pause.wait(max(WARM_UP_S, seconds / 2))
        at_first, calls_before = resident_bytes(server), find_most_calls(sandbox)
        siege = replace(plan(school, server, seconds, rate), only=only)
        with attacking(siege) as attackers:
            besieged_s = time.monotonic()
            pupils.begin(late=True)
            most = watch(server, besieged_s + seconds)
            ended_s = time.monotonic()
            pupils.end(FINISHED_WITHIN_S)
            told, _ = attackers.communicate(timeout=FINISHED_WITHIN_S)
        unfinished = find_unfinished(folder)
        outcome = Outcome(
            answers=json.loads(told),
            before=pupils.deeds(began_s, besieged_s),
            beside=pupils.deeds(besieged_s, ended_s),
            calls=(calls_before, find_most_calls(sandbox)),
            memory=(at_first, most, resident_bytes(server)),
        )
        if server.get("/api/health").status != 200:
            outcome.wrong.append("the server is not well afterwards")
        outcome.wrong += unfinished
        outcome.wrong += judge(outcome, school, pupils)
        outcome.wrong += judge_rows(school, folder)
    outcome.wrong += judge_log(log)
    return outcome


def plan(school: School, server: Server, seconds: float, rate: float) -> Siege:
    """Say what the attackers know; deliver what they recorded."""
    recorded = record_delivery(server, school.bookings[0])
    exam = {
        name: value
        for name, value in body_of(school.students[1], school.exams[0]).items()
        if name not in ("student_id", "email")
    }
    old = json.dumps([{**json.loads(recorded[1])[0], "occurredAt": 1_564_113_600_000}])
    v1 = sha256(f"{WEBHOOK_SECRET}{old}".encode()).hexdigest()
    return Siege(
        url=server.base_url,
        seconds=seconds,
        rate=rate,
        victims=[student.pair for student in school.students],
        bookings=[booking.id for booking in school.bookings],
        own_pair=school.attacker.pair,
        exam=exam,
        mock_types=[each.value for each in school.portal.profile.mock_types],
        recorded_v3=recorded,
        recorded_v1=((f"X-HubSpot-Signature: {v1}", "X-HubSpot-Signature-Version: v1"), old),
    )


def record_delivery(server: Server, booking: Booking) -> tuple[Sequence[str], str]:
    """Deliver an event as HubSpot would; return header lines and body."""
    now_ms = int(datetime.now(UTC).timestamp() * 1000)
    event = {
        "eventId": 1,
        "subscriptionId": 1,
        "portalId": 1,
        "appId": 1,
        "attemptNumber": 0,
        "occurredAt": now_ms,
        "subscriptionType": "object.propertyChange",
        "objectTypeId": "2-50158943",
        "objectId": int(booking.id),
        "propertyName": "name",
    }
    body = json.dumps([event])
    signature = Signature.get_signature(
        client_secret=WEBHOOK_SECRET,
        request_body=body,
        signature_version="v3",
        http_uri=f"http://127.0.0.1{WEBHOOK}",
        http_method="POST",
        timestamp=str(now_ms),
    )
    headers = {"X-HubSpot-Signature-v3": signature, "X-HubSpot-Request-Timestamp": str(now_ms)}
    answer = server.post(WEBHOOK, body.encode(), Host="127.0.0.1", **headers)
    if answer.status != 200:
        raise RuntimeError(f"a right delivery was answered {answer.status}")
    return [f"{name}: {value}" for name, value in headers.items()], body


@contextmanager
def attacking(siege: Siege) -> Iterator[subprocess.Popen[str]]:
    """Start the attackers, told what they know; none is left afterwards."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.chaos.attackers"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        if process.stdin is not None:
            process.stdin.write(order(siege))
            process.stdin.close()
            process.stdin = None
        yield process
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def watch(server: Server, until_s: float) -> int:
    """Wait until then; return the most that the server held in memory."""
    pause, most = threading.Event(), 0
    while time.monotonic() < until_s:
        most = max(most, resident_bytes(server))
        pause.wait(LOOK_S)
    return most


def find_most_calls(sandbox: SandboxHandle) -> int:
    """Return the most calls that came in any window."""
    times = sorted(call["at"] for call in sandbox.calls())
    most = first = 0
    for last, at in enumerate(times):
        while times[first] <= at - WINDOW_S:
            first += 1
        most = max(most, last - first + 1)
    return most


def find_unfinished(folder: Path) -> list[str]:
    """Wait until nothing is left to do; a sentence where something stays."""
    pause, until_s = threading.Event(), time.monotonic() + REST_S
    left: list[int] = []
    while time.monotonic() < until_s:
        left = [query(url_of(folder), sql)[0][0] for sql in NOT_DONE]
        if not any(left):
            return []
        pause.wait(LOOK_S)
    return [f"left to do: {left[0]} requests, {left[1]} notes, {left[2]} recounts"]


def url_of(folder: Path) -> str:
    return f"sqlite:///{folder / 'db.sqlite3'}"


# What is judged


def judge(outcome: Outcome, school: School, pupils: Class) -> list[str]:
    refused = Counter(
        f"{deed.what} was answered {deed.status} {deed.code}"
        for deed in [*outcome.before, *outcome.beside]
        if not deed.is_served
    )
    wrong = [f"a student's {each}, {number} times" for each, number in refused.items()]
    for attack in [*ATTACKS, GUESS]:
        found = attack.find_wrong(outcome.answers.get(attack.name, {}))
        wrong += [f"{attack.name}: answered {each} {n} times" for each, n in found.items()]
    if max(outcome.calls) > MAX_CALLS:
        wrong.append(f"{max(outcome.calls)} calls to HubSpot in {WINDOW_S:.0f} s")
    if over := school.portal.sandbox.calls_count(status=429):
        wrong.append(f"HubSpot refused {over} calls")
    before, _, after = outcome.memory
    if after > MAX_GROWTH * before:
        wrong.append(f"memory grew {after / before:.2f}-fold")
    unlisted = [each for member in pupils.members for each in member.unlisted]
    if unlisted:
        wrong.append(f"{len(unlisted)} bookings were not in the next list")
    return wrong + judge_bookings(school, pupils)


def judge_bookings(school: School, pupils: Class) -> list[str]:
    """A sentence for each booking that is not as was answered, and each count that is not right."""
    profile, sandbox = school.portal.profile, school.portal.sandbox
    state = profile.booking_properties["is_active"]
    records = {each["id"]: each for each in sandbox.records(profile.object_types.bookings)}
    active = profile.booking_states["active"]
    wrong = []
    for member in pupils.members:
        for record_id in member.standing | member.canceled:
            record = records.get(record_id)
            stands = record is not None and record["properties"].get(state) in active
            if stands != (record_id in member.standing):
                wrong.append(f"booking {record_id} of {member.student.student_id} is not as said")
    exam_id = profile.booking_properties["mock_exam_id"]
    taken = Counter(
        one["properties"].get(exam_id)
        for one in records.values()
        if one["properties"].get(state) in active
    )
    total = profile.exam_properties["total_bookings"]
    for exam in school.exams:
        counted = sandbox.record(profile.object_types.mock_exams, exam.id)["properties"][total]
        if int(counted) != taken[exam.id]:
            wrong.append(f"exam {exam.id} counts {counted}, has {taken[exam.id]}")
    return wrong


def judge_rows(school: School, folder: Path) -> list[str]:
    known = {student.email for student in [*school.students, school.attacker]}
    rows = query(url_of(folder), "SELECT DISTINCT email FROM booking_api_journalentry")
    strangers = {email for (email,) in rows} - known
    return [f"the journal has rows of {len(strangers)} strangers"] if strangers else []


def judge_log(log: Path) -> list[str]:
    """A sentence for each traceback in the server's log, with the end of it."""
    _, *broken = log.read_text(encoding="utf-8", errors="replace").split("Traceback (most recent")
    ends = (
        next((line for line in each.splitlines()[1:] if line[:1].strip()), "") for each in broken
    )
    return [f"the server's log has a traceback: {end[:200]}" for end in ends]


# What is shown


def table(outcome: Outcome) -> Iterator[str]:
    for name, answers in sorted(outcome.answers.items()):
        shown = ", ".join(f"{each} x {number}" for each, number in sorted(answers.items()))
        yield f"{name:32}{sum(answers.values()):7}  {shown}"
    yield f"{'students':32}{'before':>7}{'beside':>8}{'p50':>16}{'p95':>20}"
    for what in sorted({deed.what for deed in outcome.before}):
        alone, besieged = (
            [deed.took_s * 1000 for deed in deeds if deed.what == what]
            for deeds in (outcome.before, outcome.beside)
        )
        if min(len(alone), len(besieged)) < 2:
            continue
        shown = "".join(
            f"{quantiles(besieged, n=20)[place]:10.0f} ms"
            f" ({quantiles(besieged, n=20)[place] / quantiles(alone, n=20)[place]:.1f}x)"
            for place in (9, 18)
        )
        yield f"  {what:30}{len(alone):7}{len(besieged):8}{shown}"
    first, most, last = (size // MIB for size in outcome.memory)
    yield f"memory: {first} MiB before, at most {most}, {last} after ({last / first:.2f}x)"
    before, beside = outcome.calls
    yield f"calls to HubSpot in any 10 s: at most {before} before, {beside} beside"
    yield from (f"WRONG: {each}" for each in outcome.wrong)
    yield "nothing wrong" if not outcome.wrong else f"{len(outcome.wrong)} things wrong"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=200.0, help="requests a second, together")
    parser.add_argument("--only", nargs="*", default=(), metavar="ATTACK", help="by name")
    chosen = parser.parse_args()
    sandbox = start_sandbox()
    try:
        with tempfile.TemporaryDirectory() as folder:
            outcome = besiege(sandbox, Path(folder), **vars(chosen))
    finally:
        sandbox.stop()
    print("\n".join(table(outcome)), flush=True)
    return 1 if outcome.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
