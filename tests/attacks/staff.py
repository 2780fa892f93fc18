"""Staff of a server that is attacked: a database with one person for each thing that may be held.

`hired` gives it in PostgreSQL where there is one, else in SQLite. `hire` runs in a process of the
application's own: it takes the database through the upgrade that brought the permissions.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psycopg

from tests.journeys.databases import DATABASE_URL, made_database, manage, url_of
from tests.migrated import copy_migrated_file, find_or_make_template
from tests.server import Answer, Server

CACHE = ("view_entries", "validate", "invalidate")
SEE_PERSONS = "view_personal_data"
PAGES = (
    *("booking_api/journalentry", "booking_api/outboxnote", "booking_api/recountrequest"),
    *("booking_api/creditreview", "booking_api/lease", "hubspot_sync/webhookevent"),
    *("hubspot_sync/unreadablevalue", "cache/cacheinvalidation", "cache/validationrun"),
    *("booking_api/erasurerequest", "booking_api/countrecord"),
)
ROWS = (*(f"view_{page.partition('/')[2]}" for page in PAGES), "finish_bookings")
ROWS = (*ROWS, "apply_webhookevent", "view_exams")
CSRF = "a" * 32


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with an account, or nobody, as the server sees them."""

    server: Server
    token: str = ""
    session: str = ""

    def ask(self, method: str, path: str, body: Any = None) -> Answer:
        """Call the API by token."""
        headers = {"Authorization": self.token} if self.token else {}
        raw = None if body is None else json.dumps(body).encode()
        return self.server.send(method, path, raw, **headers)

    def open(self, path: str, **query: str) -> Answer:
        """Open a page by session."""
        target = f"{path}?{urlencode(query)}" if query else path
        return self.server.send("GET", target, **self.cookies)

    def submit(self, path: str, **fields: str) -> Answer:
        """Send a form by session."""
        form = urlencode({"csrfmiddlewaretoken": CSRF, **fields}).encode()
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        return self.server.send("POST", path, form, **kind, **self.cookies)

    @property
    def cookies(self) -> dict[str, str]:
        """The header that carries the session."""
        session = f"; sessionid={self.session}" if self.session else ""
        return {"Cookie": f"csrftoken={CSRF}{session}"}


def hire() -> None:
    """Make the accounts and print their tokens and sessions as JSON, by name."""
    from django.contrib.auth.models import Permission, User
    from django.core.management import call_command
    from django.test import Client
    from rest_framework.authtoken.models import Token

    call_command("migrate", "cache", "0001", verbosity=0)
    User.objects.create_user("veteran", is_staff=True)
    User.objects.create_user("retired", is_staff=True, is_active=False)
    User.objects.create_user("customer")
    call_command("migrate", verbosity=0)
    User.objects.filter(username="retired").update(is_active=True)
    User.objects.create_superuser("root")
    held = {name: (name,) for name in (*CACHE, SEE_PERSONS)}
    held |= {"none": (), "operator": (*CACHE, *ROWS), "trusted": (*CACHE, *ROWS, SEE_PERSONS)}
    for name, codenames in held.items():
        user = User.objects.create_user(name, is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    people = {}
    for user in User.objects.all():
        client = Client()
        client.force_login(user)
        token = Token.objects.create(user=user)
        people[user.get_username()] = (f"Token {token.key}", client.session.session_key)
    print(json.dumps(people))


@contextmanager
def own_database(folder: Path) -> Iterator[str]:
    """A migrated database, dropped afterwards."""
    try:
        connection = psycopg.connect(DATABASE_URL, autocommit=True, connect_timeout=2)
    except psycopg.OperationalError:
        if os.environ.get("POSTGRES_PROMISED"):
            raise
        yield copy_migrated_file(folder / "staffed.sqlite3")
        return
    with closing(connection):
        template = find_or_make_template(connection, DATABASE_URL)
        with made_database(connection, "test", template=template) as name:
            yield url_of(name)


@contextmanager
def hired(folder: Path) -> Iterator[tuple[str, Mapping[str, tuple[str, str]]]]:
    """A database with its staff: its address, and each one's token and session."""
    with own_database(folder) as url:
        printed = manage(url, "shell", "-c", "from tests.attacks.staff import hire; hire()")
        yield url, json.loads(printed.splitlines()[-1])
