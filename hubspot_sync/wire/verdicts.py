"""What HubSpot's answer means. The one table that decides it, and everybody goes through it.

An answer is looked up by status, category, subCategory and policy (a 429's `policyName`); a member
of a 207's `errors` by category and subCategory. The tables are closed: what no row names is a
*failure* — never "absent" and never "try again". Structured fields decide, message text never does.
A new case is one row here and one captured answer in `tests/wire/`.

Pure: no clock, no socket. Who waits, retries or raises is `retries.py` and `transport.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from hubspot_sync.errors import HubSpotError, NotFound, RateLimited, Refused, Unavailable

JsonObject = Mapping[str, Any]

# `crm.associations.NO_ASSOCIATIONS_FOUND`, `OBJECT_NOT_FOUND`.
_WORD: Final = re.compile(r"[A-Za-z0-9_.-]{1,100}", re.ASCII)
UNREADABLE_WORD: Final = "(not understood)"
"""In place of a subCategory that is there and says nothing we can read: no row names it."""
# A UUID in every answer seen.
_CORRELATION_ID: Final = re.compile(r"[A-Za-z0-9-]{1,64}", re.ASCII)


class Meaning(Enum):
    """The closed list of what an answer can mean."""

    OK = "ok"
    PARTIAL = "partial"
    RETRY_AFTER = "retry after"
    """Not done; whoever asks again after the wait may be served. Safe for every call."""
    RETRY = "retry"
    """Nobody knows whether it was done; safe to ask again only where twice is once."""
    EXHAUSTED = "exhausted"
    """Not done, and asking again soon cannot help."""
    MISSING = "missing"
    ZERO = "zero"
    REFUSED = "refused"
    UNEXPECTED = "unexpected"
    """No row names it: a failure."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What an answer means. `wait_s` is the shortest wait before asking again; `pauses` says that
    the limit is the whole account's, so that everybody should wait; `until_midnight` that it is the
    day's."""

    meaning: Meaning
    wait_s: float = 0.0
    pauses: bool = False
    until_midnight: bool = False


ANY = "*"
MEMBER = 0
"""In place of a status: an entry of a 207's `errors`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class VerdictRule:
    """One line of the table. ANY matches anything, None only an answer without that field."""

    status: int
    category: str | None = ANY
    sub_category: str | None = ANY
    policy: str | None = ANY
    verdict: Verdict

    def matches(self, status: int, fields: tuple[str | None, ...]) -> bool:
        wanted = (self.category, self.sub_category, self.policy)
        return self.status == status and all(
            want in (ANY, field) for want, field in zip(wanted, fields, strict=True)
        )


OK = Verdict(meaning=Meaning.OK)
PARTIAL = Verdict(meaning=Meaning.PARTIAL)
MISSING = Verdict(meaning=Meaning.MISSING)
ZERO = Verdict(meaning=Meaning.ZERO)
REFUSED = Verdict(meaning=Meaning.REFUSED)
UNEXPECTED = Verdict(meaning=Meaning.UNEXPECTED)
EXHAUSTED = Verdict(meaning=Meaning.EXHAUSTED)
EXHAUSTED_TODAY = Verdict(meaning=Meaning.EXHAUSTED, until_midnight=True)
RETRY = Verdict(meaning=Meaning.RETRY, wait_s=0.1)
# A 429 without Retry-After (HubSpot does not always send it) waits a second.
OVER_LIMIT = Verdict(meaning=Meaning.RETRY_AFTER, wait_s=1.0, pauses=True)
OVER_UNKNOWN_LIMIT = Verdict(meaning=Meaning.RETRY_AFTER, wait_s=1.0)
LOCKED = Verdict(meaning=Meaning.RETRY_AFTER, wait_s=2.0)

# Searched from the top: the particular before the general.
TABLE: tuple[VerdictRule, ...] = (
    VerdictRule(status=200, verdict=OK),
    VerdictRule(status=201, verdict=OK),
    VerdictRule(status=204, verdict=OK),
    VerdictRule(status=207, verdict=PARTIAL),
    VerdictRule(status=400, verdict=REFUSED),
    VerdictRule(status=401, verdict=REFUSED),
    VerdictRule(status=403, verdict=REFUSED),
    VerdictRule(status=404, verdict=MISSING),
    VerdictRule(status=405, verdict=REFUSED),
    VerdictRule(status=409, verdict=REFUSED),
    VerdictRule(status=413, verdict=REFUSED),
    VerdictRule(status=414, verdict=REFUSED),
    VerdictRule(status=415, verdict=REFUSED),
    VerdictRule(status=423, verdict=LOCKED),
    VerdictRule(status=429, policy="DAILY", verdict=EXHAUSTED_TODAY),
    VerdictRule(status=429, policy="TEN_SECONDLY_ROLLING", verdict=OVER_LIMIT),
    VerdictRule(status=429, policy="SECONDLY", verdict=OVER_LIMIT),
    VerdictRule(status=429, verdict=OVER_UNKNOWN_LIMIT),
    # The portal is being moved to another data centre, for up to a day (HubSpot, "Error handling").
    VerdictRule(status=477, verdict=EXHAUSTED),
    VerdictRule(status=500, verdict=RETRY),
    VerdictRule(status=502, verdict=RETRY),
    VerdictRule(status=503, verdict=RETRY),
    VerdictRule(status=504, verdict=RETRY),
    # Cloudflare's, in front of HubSpot (HubSpot, "Error handling", names 521 to 524; the others of
    # the family pass as they do): whether HubSpot was reached, and did it, nobody knows.
    VerdictRule(status=520, verdict=RETRY),
    VerdictRule(status=521, verdict=RETRY),
    VerdictRule(status=522, verdict=RETRY),
    VerdictRule(status=523, verdict=RETRY),
    VerdictRule(status=524, verdict=RETRY),
    VerdictRule(status=525, verdict=RETRY),
    VerdictRule(status=526, verdict=RETRY),
    VerdictRule(status=527, verdict=RETRY),
    VerdictRule(status=530, verdict=RETRY),
    # Entries of a 207's `errors`. A subCategory not listed is unexpected, even where its category
    # is listed.
    VerdictRule(status=MEMBER, category="OBJECT_NOT_FOUND", sub_category=None, verdict=MISSING),
    VerdictRule(
        status=MEMBER,
        category="OBJECT_NOT_FOUND",
        sub_category="crm.associations.NO_ASSOCIATIONS_FOUND",
        verdict=ZERO,
    ),
    VerdictRule(status=MEMBER, category="VALIDATION_ERROR", sub_category=None, verdict=REFUSED),
    VerdictRule(status=MEMBER, category="CONFLICT", sub_category=None, verdict=REFUSED),
)

_KNOWN_SUB_CATEGORIES: Final = frozenset(row.sub_category for row in TABLE) - {ANY, None}


def judge(status: int, body: JsonObject) -> Verdict:
    """Return what an answer, or with MEMBER an entry of a 207's `errors`, means; UNEXPECTED where
    no row names it."""
    rule = find_rule(status, body)
    return UNEXPECTED if rule is None else rule.verdict


def find_rule(status: int, body: JsonObject) -> VerdictRule | None:
    """Return the first row that names an answer."""
    fields = (_text(body, "category"), _sub_category(body), _text(body, "policyName"))
    return next((row for row in TABLE if row.matches(status, fields)), None)


@dataclass(frozen=True, kw_only=True, slots=True)
class MemberVerdict:
    """One entry of a 207's `errors`: what it means, for which ids or trace ids, as an error."""

    verdict: Verdict
    ids: tuple[str, ...]
    trace_ids: tuple[str, ...]
    error: HubSpotError


def judge_members(body: JsonObject) -> Iterator[MemberVerdict]:
    """Yield the judged entries of a 207's `errors`."""
    for entry in _objects_in(body, "errors"):
        verdict = judge(MEMBER, entry)
        context = entry.get("context")
        named: JsonObject = context if isinstance(context, Mapping) else {}
        yield MemberVerdict(
            verdict=verdict,
            ids=_texts(named, "ids") + _texts(named, "id") + _texts(named, "fromObjectId"),
            trace_ids=_texts(named, "objectWriteTraceId"),
            error=build_error(verdict, 207, entry, retry_after_s=None),
        )


def build_error(
    verdict: Verdict, status: int, body: JsonObject, *, retry_after_s: float | None
) -> HubSpotError:
    """Return an answer that is not a success as the error of our tree, with its data.

    The texts of refusals come from HubSpot and may quote a property's value; the others are ours,
    so that a retry can be logged without anybody's data.
    """
    category, sub_category = _text(body, "category"), _sub_category(body)
    correlation_id = correlation_id_of(body)
    if verdict.meaning is Meaning.REFUSED:
        return Refused(
            _text(body, "message") or f"HubSpot refused with {status}.",
            status=status,
            category=category,
            sub_category=sub_category,
            correlation_id=correlation_id,
            property_names=_property_names(body),
            ids=_context_texts(body, "ids"),
            trace_ids=_context_texts(body, "objectWriteTraceId"),
        )
    classes: dict[Meaning, type[HubSpotError]] = {Meaning.MISSING: NotFound}
    error = RateLimited if status == 429 else classes.get(verdict.meaning, Unavailable)
    what = f"{status}" if status >= 300 else f"{status}, with nothing that could be an answer"
    return error(
        f"HubSpot answered {what}.",
        status=status,
        category=category or _text(body, "policyName"),
        sub_category=sub_category,
        correlation_id=correlation_id,
        retry_after_s=retry_after_s if retry_after_s is not None else verdict.wait_s or None,
    )


def correlation_id_of(body: JsonObject) -> str | None:
    """Return the id by which HubSpot's support finds a call; None where the answer has none, or
    something else in its place: it is logged, and nothing but an id may be."""
    text = _text(body, "correlationId")
    return text if text is not None and _CORRELATION_ID.fullmatch(text) is not None else None


def policy_of(body: JsonObject) -> str | None:
    """Return the limit that a 429 says was exceeded, None where it names none."""
    return _text(body, "policyName")


def _property_names(body: JsonObject) -> tuple[str, ...]:
    """The properties a refusal names. Undocumented which of the three places a given rule uses:
    seen are `errors[].context.propertyName`, `errors[].in` and `context.propertyName`."""
    names = list(_context_texts(body, "propertyName"))
    names += [name for detail in _objects_in(body, "errors") for name in _texts(detail, "in")]
    return tuple(dict.fromkeys(names))


def _context_texts(body: JsonObject, key: str) -> tuple[str, ...]:
    """The values of `context[key]` of the answer and of its `errors`, each once."""
    found: list[str] = []
    for part in (body, *_objects_in(body, "errors")):
        context = part.get("context")
        if isinstance(context, Mapping):
            found.extend(_texts(context, key))
    return tuple(dict.fromkeys(found))


def _objects_in(body: JsonObject, key: str) -> Sequence[JsonObject]:
    listed = body.get(key)
    if not isinstance(listed, list):
        return ()
    return [entry for entry in listed if isinstance(entry, Mapping)]


def _texts(body: JsonObject, key: str) -> tuple[str, ...]:
    """A value, or a list of values, as texts: ids come as strings or as integers."""
    value = body.get(key)
    values = value if isinstance(value, list) else [value]
    return tuple(
        str(item) for item in values if isinstance(item, str | int) and not isinstance(item, bool)
    )


def _text(body: JsonObject, key: str) -> str | None:
    value = body.get(key)
    return value if isinstance(value, str) else None


def _sub_category(body: JsonObject) -> str | None:
    """The word in `subCategory`: a string on the wire, an object in HubSpot's specification, which
    does not say under which key. None only where there is nothing in its place: a row for answers
    without a subCategory must not match one that could not be read."""
    value = body.get("subCategory")
    if value is None or isinstance(value, str):
        return value or None
    if value == {}:
        return None
    held = value.values() if isinstance(value, Mapping) else ()
    words = {text for text in held if isinstance(text, str) and _WORD.fullmatch(text)}
    known = words & _KNOWN_SUB_CATEGORIES
    said = known if len(known) > 0 else words
    return said.pop() if len(said) == 1 else UNREADABLE_WORD
