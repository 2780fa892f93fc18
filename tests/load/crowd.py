"""The crowd: hundreds of users in this one process, by locust. It reads a `Plan` from its input and
writes a `Diary` to its output.

    python -m tests.load.crowd < plan.json > diary.json

Nothing else may import this: locust replaces sockets and threads of whatever process it is in.
"""

from __future__ import annotations

# Before all else, so that all else gets what locust puts in the place of sockets and threads.
import locust  # isort: skip

import logging
import random
import sys
import time
from collections.abc import Callable
from typing import Any, cast
from urllib.parse import urlencode

import gevent
import msgspec
from gevent.event import Event
from locust.contrib.fasthttp import FastHttpUser
from locust.env import Environment
from locust.exception import StopUser

from tests.load.traffic import LOST, Deed, Diary, Group, Offer, Plan

LIST, AVAILABLE = "/api/bookings/list", "/api/mock-exams/available"
CREDITS, CREATE = "/api/mock-exams/validate-credits", "/api/bookings/create"
TIMEOUT_S = 60.0
LOOK_EVERY_S = 0.02
UNSETTLED = (LOST, 429, 503)
IN_PROGRESS = "REQUEST_IN_PROGRESS"
MAX_PAUSE_S = 3.0
ASKING_SHARE = 0.7
"""Of the time that is given at the end: so long it is asked again, then only waited for."""
BOOKED_SHARE, CANCELLED_SHARE = 0.15, 0.5


class Crowd:
    """All users together: when they begin, what they were answered, when it is enough."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.chance = random.Random(plan.seed)
        self.begin = Event()
        self.began_s = 0.0
        self.asked = 0
        self.over = Event()
        self.deeds: list[Deed] = []

    @property
    def passed_s(self) -> float:
        return time.perf_counter() - self.began_s

    @property
    def is_enough(self) -> bool:
        return 0 < self.plan.requests <= self.asked or self.passed_s > self.plan.seconds

    @property
    def is_closing(self) -> bool:
        """Whether it is too late even to learn what became of a booking."""
        return self.passed_s > self.plan.seconds + self.plan.grace_s * ASKING_SHARE


class Someone(FastHttpUser):
    """One user; what they do is in `act`, a kind each."""

    abstract = True
    network_timeout = connection_timeout = TIMEOUT_S
    crowd: Crowd
    group: Group
    seated = 0
    attempts = 0

    def on_start(self) -> None:
        people = self.group.people
        kind = type(self)
        self.person = people[kind.seated % len(people)]
        self.place = kind.seated
        kind.seated += 1
        self.crowd.begin.wait()

    @locust.task
    def take_turn(self) -> None:
        self.act()
        # Not by locust's own pause, of which the end of the run would wake nobody.
        pause_s = self.crowd.chance.uniform(*self.group.think_s)
        if self.crowd.over.wait(pause_s):
            raise StopUser

    def act(self) -> None:
        raise NotImplementedError

    def list(self) -> None:
        self._ask("list", "GET", f"{LIST}?{urlencode(self.person.pair)}")

    def look(self) -> None:
        mock_type = self.crowd.chance.choice(self.crowd.plan.mock_types)
        self._ask("available", "GET", f"{AVAILABLE}?{urlencode({'mock_type': mock_type})}")

    def count_credits(self) -> None:
        mock_type = self.crowd.chance.choice(self.crowd.plan.mock_types)
        self._ask("credits", "POST", CREDITS, {**self.person.pair, "mock_type": mock_type})

    def book(self, offer: Offer) -> Deed:
        """Ask for a seat until somebody knows whether there is one, with the same key each time."""
        person = self.person
        self.attempts += 1
        named = {"contact_id": person.id, "mock_exam_id": offer.id, "name": person.name}
        body = {**person.pair, **named, "exam_date": offer.day, "mock_type": offer.mock_type}
        key = f"{person.student_id}-{offer.id}-{self.attempts}"
        while True:
            deed = self._ask("create", "POST", CREATE, body, offer.id, key)
            is_settled = deed.status not in UNSETTLED and deed.code != IN_PROGRESS
            if is_settled or self.crowd.is_closing:
                return deed
            gevent.sleep(self.crowd.chance.uniform(MAX_PAUSE_S / 3, MAX_PAUSE_S))

    def cancel(self, booked: Deed) -> Deed:
        address = f"/api/bookings/{booked.record_id}"
        return self._ask("cancel", "DELETE", address, dict(self.person.pair), key=booked.key)

    def _ask(
        self,
        what: str,
        method: str,
        path: str,
        body: Any = None,
        offer_id: str = "",
        key: str = "",
    ) -> Deed:
        crowd = self.crowd
        crowd.asked += 1
        began_s = crowd.passed_s
        sent = {"X-Forwarded-For": self.person.address}
        if what == "create":
            sent["Idempotency-Key"] = key
        response = self.client.request(method, path, name=what, json=body, headers=sent)
        took_s = crowd.passed_s - began_s
        # A long list is not read here: that is the work of whoever shows it, and takes this
        # process's time from everybody else.
        is_small = what in ("create", "cancel") or response.status_code >= 400
        said = cast(dict[str, Any], read_json(response.content)) if is_small else {}
        deed = Deed(
            what=what,
            status=response.status_code or LOST,
            code=str(said.get("code", "")),
            began_s=began_s,
            took_s=took_s,
            cache=read_cache_word(response),
            student_id=self.person.student_id,
            offer_id=offer_id,
            key=key,
            record_id=str((said.get("data") or {}).get("booking_record_id", "")),
        )
        crowd.deeds.append(deed)
        return deed


def read_json(content: bytes | None) -> Any:
    try:
        said = msgspec.json.decode(content or b"{}")
    except msgspec.DecodeError:  # a page of somebody else's
        return {}
    return said if isinstance(said, dict) else {}


def read_cache_word(response: Any) -> str:
    """Return what `Server-Timing` says of the cache; nothing where it says nothing."""
    timing = str((response.headers or {}).get("Server-Timing", ""))
    return timing.partition('cache;desc="')[2].partition('"')[0]


class Lister(Someone):
    """Reloads their own bookings."""

    abstract = True

    def act(self) -> None:
        self.list()


class Looker(Someone):
    """Looks which exams there are."""

    abstract = True

    def act(self) -> None:
        self.look()


class OnceLister(Someone):
    """Lists their bookings once, and is gone."""

    abstract = True

    def act(self) -> None:
        self.list()
        raise StopUser


class OwnVisitor(Someone):
    """Lists, looks and asks for their credits, at each visit."""

    abstract = True

    def act(self) -> None:
        self.list()
        self.look()
        self.count_credits()


class Visitor(OwnVisitor):
    """Is somebody else at each visit."""

    abstract = True

    def act(self) -> None:
        self.person = self.crowd.chance.choice(self.group.people)
        super().act()


class Learner(Someone):
    """Visits, and now and then books a seat, and gives half of them back."""

    abstract = True

    def act(self) -> None:
        chance = self.crowd.chance
        self.list()
        self.look()
        if chance.random() > BOOKED_SHARE:
            return
        self.count_credits()
        deed = self.book(chance.choice(self.crowd.plan.offers))
        self.list()
        if deed.is_served and chance.random() < CANCELLED_SHARE:
            self.cancel(deed)
            self.list()


class Hopeful(Someone):
    """Wants one seat: opens the list and the exams, books, tries the next exam where the first is
    full; then reloads both, as everybody does."""

    abstract = True

    def on_start(self) -> None:
        super().on_start()
        offers = self.crowd.plan.offers
        turn = self.place % max(1, len(offers))
        self.wanted = [*offers[turn:], *offers[:turn]]

    def act(self) -> None:
        self.list()
        self.look()
        while self.wanted and not self.crowd.is_enough:
            if self.book(self.wanted.pop(0)).is_served:
                self.wanted = []


KINDS: dict[str, type[Someone]] = {
    "list": Lister,
    "look": Looker,
    "list once": OnceLister,
    "visit": Visitor,
    "visit own": OwnVisitor,
    "study": Learner,
    "rush": Hopeful,
}


def run(plan: Plan) -> Diary:
    """Have everybody come at the same moment; return what they met."""
    crowd = Crowd(plan)
    kinds = [
        type(
            f"{KINDS[group.behaviour].__name__}{place}",
            (KINDS[group.behaviour],),
            {"crowd": crowd, "group": group, "fixed_count": group.users, "host": plan.url},
        )
        for place, group in enumerate(plan.groups)
    ]
    environment = Environment(user_classes=kinds)
    mistakes: list[Exception] = []
    environment.events.user_error.add_listener(lambda *, exception, **_: mistakes.append(exception))
    runner = environment.create_local_runner()
    users = sum(group.users for group in plan.groups)
    runner.start(user_count=users, spawn_rate=users)
    runner.spawning_greenlet.join()
    crowd.began_s = time.perf_counter()
    crowd.begin.set()
    wait_for(lambda: crowd.is_enough or runner.user_count == 0, plan.seconds)
    crowd.over.set()
    # Each ends by itself, with its answer: locust's own end would take it away from some.
    wait_for(lambda: runner.user_count == 0, plan.grace_s)
    seconds = crowd.passed_s
    runner.quit()
    if mistakes:
        # locust would let the user go on, and nobody hear of it.
        raise mistakes[0]
    return Diary(deeds=crowd.deeds, asked=crowd.asked, seconds=seconds)


def wait_for(condition: Callable[[], bool], limit_s: float) -> None:
    """Return once the condition holds, or at the limit."""
    until_s = time.perf_counter() + limit_s
    while not condition() and time.perf_counter() < until_s:
        gevent.sleep(LOOK_EVERY_S)


def main() -> None:
    # It warns of users that come at once, which is what they are to do.
    logging.disable(logging.WARNING)
    plan = msgspec.json.decode(sys.stdin.buffer.read(), type=Plan)
    sys.stdout.buffer.write(msgspec.json.encode(run(plan)))


if __name__ == "__main__":
    main()
