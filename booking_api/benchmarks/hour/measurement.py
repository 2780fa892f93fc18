"""All shapes of the followed hour, each in a process of its own, two at a time."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import msgspec

from booking_api.benchmarks.hour.child import Order
from booking_api.benchmarks.hour.followed import FollowedHour
from booking_api.benchmarks.hour.plan import Size
from booking_api.benchmarks.processes import ROOT

SEED = 3
AT_ONCE = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """An hour's size; one in `every` of its requests is asked without a cache; `with_redis` it is
    lived through twice."""

    size: Size
    every: int
    with_redis: bool


# The large school has as many exams for each student as the small one; a request of it takes ten
# times as long, and nothing but wrong answers is judged: it is a few of an hour's requests, with
# more edits among them.
LARGE = Size(students=10_000, exams=800, requests=200, edited_share=0.15)
SHAPES: tuple[Shape, ...] = (
    Shape(size=LARGE, every=40, with_redis=True),
    Shape(size=replace(LARGE, visit=1), every=40, with_redis=False),
    Shape(size=Size(), every=20, with_redis=True),
    Shape(size=Size(visit=1), every=20, with_redis=True),
)
QUICK_SHAPES: tuple[Shape, ...] = (
    Shape(size=Size(requests=200), every=20, with_redis=True),
    Shape(size=Size(requests=200, visit=1), every=20, with_redis=False),
)


class HourFailed(Exception):
    """An hour did not come to its end; the message is what its process said last."""


def measure(*, redis_url: str, quick: bool) -> tuple[FollowedHour, ...]:
    """Return an hour for each shape and kind of cache, Redis left out where its address is empty;
    raise HourFailed."""
    shapes = QUICK_SHAPES if quick else SHAPES
    with ThreadPoolExecutor(AT_ONCE) as pool:
        hours = pool.map(lambda shape: measure_shape(shape, redis_url), shapes)
        return tuple(hour for found in hours for hour in found)


def measure_shape(shape: Shape, redis_url: str) -> list[FollowedHour]:
    """Return an hour of this shape for each kind of cache, that of the process first."""
    redis_urls = ("", redis_url) if shape.with_redis and redis_url != "" else ("",)
    order = Order(size=shape.size, seed=SEED, every=shape.every, redis_urls=redis_urls)
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
