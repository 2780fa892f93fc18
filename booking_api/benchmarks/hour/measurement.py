"""All shapes of the followed hour, each in a process of its own, two at a time."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import msgspec

from booking_api.benchmarks.hour.child import Order
from booking_api.benchmarks.hour.followed import FollowedHour
from booking_api.benchmarks.hour.plan import Size
from booking_api.benchmarks.processes import ROOT

SEED = 3
AT_ONCE = 2
# Each with how many of its requests are asked without a cache, one in so many. The large school has
# as many exams for each student as the small one; of its hour it is a sixth.
SHAPES: tuple[tuple[Size, int], ...] = (
    (Size(students=10_000, exams=800, requests=800), 20),
    (Size(students=10_000, exams=800, requests=800, visit=1), 20),
    (Size(students=500), 5),
    (Size(students=500, visit=1), 5),
)
QUICK_SHAPES: tuple[tuple[Size, int], ...] = (
    (Size(requests=300), 20),
    (Size(requests=300, visit=1), 20),
)


class HourFailed(Exception):
    """An hour did not come to its end; the message is what its process said last."""


def measure(*, redis_url: str, quick: bool) -> tuple[FollowedHour, ...]:
    """Return an hour for each shape and kind of cache; raise HourFailed."""
    shapes = QUICK_SHAPES if quick else SHAPES
    with ThreadPoolExecutor(AT_ONCE) as pool:
        hours = pool.map(lambda shape: measure_shape(shape[0], shape[1], ("", redis_url)), shapes)
        return tuple(hour for found in hours for hour in found)


def measure_shape(size: Size, every: int, redis_urls: Sequence[str]) -> list[FollowedHour]:
    """Return an hour of this shape for each of these caches, '' being the process's own."""
    order = Order(size=size, seed=SEED, every=every, redis_urls=tuple(redis_urls))
    done = subprocess.run(
        [sys.executable, "-m", f"{__package__}.child", msgspec.json.encode(order).decode()],
        cwd=ROOT,
        # Its requests go through no server, and come from Django's test client.
        env={**os.environ, "DEBUG": "true"},
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        raise HourFailed(done.stderr.decode(errors="replace")[-2_000:])
    return msgspec.json.decode(done.stdout, type=list[FollowedHour])
