"""What is printed of a run: what was injected, how soon it was over, and each promise."""

from __future__ import annotations

from collections.abc import Iterator

from tests.chaos.trials.seeded import Outcome

MAX_SHOWN = 8


def render(outcome: Outcome, begun_s: float) -> Iterator[str]:
    """Yield the lines of one run's report; times are seconds since `begun_s`."""
    yield f"== {outcome.title}"
    for happened, recovery_s in outcome.happened:
        took = (
            "no booking afterwards" if recovery_s is None else f"next booking {recovery_s:5.1f} s"
        )
        times = f"{happened.begun_s - begun_s:6.1f} to {happened.lifted_s - begun_s:6.1f} s"
        yield f"   {times}  {happened.name:36} {took}"
    for name, value in outcome.figures.items():
        yield f"   {name}: {value}"
    for verdict in outcome.verdicts:
        word = "holds " if verdict.holds else "BROKEN"
        yield f"   {word} {verdict.promise} (tried {verdict.tried} times)"
        yield from (f"            {each}" for each in verdict.broken[:MAX_SHOWN])
        if len(verdict.broken) > MAX_SHOWN:
            yield f"            and {len(verdict.broken) - MAX_SHOWN} more"
