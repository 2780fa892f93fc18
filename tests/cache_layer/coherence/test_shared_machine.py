"""The machine over processes that can be cut off; and over broken deliveries, which it must find
out. Each mutant is a mistake that is easily made; rarer ones are in test_shared_delivery.py."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from typing_extensions import override

from cache_layer.backends.base import Backend
from cache_layer.coherence.shared_delivery import SharedDelivery
from cache_layer.coherence.undelivered import UndeliveredRow
from tests.cache_layer.coherence.shared_machine import SharedMachine
from tests.cache_layer.conftest import MakeLocMem
from tests.cache_layer.support import Clock

HUNT = settings(
    max_examples=300,
    stateful_step_count=30,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)
TRUST = settings(max_examples=60, stateful_step_count=40, deadline=None)


class AcknowledgesWhatIsRecorded(SharedDelivery):
    @override
    def _acknowledged_at_s(self, number: int) -> float:
        return super()._acknowledged_at_s(number) - self._trust_s


class TrustsForEver(SharedDelivery):
    @override
    def prepare_read(self) -> bool:
        return self._trusted_until_s > 0


class TrustsWhateverItFinds(SharedDelivery):
    @override
    def _note_look(self, rows: Sequence[UndeliveredRow], began_s: float, changes: int) -> None:
        super()._note_look([], began_s, changes)


class DeletesWithoutTelling(SharedDelivery):
    @override
    def _tell_and_delete(self, rows: Sequence[UndeliveredRow]) -> bool:
        self._table.delete([row.row_id for row in rows])
        return True


MUTANTS = [
    AcknowledgesWhatIsRecorded,
    TrustsForEver,
    TrustsWhateverItFinds,
    DeletesWithoutTelling,
]


def run(make_locmem: MakeLocMem, clock: Clock, how: settings, kind: type[SharedDelivery]) -> None:
    def make() -> Backend:
        return make_locmem(load_horizon_s=10_000.0)

    run_state_machine_as_test(lambda: SharedMachine(make, clock, kind), settings=how)  # type: ignore[arg-type]  # any factory will do


def test_processes_that_are_cut_off_keep_the_promise(make_locmem: MakeLocMem, clock: Clock) -> None:
    run(make_locmem, clock, TRUST, SharedDelivery)


@pytest.mark.sampled
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_a_broken_delivery_is_found_out(
    mutant: type[SharedDelivery], make_locmem: MakeLocMem, clock: Clock
) -> None:
    with pytest.raises(AssertionError, match="out of date"):
        run(make_locmem, clock, HUNT, mutant)
