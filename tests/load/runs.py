"""One run: a crowd before one system, HubSpot's log of it, and memory while it lasted."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import msgspec

from tests.builders import Exam, Portal, Student
from tests.load.deployment import Deployment, MemoryWatch, System, World
from tests.load.traffic import Diary, Group, Offer, Person, Plan
from tests.manage import ROOT

PATIENCE_S = 120.0
"""What a crowd may take longer than its plan says."""
SYSTEMS: tuple[System, ...] = ("ours", "naive")
GRACE_S: Mapping[System, float] = {"ours": 30.0, "naive": 3.0}
"""How long answers are waited for at the end. What the old system owes then, it has owed for longer
than anybody waits."""
CLASSES = 200
"""Students in this many classrooms, each behind an address of its own."""


class LeftOut(Exception):
    """A scenario cannot be played here; why, in words."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """What became of one system: `calls` is HubSpot's log, `memory` bytes by process over time,
    `numbers` what only this scenario measures, `broken` what must not be, a sentence each. HubSpot
    had no limits where they were `lifted`."""

    system: System
    diary: Diary
    calls: Sequence[Mapping[str, Any]]
    memory: Sequence[tuple[float, Mapping[int, int]]]
    numbers: dict[str, float] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    lifted: bool = False


def watch(
    world: World,
    deployment: Deployment,
    plan: Plan,
    meanwhile: Callable[[], None] = lambda: None,
) -> Run:
    """Have the crowd come, and do something meanwhile; return what became of it."""
    world.sandbox.clear_calls()
    memory = MemoryWatch(deployment.server.pid)
    with memory.looking(), ThreadPoolExecutor(1) as pool:
        doing = pool.submit(meanwhile)
        diary = send_crowd(plan)
        doing.result()
    return Run(
        system=deployment.system,
        diary=diary,
        calls=world.sandbox.calls(),
        memory=memory.samples,
    )


def send_crowd(plan: Plan) -> Diary:
    """Run a crowd in a process of its own; raises CalledProcessError where it failed."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.load.crowd"],
        cwd=ROOT,
        input=msgspec.json.encode(plan),
        stdout=subprocess.PIPE,
        check=True,
        timeout=plan.seconds + plan.grace_s + PATIENCE_S,
    )
    return msgspec.json.decode(done.stdout, type=Diary)


def people_of(students: Sequence[Student]) -> list[Person]:
    return [
        Person(
            id=student.id,
            student_id=student.student_id,
            email=student.email,
            name=student.name,
            address=f"10.0.{place % CLASSES}.1",
        )
        for place, student in enumerate(students)
    ]


def offers_of(exams: Sequence[Exam]) -> list[Offer]:
    return [Offer(id=exam.id, day=exam.day.isoformat(), mock_type=exam.mock_type) for exam in exams]


def plan_of(
    deployment: Deployment, portal: Portal, groups: Sequence[Group], seconds: float, **more: Any
) -> Plan:
    return Plan(
        url=deployment.server.base_url,
        groups=list(groups),
        mock_types=[each.value for each in portal.profile.mock_types],
        seconds=seconds,
        **more,
    )
