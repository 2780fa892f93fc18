"""Whoever reads the logs, at their most talkative, learns no login, no secret and no name.

One server for each format lives through a day: what works, what is refused, what fails, staff at
the console, commands beside it. All that they print and log is searched for everything used.
"""

from __future__ import annotations

import base64
import http.client
import json
import re
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.parse import quote, urlencode, urlsplit

import pytest

from tests.builders import Portal, Student
from tests.manage import manage
from tests.migrated import copy_migrated_file
from tests.server import Server, serving
from tests.webhooks import BOOKING_SYNC, Events, signed

# A setup is a whole day, and slow where other work shares the machine.
pytestmark = pytest.mark.timeout(300)

SECRETS = {
    "HS_PRIVATE_APP_TOKEN": "sandbox-token",
    "CRON_SECRET": "cron-Xk29-wholly-secret",
    "SECRET_KEY": "django-Zq81-" + "k" * 50,
    "HUBSPOT_WEBHOOK_SECRET": "webhook-Lw55-secret-one,webhook-Vb70-secret-two",
}
PASSWORD, WRONG_PASSWORD = "olga's-Right_pass 77", "olga's-Wrong_pass 66"
STAFF_TOKEN = "0123456789abcdef0123456789abcdef01234567"
KEY, REASON, CHANGED_NAME = "key-of-Alice", "My grandmother Euphemia is ill", "Zenobia"
HOSTILE = "mallory+spam@bücher.example"
STAFF = (
    "from django.contrib.auth.models import User;"
    "from rest_framework.authtoken.models import Token;"
    f"olga = User.objects.create_superuser('olga', 'olga@staff.example', {PASSWORD!r});"
    f"Token.objects.create(user=olga, key={STAFF_TOKEN!r})"
)
OTHERS = {
    **{name: value.partition(",")[0] for name, value in SECRETS.items()},
    "second webhook secret": "Vb70",
    "password": "Right_pass",
    "wrong password": "Wrong_pass",
    "token": STAFF_TOKEN,
    "Redis's password": "Qm33",
    "new name": CHANGED_NAME,
    "wrong e-mail": "mallory",
    "its domain": "cher.example",
    "reason": "Euphemia",
    "key": KEY,
    "staff's e-mail": "olga@",
}
# In one process each: processes are slow to start.
COMMANDS = """
from django.core.management import CommandError, call_command
for name in ("sync_capacity", "validate_cache", "hubspot_check"):
    try:
        call_command(name)
    except (CommandError, SystemExit) as error:
        print(name, error)
"""


@dataclass(frozen=True, slots=True)
class Day:
    """What was logged, and what may not be in it, by what it is."""

    logged: str
    used: Mapping[str, str]


def ask_admin(server: Server, cookies: dict[str, str], form: Mapping[str, str] | None) -> str:
    """Get the login page, or post its form; put the cookies of the answer among the others."""
    address = urlsplit(server.base_url)
    connection = http.client.HTTPConnection(address.netloc, timeout=40)
    # Its cookies are for https: a browser would not send them back over http.
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items()),
    }
    body = None if form is None else urlencode(form)
    target = f"/admin/login/?next=/admin/%3Fwho={quote(HOSTILE)}"
    with closing(connection):
        connection.request("GET" if form is None else "POST", target, body, headers)
        response = connection.getresponse()
        page = response.read().decode()
    for line in response.headers.get_all("Set-Cookie", []):
        cookies |= {name: morsel.value for name, morsel in SimpleCookie(line).items()}
    return page


def open_admin(server: Server) -> dict[str, str]:
    """Log in once wrongly and once rightly; return the cookies, and the token of the form."""
    cookies: dict[str, str] = {}
    page = ask_admin(server, cookies, None)
    form_token = re.findall(r'csrfmiddlewaretoken" value="(\w+)"', page)[0]
    for password in (WRONG_PASSWORD, PASSWORD):
        form = {"username": "olga", "password": password, "csrfmiddlewaretoken": form_token}
        ask_admin(server, cookies, form)
    assert "sessionid" in cookies
    return {**cookies, "form token": form_token}


def live_as_a_student(server: Server, alice: Student, exam_id: str, exam_date: str) -> str:
    """Look, book, change and cancel; return the key of the booking."""
    who = {**alice.pair, "name": alice.name, "contact_id": alice.id}
    wanted = {"mock_exam_id": exam_id, "mock_type": "clinical", "exam_date": exam_date}
    key = {"Idempotency-Key": f"{KEY}-{exam_id}"}
    booked = server.post("/api/bookings/create", {**who, **wanted}, **key)
    assert booked.status == 201, booked.body
    booking_id = booked.body["data"]["booking_id"]
    record_id = booked.body["data"]["booking_record_id"]
    change = json.dumps({**alice.pair, "attending_location": "calgary"}).encode()
    why = json.dumps({**alice.pair, "reason": REASON}).encode()
    server.get(f"/api/bookings/{booking_id}", **alice.pair)
    assert server.get(f"/api/bookings/{record_id}", **alice.pair).status == 200
    assert server.send("PATCH", f"/api/bookings/{record_id}", change).status == 200
    assert server.get("/api/bookings/list", **alice.pair).status == 200
    assert server.send("DELETE", f"/api/bookings/{record_id}", why).status == 200
    return str(booking_id)


def be_refused(server: Server, alice: Student) -> None:
    """Err in every way there is, with what nobody else may read."""
    wrong = {**alice.pair, "email": HOSTILE}
    assert server.get("/api/bookings/list", **wrong).status == 401
    assert server.post("/api/mock-exams/validate-credits", wrong).status == 400
    server.post("/api/bookings/create", {**wrong, "name": alice.name, "exam_date": HOSTILE})
    server.post("/api/bookings/create", json.dumps(wrong).encode()[:-4])
    server.send("GET", f"/api/bookings/{quote(HOSTILE)}?{urlencode(alice.pair)}")
    server.send("GET", f"/{quote(HOSTILE)}?student_id={alice.student_id}")
    server.get("/api/health", **alice.pair)
    basic = base64.b64encode(f"olga:{PASSWORD}".encode()).decode()
    for scheme in ("Bearer x" + SECRETS["CRON_SECRET"], f"Token {STAFF_TOKEN[::-1]}", basic):
        server.post("/api/cron/sync-capacity", {}, Authorization=scheme)


def tell_of_changes(server: Server, portal: Portal, alice: Student) -> None:
    url = f"{server.base_url}{BOOKING_SYNC}"
    secret = SECRETS["HUBSPOT_WEBHOOK_SECRET"].partition(",")[0]
    change = {"propertyName": "firstname", "propertyValue": CHANGED_NAME}
    events = [
        Events(portal.profile).contact("propertyChange", alice.id, **change),
        {"subscriptionType": HOSTILE, "objectId": CHANGED_NAME},
    ]
    body = json.dumps(events).encode()
    assert server.post(BOOKING_SYNC, body, **signed(body, url, secret=secret)).status == 200
    assert server.post(BOOKING_SYNC, body, **signed(body, url, secret="none")).status == 401


@contextmanager
def broken(folder: Path) -> Iterator[None]:
    """The table of tokens is missing inside."""
    with closing(sqlite3.connect(folder / "db.sqlite3", timeout=20)) as database:
        database.execute("ALTER TABLE authtoken_token RENAME TO away")
        database.commit()
        yield
        database.execute("ALTER TABLE away RENAME TO authtoken_token")
        database.commit()


def run_commands(settings: Mapping[str, str]) -> str:
    done = manage("shell", "-c", COMMANDS, **settings)
    assert done.returncode == 0, done.stderr
    wrong = {**settings, "REDIS_URL": "redys://:redis-Qm33-secret@127.0.0.1/9"}
    refused = manage("check", **wrong)
    assert refused.returncode != 0
    return done.stdout + done.stderr + refused.stdout + refused.stderr


def live_a_day(server: Server, portal: Portal, folder: Path) -> dict[str, str]:
    """Do everything there is to do; return what was used, by what it is."""
    alice, exam = portal.student("alice"), portal.exam()
    date = exam.day.isoformat()
    booking = live_as_a_student(server, alice, exam.id, date)
    be_refused(server, alice)
    tell_of_changes(server, portal, alice)
    cookies = open_admin(server)
    staff = {"Authorization": f"Token {STAFF_TOKEN}"}
    server.post("/api/admin/cache/invalidate", {"pattern": f"*{HOSTILE}*"}, **staff)
    server.post("/api/admin/cache/validate", {"family": HOSTILE}, **staff)
    cron = {"Authorization": f"Bearer {SECRETS['CRON_SECRET']}"}
    assert server.post("/api/cron/sync-capacity", {}, **cron).status == 200
    portal.sandbox.edit(portal.profile.object_types.contacts, alice.id, firstname=CHANGED_NAME)
    with broken(folder):
        target = f"/api/admin/cache/stats?{urlencode(alice.pair)}"
        assert server.send("GET", target, None, **staff).status >= 500
    return {
        "student id": alice.student_id,
        "e-mail": alice.email,
        "e-mail in an address": quote(alice.email, safe=""),
        "first name": alice.firstname,
        "last name": alice.lastname,
        "booking": booking,
        **{f"cookie {name}": value for name, value in cookies.items()},
    }


@pytest.fixture(scope="module")
def staffed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with the administrator olga."""
    folder: Path = tmp_path_factory.mktemp("talkative")
    settings = {"DEBUG": "true", "DATABASE_URL": copy_migrated_file(folder / "db.sqlite3")}
    done = manage("shell", "-c", STAFF, **settings)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module", params=[pytest.param("console", marks=pytest.mark.chaos), "json"])
def day(request: pytest.FixtureRequest, portal: Portal, staffed: Path) -> Day:
    folder = staffed
    portal.sandbox.reset(seed="empty", portal=portal.profile.name)
    portal.sandbox.kind()
    settings = {
        **SECRETS,
        "LOG_LEVEL": "DEBUG",
        "LOG_FORMAT": request.param,
        "DATABASE_URL": f"sqlite:///{folder / 'db.sqlite3'}",
        "HUBSPOT_BASE_URL": portal.sandbox.base_url,
        "PYTHONWARNINGS": "always",
    }
    log = folder / "log"
    with log.open("wb") as output, serving(portal.sandbox, folder, output, **settings) as server:
        used = live_a_day(server, portal, folder)
        printed = run_commands(settings) if request.param == "console" else ""
    return Day(logged=log.read_text(encoding="utf-8") + printed, used=OTHERS | used)


def test_nothing_that_was_used_is_logged(day: Day) -> None:
    told = {
        what: next(line for line in day.logged.splitlines() if value.lower() in line.lower())
        for what, value in day.used.items()
        if value.lower() in day.logged.lower()
    }

    assert told == {}


def test_what_happened_is_logged_all_the_same(day: Day) -> None:
    for said in ("hubspot.call", "cache load: booking-pages", "webhook_refused", "no such table"):
        assert said in day.logged
    assert day.logged.count("api/bookings/<booking_id>") >= 4
