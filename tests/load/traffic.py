"""What the two processes of a run tell each other: whom a crowd is made of and what they do, and
what was answered to them.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Behaviour = Literal["list", "look", "list once", "visit", "visit own", "study", "rush"]
LOST = 0
"""Stands for the status of a request that nothing came of."""


class Person(Struct, frozen=True, kw_only=True):
    """A student; `address` is where their requests come from, as a proxy of ours would say."""

    id: str
    student_id: str
    email: str
    name: str
    address: str

    @property
    def pair(self) -> dict[str, str]:
        return {"student_id": self.student_id, "email": self.email}


class Offer(Struct, frozen=True, kw_only=True):
    """An exam in the words of whoever books it."""

    id: str
    day: str
    mock_type: str


class Group(Struct, frozen=True, kw_only=True):
    """So many users at once, who all do the same and wait between two deeds for some seconds, at
    least and at most. Each is one of `people`, in turn; who visits is another one at each visit."""

    behaviour: Behaviour
    people: list[Person]
    users: int
    think_s: tuple[float, float]


class Plan(Struct, frozen=True, kw_only=True):
    """Who comes to which address, for so many seconds at most, or `requests` in all. Whoever waits
    for an answer at the end is given `grace_s`. Exams that may be booked are `offers`."""

    url: str
    groups: list[Group]
    mock_types: list[str]
    seconds: float
    grace_s: float = 30.0
    requests: int = 0
    offers: list[Offer] = []
    seed: int = 1


class Deed(Struct, frozen=True, kw_only=True, array_like=True):
    """One answer: what was asked, when (seconds since the crowd began) and how long it took; what
    the cache did, in the answer's own words; whose deed it was, of which exam and booking. What one
    booking is asked for, and given back, with has one `key`."""

    what: str
    status: int
    code: str
    began_s: float
    took_s: float
    cache: str
    student_id: str
    offer_id: str = ""
    key: str = ""
    record_id: str = ""

    @property
    def ended_s(self) -> float:
        return self.began_s + self.took_s

    @property
    def is_served(self) -> bool:
        return self.status in (200, 201)


class Diary(Struct, frozen=True, kw_only=True):
    """What a crowd met; `asked` counts every request, also those whose answer nobody waited for;
    `seconds` is how long it lasted, to the last answer."""

    deeds: list[Deed]
    asked: int
    seconds: float
