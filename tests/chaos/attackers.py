"""Everybody who wants to hold the door shut, in a process of their own, at a steady rate.

Reads a `Siege` as JSON from standard input, tries everything of `attacks.py` for its seconds, and
writes what was answered, as JSON, to standard output. Each kind comes from addresses of its own in
127.0.0.0/8 and together they send no more than the rate, half-sent requests counted.
"""

from __future__ import annotations

import asyncio
import json
import random
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

from tests.chaos.attacks import ATTACKS, GUESS, Attack, Siege

BURST_EVERY_S = 20.0
BURST = 300
ANSWERED_WITHIN_S = 40.0
UNREAD_FOR_S = 8.0
SMALL_BUFFER = 4_096


@dataclass(slots=True)
class Crowd:
    """The attackers at work; `answers` is how often what was answered, by kind."""

    siege: Siege
    host: str
    port: int
    answers: dict[str, Counter[str]]

    async def try_everything(self) -> None:
        """Send at the rate until the time is over, then wait for what is still under way."""
        until_s = time.monotonic() + self.siege.seconds
        pause_s, next_burst_s = 1 / self.siege.rate, time.monotonic() + BURST_EVERY_S / 5
        due_s = time.monotonic()
        async with asyncio.TaskGroup() as under_way:
            for attack in in_turns(self.siege.only):
                if (now_s := time.monotonic()) >= until_s:
                    break
                if now_s >= next_burst_s and (not self.siege.only or GUESS.name in self.siege.only):
                    next_burst_s += BURST_EVERY_S
                    for _ in range(BURST):
                        under_way.create_task(self._try(GUESS))
                    due_s = now_s + BURST * pause_s
                under_way.create_task(self._try(attack))
                # What was missed on a busy machine is not made up for.
                due_s = max(due_s, now_s - pause_s) + pause_s
                await asyncio.sleep(max(0.0, due_s - time.monotonic()))

    async def _try(self, attack: Attack) -> None:
        try:
            async with asyncio.timeout(ANSWERED_WITHIN_S):
                answer = await self._exchange(attack)
        except TimeoutError:
            answer = "no answer"
        except OSError:
            answer = "closed"
        self.answers.setdefault(attack.name, Counter())[answer] += 1

    async def _exchange(self, attack: Attack) -> str:
        """Send it; return the status that came, or what came instead."""
        reader, writer = await asyncio.open_connection(
            self.host, self.port, local_addr=(attack.source(), 0), limit=SMALL_BUFFER
        )
        try:
            for piece in attack.make(self.siege):
                writer.write(piece)
                await writer.drain()
            if attack.is_unread:
                await asyncio.sleep(UNREAD_FOR_S)
                return "not read"
            head = b""
            while piece := await reader.read(65_536):
                head = head or piece
            return head[9:12].decode("latin-1") or "closed"
        finally:
            writer.close()


def in_turns(only: Sequence[str]) -> Iterator[Attack]:
    """Each (of those named) as often as its weight says, mixed."""
    chosen = [attack for attack in ATTACKS if not only or attack.name in only]
    turns = [attack for attack in chosen for _ in range(attack.weight)]
    while True:
        random.shuffle(turns)
        yield from turns


def run(siege: Siege) -> dict[str, dict[str, int]]:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    address = urlsplit(siege.url)
    crowd = Crowd(siege, address.hostname or "", address.port or 80, {})
    asyncio.run(crowd.try_everything())
    return {name: dict(answers) for name, answers in crowd.answers.items()}


def order(siege: Siege) -> str:
    """Return what this program reads."""
    return json.dumps(asdict(siege))


if __name__ == "__main__":
    given: dict[str, Any] = json.load(sys.stdin)
    json.dump(run(Siege(**given)), sys.stdout)
