"""A model of credits that come late: any delay, edits between, equal values, reviews at any time.

HubSpot is a value with its history; it may keep a write and let it come at any moment later, long
after it was given up too. The desk here knows what the real one knows: its plans and the
history, never what HubSpot keeps. What should be is told by the events themselves.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from booking_api.rules.credit_landings import (
    CreditWrite,
    Landing,
    find_landing,
    first_mark,
    is_of_same_row,
    next_mark,
)
from booking_api.rules.expected_balances import (
    CORRECTION,
    History,
    HistoryTooShort,
    PlannedChange,
    expected_balance,
)
from hubspot_sync.portal.credit_history import Balance, Mark, Source

START = datetime(2026, 11, 24, 9, tzinfo=UTC)
US, SHOP, PERSON = Source("API", "userId:7"), Source("INTEGRATION", "9"), Source("CRM_UI", "1")


@dataclass(frozen=True)
class Write:
    value: Decimal
    mark: str


@dataclass
class Row:
    """A booking or a cancel as the journal has it; `sent` counts its writes."""

    id: int
    step: int
    write: CreditWrite
    settled: bool = False
    void: bool = False


class LateCredits(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.value = self.true = Decimal(5)
        self.updated_at = START
        self.balances = [Balance(value=self.value, at=START, may_be_ours=False, source=PERSON)]
        self.marks: list[Mark] = []
        self.kept: list[Write] = []
        self.rows: list[Row] = []
        self.corrections = 0
        self.doubtful_correction = ""

    # HubSpot

    def land(self, write: Write) -> None:
        """Equal values leave no version, of the mark as of the credit."""
        last = self.marks[-1].text if self.marks else ""
        first = not any(is_of_same_row(mark.text, write.mark) for mark in self.marks)
        for row in self.rows:
            if first and is_of_same_row(row.write.mark, write.mark) and not row.void:
                self.true += row.step
        at = self.tick()
        if write.mark != last:
            self.marks.append(Mark(text=write.mark, at=at))
        self.store(write.value, US, at)

    def store(self, value: Decimal, source: Source, at: datetime) -> None:
        self.updated_at = at
        if value != self.value:
            ours = source.may_be(None)
            self.balances.append(Balance(value=value, at=at, may_be_ours=ours, source=source))
        self.value = value

    def tick(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now

    def send(self, write: Write, fate: str) -> None:
        if fate in {"answered", "answer lost"}:
            self.land(write)
        elif fate == "kept":
            self.kept.append(write)

    def history(self, limit: int | None = None) -> History:
        balances, marks = self.balances, self.marks
        if limit is not None:
            balances, marks = balances[-limit:], marks[-limit:]
        return History(tuple(balances), tuple(marks))

    # What happens

    @rule(which=st.integers(0, 9))
    def something_kept_comes(self, which: int) -> None:
        if self.kept:
            self.land(self.kept.pop(which % len(self.kept)))

    @rule(value=st.integers(1, 6), source=st.sampled_from([SHOP, PERSON]))
    def somebody_edits(self, value: int, source: Source) -> None:
        if Decimal(value) != self.value:
            self.store(Decimal(value), source, self.tick())
            self.true = Decimal(value)

    # The desk

    def open_row(self) -> Row | None:
        return next((row for row in self.rows if not row.settled), None)

    def plan(self, step: int, mark: str) -> CreditWrite:
        return CreditWrite(
            before=self.value, after=self.value + step, seen_at=self.updated_at, mark=mark
        )

    @rule(step=st.sampled_from([-1, 1]), fate=st.sampled_from(["answered", "kept", "lost"]))
    def change(self, step: int, fate: str) -> None:
        if self.open_row() is not None or self.doubtful_correction:
            return
        row_id = len(self.rows) + 1
        row = Row(row_id, step, self.plan(step, first_mark(row_id, "n")))
        self.rows.append(row)
        self.send(Write(row.write.after, row.write.mark), fate)
        row.settled = fate == "answered"

    @rule(
        given_up=st.booleans(),
        taken_back=st.booleans(),
        fate=st.sampled_from(["answered", "answer lost", "kept", "lost"]),
        limit=st.sampled_from([None, None, 1, 2]),
    )
    def look(self, given_up: bool, taken_back: bool, fate: str, limit: int | None) -> None:
        """Look for a write that was not answered; once it is given up, send it again, or have
        HubSpot refuse that for good."""
        row = self.open_row()
        if row is None:
            return
        seen = self.history(limit)
        landing = find_landing(row.write, seen.balances, seen.marks)
        came = any(is_of_same_row(mark.text, row.write.mark) for mark in self.marks)
        assert landing is not Landing.SEEN or came
        assert landing is not Landing.NOT_SEEN or not came
        if landing is Landing.SEEN:
            row.settled = True
        elif landing is Landing.NOT_SEEN and given_up and taken_back:
            row.settled = row.void = True
        elif landing is Landing.NOT_SEEN and given_up:
            row.write = self.plan(row.step, next_mark(row.write.mark))
            self.send(Write(row.write.after, row.write.mark), fate)
            row.settled = fate == "answered"

    @rule(
        fate=st.sampled_from(["answered", "answer lost", "kept", "lost"]),
        limit=st.sampled_from([None, None, None, 1, 2]),
    )
    def review(self, fate: str, limit: int | None) -> None:
        if self.open_row() is not None:
            return
        if self.doubtful_correction:
            # Either it is seen, or the time is over in which it may still come.
            self.doubtful_correction = ""
        expected = self.expected(limit)
        if expected is None or expected == self.value:
            return
        assert expected == self.true, (expected, self.true)
        self.corrections += 1
        mark = f"{CORRECTION}{self.corrections}"
        self.send(Write(expected, mark), fate)
        self.doubtful_correction = "" if fate == "answered" else mark

    def expected(self, limit: int | None = None) -> Decimal | None:
        """What the review makes of it; None where the history does not reach back."""
        changes = [
            PlannedChange(
                row.write.before,
                row.write.after,
                row.write.seen_at or START,
                void=row.void,
                mark=row.write.mark,
            )
            for row in self.rows
        ]
        if limit is not None and len(self.balances) <= limit and len(self.marks) <= limit:
            limit = None
        try:
            found = expected_balance(self.value, self.history(limit), changes)
        except HistoryTooShort:
            return None
        return found

    def teardown(self) -> None:
        """Everything comes, and is looked at: what is there is what should be."""
        while self.kept:
            self.land(self.kept.pop())
        row = self.open_row()
        if row is not None:
            history = self.history()
            if find_landing(row.write, history.balances, history.marks) is Landing.NOT_SEEN:
                row.write = self.plan(row.step, next_mark(row.write.mark))
                self.land(Write(row.write.after, row.write.mark))
            row.settled = True
        if self.rows:
            assert self.expected() == self.true


TestLateCredits = LateCredits.TestCase
TestLateCredits.settings = settings(
    max_examples=60,
    stateful_step_count=25,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


def test_a_mark_of_another_databases_row_of_that_number_proves_nothing() -> None:
    write = CreditWrite(before=Decimal(5), after=Decimal(4), seen_at=START, mark="7.ours.1")
    before = Balance(value=Decimal(5), at=START, may_be_ours=False)
    later = START + timedelta(seconds=1)

    assert find_landing(write, [before], [Mark(text="7.theirs.1", at=later)]) is Landing.NOT_SEEN
    assert find_landing(write, [before], [Mark(text="7.ours.1", at=later)]) is Landing.SEEN
    assert find_landing(replace(write, mark=""), [before], None) is Landing.NOT_SEEN


def test_of_two_values_of_one_time_the_history_says_which_came_first() -> None:
    later = START + timedelta(seconds=1)
    set_before = Balance(value=Decimal(5), at=START, may_be_ours=False, source=PERSON)
    edit = Balance(value=Decimal(10), at=later, may_be_ours=False, source=PERSON)
    charge = Balance(value=Decimal(4), at=later, may_be_ours=True, source=US)
    change = PlannedChange(Decimal(5), Decimal(4), START, mark="7.ours.1")
    history = History((set_before, edit, charge), (Mark(text="7.ours.1", at=later),))

    assert expected_balance(Decimal(4), history, [change]) == 9
