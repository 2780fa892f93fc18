"""What a row of the journal says, in words: what was asked, and what became of it and why.

Any row gets words, whatever stands in it: one of another version, one whose person was forgotten,
one that was changed by hand. They name nobody: of what callers wrote only a mock type that the
portal has, a day and a record's id are repeated, so whoever may see the row may read them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal

from django.utils.formats import date_format

from booking_api.admin.words.refusals import explain_code
from booking_api.desk.errors import UNREADABLE_PLAN, HistoryCut
from booking_api.desk.journal.answers import CanceledAnswer, Refusal
from booking_api.desk.journal.erasure import is_erased
from booking_api.desk.journal.models import REFUSALS, UNFINISHED, EntryState, JournalEntry
from booking_api.desk.journal.stored_json import NotUnderstood
from hubspot_sync.portal.property_values import format_number
from hubspot_sync.portal.record_names import is_record_id
from hubspot_sync.wire.storable_text import make_storable

Tone = Literal["good", "warn", "bad", "off"]

DEEDS: Final[Mapping[str, tuple[str, str]]] = {
    "create": ("book", "booked"),
    "cancel": ("cancel", "cancelled"),
    "update": ("change", "changed"),
}
"""By kind: what is asked, and what is said once it is done."""
UNKNOWN_DEED: Final = ("do something that this version does not know", "done")
FORGOTTEN: Final = "the person was forgotten"

_CODE: Final = re.compile(r"[A-Z][A-Z0-9_]{0,59}")
_CORRELATION: Final = re.compile(r"\s*Correlation id \S+\.$")


@dataclass(frozen=True, kw_only=True, slots=True)
class RequestWords:
    """What one row says. `asked` goes on after "asked to"; `why` after a colon, "" where there is
    nothing to add; `code` is the API's, "" where there is none."""

    asked: str
    outcome: str
    why: str
    code: str
    tone: Tone

    @property
    def sentence(self) -> str:
        return f"{self.outcome}: {self.why}" if self.why else self.outcome


def describe_request(row: JournalEntry, mock_types: Collection[str]) -> RequestWords:
    """Return the words of a row, as it is stored and not masked. `mock_types` are the portal's."""
    outcome, why, code, tone = _describe_outcome(row)
    return RequestWords(
        asked=_describe_asked(row, mock_types), outcome=outcome, why=why, code=code, tone=tone
    )


def asked_exam_id(row: JournalEntry) -> str:
    """Return the exam's id, of a refused create as it was asked for; "" where none is known."""
    if row.exam_id != "":
        return row.exam_id
    asked = read_text(row.request, "mock_exam_id")
    return asked if is_record_id(asked) else ""


def describe_charge(row: JournalEntry) -> str:
    """Return what was done to the student's credit; "" where nothing was."""
    if row.credit_property == "":
        return ""
    before, after = row.credit_before, row.credit_after
    if before is None or after is None:
        return f"{row.credit_property}, by how much is not known"
    change = f"{row.credit_property}: {format_number(before)} → {format_number(after)}"
    if row.state == EntryState.DONE:
        return change
    is_refused = row.state in (EntryState.UNDOING, EntryState.UNDONE, EntryState.OWING)
    return f"{change} ({'refused by HubSpot' if is_refused else 'planned'})"


def describe_error(text: str) -> str:
    """Return an error that a row keeps as it goes on after a colon: without the number that only
    HubSpot's support needs, and without a full stop."""
    words = _CORRELATION.sub("", text).strip().removesuffix(".")
    if text.startswith(UNREADABLE_PLAN):
        return "what was decided cannot be read; a person is to look at it"
    if text == HistoryCut.default_message:
        return "whether the credit was written is for a person to say"
    return words


def count_tries(attempts: int) -> str:
    return "1 try" if attempts == 1 else f"{attempts} tries"


def read_text(stored: object, name: str) -> str:
    """Return a text that a column holds under a name, fit for a page; "" where it holds none."""
    held = stored.get(name) if isinstance(stored, Mapping) else None
    return make_storable(held) if isinstance(held, str) else ""


def needs_person(row: JournalEntry) -> bool:
    """Whether nobody but a person can end the row."""
    return row.state == EntryState.OWING or (
        row.state in UNFINISHED
        and (
            row.last_error == HistoryCut.default_message
            or row.last_error.startswith(UNREADABLE_PLAN)
        )
    )


# What was asked ----------------------------------------------------------------------------------


def _describe_asked(row: JournalEntry, mock_types: Collection[str]) -> str:
    verb, _ = DEEDS.get(row.kind, UNKNOWN_DEED)
    if row.kind not in DEEDS:
        return verb
    named = _find_exam(row, mock_types)
    if row.kind == "create":
        return f"{verb} {named or 'a mock exam'}"
    return f"{verb} a booking" + (f" of {named}" if named else "")


def _find_exam(row: JournalEntry, mock_types: Collection[str]) -> str:
    """Return an exam by its type and day, as far as the row says them."""
    if row.kind == "create":
        mock_type, day = read_text(row.request, "mock_type"), read_text(row.request, "exam_date")
    else:
        mock_type, _, day = read_text(row.plan, "mock_exam").rpartition(" on ")
    if mock_type not in mock_types:
        return ""
    try:
        shown = date_format(date.fromisoformat(day), "DATE_FORMAT")
    except ValueError:
        return f"a {mock_type} mock exam"
    return f"the {mock_type} mock exam on {shown}"


# What became of it -------------------------------------------------------------------------------


def _describe_outcome(row: JournalEntry) -> tuple[str, str, str, Tone]:
    """Return outcome, reason, code and tone."""
    if row.state in REFUSALS:
        return _describe_refusal(row)
    _, done = DEEDS.get(row.kind, UNKNOWN_DEED)
    if row.state == EntryState.DONE:
        return done, _describe_done(row), "", "good"
    if row.state == EntryState.QUEUED:
        return "waiting for the desk", "", "", "off"
    open_words: dict[str, str] = {
        EntryState.WRITING: "being written to HubSpot",
        EntryState.WRITTEN: f"{done}, the rest follows",
        EntryState.UNDOING: "being taken back, HubSpot refuses the charge",
        EntryState.OWING: f"{done}, but HubSpot refuses the credit",
    }
    if row.state not in open_words:
        return "in a state that this version does not know", "", row.state, "warn"
    words, tone = open_words[row.state], _tone_of_open(row)
    if row.attempts > 0:
        words = f"{words}, {count_tries(row.attempts)}"
    return words, describe_error(row.last_error), "", tone


def _tone_of_open(row: JournalEntry) -> Tone:
    if needs_person(row):
        return "bad"
    return "warn" if row.attempts > 0 or row.state == EntryState.UNDOING else "off"


def _describe_done(row: JournalEntry) -> str:
    if row.kind != "cancel":
        return ""
    if is_erased(row):
        given_back = row.credit_property != ""
    else:
        try:
            given_back = CanceledAnswer.from_json(row.answer).credit_restoration is not None
        except NotUnderstood:
            return "whether a credit was given back cannot be read"
    return "the credit was given back" if given_back else "no credit was given back"


def _describe_refusal(row: JournalEntry) -> tuple[str, str, str, Tone]:
    outcome = "taken back" if row.state == EntryState.UNDONE else "refused"
    if is_erased(row):
        return outcome, f"why is not kept, {FORGOTTEN}", "", "bad"
    try:
        stored = Refusal.from_json(row.answer).code
    except NotUnderstood:
        return outcome, "why cannot be read", "", "bad"
    # The words are for everybody: what is no code may be anything.
    code = stored if _CODE.fullmatch(stored) else ""
    if row.state == EntryState.UNDONE and row.last_error:
        return outcome, describe_error(row.last_error), code, "bad"
    return outcome, explain_code(code), code, "bad"
