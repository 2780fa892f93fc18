"""What is printed of a run: what was injected, how soon it was over, and each promise."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tests.chaos.trials.scene import Directed
from tests.chaos.trials.seeded import Outcome

MAX_SHOWN = 8


def render(outcome: Outcome, begun_s: float, *, shortly: bool = False) -> Iterator[str]:
    """Yield the lines of one run's report; times are seconds since `begun_s`.
    `shortly` leaves out what holds."""
    yield f"== {outcome.title}"
    for recovery in outcome.recoveries:
        happened, took_s = recovery.happened, recovery.took_s
        took = "" if took_s is None else f"next booking {took_s:5.1f} s"
        if recovery.beside and happened.max_recovery_s is not None:
            took += f", not judged beside: {', '.join(recovery.beside)}"
        times = f"{happened.begun_s - begun_s:6.1f} to {happened.lifted_s - begun_s:6.1f} s"
        yield f"   {times}  {happened.name:36} {took}"
    for name, value in outcome.figures.items():
        yield f"   {name}: {value}"
    held = [verdict for verdict in outcome.verdicts if verdict.holds]
    if shortly and len(held) > 0:
        yield f"   {len(held)} promises hold"
    for verdict in outcome.verdicts:
        if shortly and verdict.holds:
            continue
        word = "holds " if verdict.holds else "BROKEN"
        yield f"   {word} {verdict.promise} (tried {verdict.tried} times)"
        yield from (f"            {each}" for each in verdict.broken[:MAX_SHOWN])
        if len(verdict.broken) > MAX_SHOWN:
            yield f"            and {len(verdict.broken) - MAX_SHOWN} more"


def render_table(rows: Sequence[tuple[Directed, str, Outcome]]) -> Iterator[str]:
    """Yield a line for each directed fault, and for each guard that was taken out of it: what broke
    then, or that nothing did, which is wrong of the fault."""
    yield f"{'directed fault':32}{'guard taken out':36}what broke"
    for trial, without, outcome in rows:
        broken = "; ".join(verdict.promise for verdict in outcome.verdicts if not verdict.holds)
        seen = broken or ("NOTHING: it is not seen" if without else "nothing")
        yield f"{trial.name:32}{without or '-':36}{seen}"
