"""One shape of the hour in a process of its own: `python -m booking_api.benchmarks.hour.child`.

The environment names the settings; the database is one of its own, which every hour begins with
empty. Writes one JSON array of `FollowedHour`, one for each kind of cache, on the output.
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from dataclasses import dataclass

import django
import msgspec
from django.core.management import call_command

from booking_api.benchmarks.hour.plan import Size
from booking_api.benchmarks.processes import running_sandbox


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """What to replay, as the functions of `followed.py` take it; an hour for each of the caches."""

    size: Size
    seed: int
    every: int
    redis_urls: tuple[str, ...]


def main(raw: str, folder: str) -> None:
    """Replay what the order in JSON says; the database is made in this folder."""
    # Never the one of whoever runs this: what the feed reads is stored, and deleted again.
    os.environ["DATABASE_URL"] = f"sqlite:///{folder}/hour.sqlite3"
    django.setup()
    # Its modules need the settings.
    from booking_api.benchmarks.hour.followed import count_uncached_calls, follow_hour

    # A line for each of some thousand requests would be what is measured.
    logging.disable(logging.INFO)
    call_command("migrate", verbosity=0)
    order = msgspec.json.decode(raw, type=Order)
    size, seed = order.size, order.seed
    with running_sandbox() as sandbox:
        calls = count_uncached_calls(sandbox, size=size, seed=seed, every=order.every)
        hours = []
        for redis_url in order.redis_urls:
            call_command("flush", interactive=False, verbosity=0)
            hours.append(
                follow_hour(
                    sandbox, size=size, seed=seed, uncached_calls=calls, redis_url=redis_url
                )
            )
    sys.stdout.buffer.write(msgspec.json.encode(hours))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as own_folder:
        main(sys.argv[1], own_folder)
