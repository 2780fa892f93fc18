"""What a log may never hold, taken out of texts and values, whoever wrote them.

Three things are known of it: the secrets that are configured, to the letter; what the request under
way says of a person, to the letter; and how such data looks or what stands before it, wherever it
comes from: e-mails, a header, a field's name, a database's details.

More is masked than would be needed: a line that says less is worth less, one that says too much
cannot be taken back.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from functools import lru_cache
from typing import Any
from urllib.parse import quote

HIDDEN = "<hidden>"

# Escapes of a letter: JSON's and Python's, a percent-encoding however often repeated,
# quoted-printable's. The n of an escaped line end is no part of the address behind it. No address
# has more than 64 characters before its @, and without a bound a long word would be searched from
# each of its letters to its end.
ESCAPED = r"\\+(?:u[0-9a-fA-F]{4}|x[0-9a-f]{2})|%(?:25)*[0-9a-fA-F]{2}|=[0-9A-F]{2}(?![0-9A-F])"
AT = r"(?:@|%(?:25)*40|\\u0040|&\#(?:64|x40);|\uff20)"
LABEL = rf"(?:[\w\u0080-\uffff-]|{ESCAPED})+"
E_MAIL = re.compile(
    rf"(?<!\\)(?:[\w\u0080-\uffff+%!#*^{{|}}~$]|\\u[0-9a-fA-F]{{4}})"
    rf"(?:[\w\u0080-\uffff.+%!#*'^`{{|}}~$-]|\\u[0-9a-fA-F]{{4}}){{0,63}}"
    rf"{AT}(?:\[[\w.:]+\]|{LABEL}(?:\.{LABEL})*)"
)
# Each part has a bound and gives nothing back: callers send addresses of thousands of =40.
PRINTABLE_E_MAIL = re.compile(
    r"(?:[\w.+%-]|=(?!40)[0-9A-F]{2}){1,64}+=40(?:[\w-]|=[0-9A-F]{2}){1,255}+"
    r"(?:\.[\w-]{1,63})*\.[a-z]{2,}"
)
QUOTED_E_MAIL = re.compile(rf'\\{{0,15}}"\w[^"\\@]{{0,62}}\\{{0,15}}"@{LABEL}(?:\.{LABEL})*')

# Names of fields whose value is a person's or a secret, in whatever spelling: student_id,
# studentId, X-Student-ID. A booking's id has its student's in it. A `name` or a `value` may be
# anything's; it counts where it is a key in quotes.
FIELDS = (
    r"(?:student[_-]?(?:id|name)s?|booking[_-]?(?:id|number)s?|e[_-]?mails?(?:_?address)?"
    r"|(?:first|last|full|user|family|given)[_-]?names?|phones?(?:_?number)?|mobile(?:_?phone)?"
    r"|pass(?:word|wd|phrase)?s?\d?|pwd|secret(?:[_-]?key)?s?|tokens?|(?:api[_-]?|hapi)key"
    r"|csrf\w{0,20}|session[_-]?(?:id|key)|idempotency[_-]?key|signature(?:-v\d)?)"
)
FIELD_NAME = re.compile(rf"(?i)[\w-]{{0,40}}{FIELDS}")
# What is masked already, and nothing at all, stay as they are, and quotes stay quotes.
QUOTED = r"""(?P<quote>\\*["'])(?!<)(?:(?!(?P=quote))(?:\\.|[^\\]))+(?P=quote)"""
LIST = r"(?P<list>\[)[^\]]+\]"
BARE = r"""(?!(?:None|null|true|false)\b)[^\s,;&(){}\[\]"'<>\\]+"""
FIELD = re.compile(
    rf"""(?is)(?<![\w-])(?P<before>[\w-]{{0,40}}{FIELDS}(?:\\*["'])?(?:::\w+)?\)?\s?"""
    rf"""(?:=>|[:=])\s?\(?)(?:b?{QUOTED}|{LIST}|{BARE})"""
)
QUOTED_FIELD = re.compile(
    rf"""(?is)(?P<before>(?P<around>\\{{0,15}}["'])(?:name|values?|propertyValue)(?P=around)\s?:\s?)"""
    rf"""(?:{QUOTED}|{LIST})"""
)
HEADER = re.compile(
    r"""(?i)\b((?:proxy-)?authorization\\*["']?\s?[:=,]\s?\\*["']?)"""
    r"""((?:bearer|token|basic|digest)\s+)?+(?!<)[^\s"'\\,]+"""
)
COOKIES = re.compile(
    r"""(?i)\b((?:set-)?cookie\\*["']?\s?[:=,]\s?\\*["']?)(?:[\w.-]+=[^;\s"'\\<]*(?:;\s*)?)+"""
)
BEARER = re.compile(r"(?i)\b(bearer|basic|token)\s+(?!<)[\w.~+/=-]{8,}")
CREDENTIALS = re.compile(r"""(?<=://)(?!<)[^\s/"'?#]+@""")
SECRET_FORMS = re.compile(
    r"\bpat-[\w-]+|\b(?:pbkdf2_\w+|argon2\w*|bcrypt\w*|scrypt)\$[\w$+/=.,-]+"
    r"|\beyJ[\w-]+\.[\w-]+\.[\w-]*"
)
HEX_TOKEN = re.compile(r"\b[0-9a-f]{40}\b")
# A booking may be called by its human-readable id, which has the student's in it.
BOOKING_PATH = re.compile(r"""(/api/bookings/)(?!list\b|create\b|<|\{)[^\s?#"'\\,)<]+""")
# PostgreSQL quotes rows and statements behind these words, to the end of what it says.
DATABASE_DETAILS = re.compile(
    rf"(?s)\b(DETAIL|LINE \d+|CONTEXT|QUERY|STATEMENT):(?!\s*{HIDDEN})\s"
    r".*?(?=\n\n(?:The above|During handling)|\Z)"
)
# Python ends what it says of a value with it: invalid literal for int() with base 10: 'S100'. A
# name of code's own, the key of a KeyError, stays.
LAST_WORD = re.compile(
    r"""(?m)(?<=: )(?!.[a-z][a-z0-9_]*['"]\.?$)(?:b?'[^'\n<]+'|"[^"\n<]+")(?=\.?$)"""
)


def hide_value(found: re.Match[str]) -> str:
    if found["list"] is not None:
        return f"{found['before']}[]"
    quote_mark = found["quote"] or ""
    return f"{found['before']}{quote_mark}{HIDDEN}{quote_mark}"


# A pattern is tried only where the folded text has one of its words: most lines have none, and each
# request writes one.
AT_SIGNS = ("@", "40", "&#", "\uff20")
FIELD_STEMS = (
    *("student", "mail", "name", "phone", "mobile", "pass", "pwd", "secret", "token", "key"),
    *("csrf", "session", "signature", "bookingid", "booking_id", "booking-id", "number"),
)
ENDS = ("'\n", '"\n', "'.\n", '".\n')

# Most of a line's fields are one short word or a time, in which no pattern finds anything.
PLAIN = re.compile(r"(?!.*(?:pat-|/api/))[\w.<>/-]{0,32}|[\d-]+T[\d:.]+Z")
# Names that every request's line has: what stands under them is masked as any text is, and need not
# be asked whether its name is a person's field's.
OWN_FIELDS = frozenset(
    {
        *("event", "level", "logger", "timestamp", "request_id"),
        *("method", "route", "status", "code", "took_ms", "hubspot_calls", "cache"),
        *("service", "endpoint", "action", "metrics", "traceId"),
        *("apiCalls", "responseTime", "cacheHit", "itemsProcessed"),
    }
)

MAX_TEXTS_KEPT = 256
MAX_CHARS_KEPT = 100

Replacement = str | Callable[[re.Match[str]], str]
PATTERNS: tuple[tuple[tuple[str, ...], re.Pattern[str], Replacement], ...] = (
    (("detail:", "line ", "context:", "query:", "statement:"), DATABASE_DETAILS, rf"\1: {HIDDEN}"),
    (("://",), CREDENTIALS, "<secret>@"),
    (("authorization",), HEADER, r"\1\2<secret>"),
    (("cookie",), COOKIES, r"\1<secret>"),
    (("bearer", "basic", "token"), BEARER, r"\1 <secret>"),
    (("pat-", "$", "eyj"), SECRET_FORMS, "<secret>"),
    (("",), HEX_TOKEN, "<secret>"),
    (('"@',), QUOTED_E_MAIL, "<e-mail>"),
    (AT_SIGNS, E_MAIL, "<e-mail>"),
    (("=40",), PRINTABLE_E_MAIL, "<e-mail>"),
    (("/api/bookings/",), BOOKING_PATH, rf"\1{HIDDEN}"),
    (FIELD_STEMS, FIELD, hide_value),
    (("name", "value"), QUOTED_FIELD, hide_value),
    (ENDS, LAST_WORD, f"'{HIDDEN}'"),
)

# Shorter ones are words of every line; a short password is still masked in an address.
MIN_SECRET_CHARS = 8
MIN_SAID_CHARS = 2
MAX_SAID_VALUES = 256
# What requests say that is nobody's: its values are words of the log's own.
PUBLIC_FIELDS = frozenset(
    {
        *("filter", "page", "limit", "mock_type", "exam_date", "include_capacity", "realtime"),
        *("attending_location", "dominant_hand", "dry_run", "mock_exam_id", "mock_exam_ids"),
        *("family", "pattern", "all", "action", "next", "apply", "q", "o", "p"),
    }
)

_said: ContextVar[Callable[[], Iterable[Any]]] = ContextVar("said", default=tuple)


class Masking:
    """Masks inside its block whatever `said` returns when a line is written: mappings of fields,
    however nested, whose texts are a person's unless the field is known for a public one."""

    __slots__ = ("_said", "_token")

    def __init__(self, said: Callable[[], Iterable[Any]]) -> None:
        self._said = said

    def __enter__(self) -> None:
        self._token = _said.set(self._said)

    def __exit__(self, *_: object) -> None:
        _said.reset(self._token)


def find_texts(value: Any, at_most: float = math.inf) -> list[str]:
    """Return the first texts in a value that was said, those of public fields left out."""
    found: list[str] = []
    _gather_texts(value, found, at_most)
    return found


def _gather_texts(value: Any, found: list[str], at_most: float) -> None:
    if len(found) >= at_most:
        return
    if isinstance(value, str):
        text = value.strip()
        if len(text) >= MIN_SAID_CHARS:
            found.append(text)
    elif isinstance(value, list | tuple):
        for inner in value:
            _gather_texts(inner, found, at_most)
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            if name not in PUBLIC_FIELDS:
                _gather_texts(inner, found, at_most)


def write_forms(secret: str) -> Iterator[str]:
    """Yield a secret as it stands in a text, an address and a JSON text."""
    yield secret
    yield quote(secret, safe="")
    yield json.dumps(secret)[1:-1]


def find_said() -> list[str]:
    """Return the texts that are said by the request under way."""
    return find_texts(list(_said.get()()), MAX_SAID_VALUES)


class Redaction:
    """Masks texts and values; `secrets` are masked to the letter wherever they occur."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        long_enough = {secret for secret in secrets if len(secret) >= MIN_SECRET_CHARS}
        forms = {form for secret in long_enough for form in write_forms(secret)}
        self._secrets = sorted(forms, key=len, reverse=True)

    def text(self, text: str) -> str:
        """Return `text` masked."""
        return self._mask(text, find_said())

    def value(self, value: Any) -> Any:
        """Return `value` masked: texts in it, and all of a field whose name says that it is."""
        said = find_said()
        texts = find_own_texts(value)
        if texts is not None and self._leaves(texts, said):
            return value
        return self._mask_value(value, said)

    def leaves(self, whole: str) -> bool:
        """Whether there is neither a secret in a text nor what the request under way says of a
        person; `are_clean` says whether there is what looks like such data."""
        return self._has_none_of(whole, find_said())

    def _has_none_of(self, whole: str, said: list[str]) -> bool:
        for secret in self._secrets:
            if secret in whole:
                return False
        folded = whole.casefold()
        return all(word.casefold() not in folded for word in said)

    def _leaves(self, texts: list[str], said: list[str]) -> bool:
        """Whether there is nothing in these texts to mask: asked of all of them at once, since each
        request writes a line in which there is nothing."""
        return self._has_none_of("\n".join(texts), said) and are_clean(texts)

    def _mask_value(self, value: Any, said: list[str]) -> Any:
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, str):
            return self._mask(value, said)
        if isinstance(value, Mapping):
            return {name: self._mask_field(name, inner, said) for name, inner in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self._mask_value(inner, said) for inner in value]
        return self._mask(repr(value), said)

    def _mask_field(self, name: Any, value: Any, said: list[str]) -> Any:
        masked = self._mask_value(value, said)
        if name in OWN_FIELDS or not isinstance(name, str) or FIELD_NAME.fullmatch(name) is None:
            return masked
        return masked if masked in (None, "", "<e-mail>", "<secret>") else HIDDEN

    def _mask(self, text: str, said: list[str]) -> str:
        for secret in self._secrets:
            if secret in text:
                text = text.replace(secret, "<secret>")
        if PLAIN.fullmatch(text) is None:
            text = mask_patterns(text)
        return mask_said(text, said) if said else text


def find_own_texts(value: Any) -> list[str] | None:
    """Return the texts in a line whose fields are all of `OWN_FIELDS`; None for any other value."""
    if not isinstance(value, dict) or not OWN_FIELDS.issuperset(value):
        return None
    texts: list[str] = []
    for inner in value.values():
        if isinstance(inner, str):
            texts.append(inner)
        elif isinstance(inner, dict):
            within = find_own_texts(inner)
            if within is None:
                return None
            texts += within
        elif not isinstance(inner, int | float):
            return None
    return texts


def mask_patterns(text: str) -> str:
    folded = f"{text}\n".casefold()
    for stems, pattern, replacement in PATTERNS:
        for stem in stems:
            if stem in folded:
                text = pattern.sub(replacement, text)
                break
    return text


def is_clean(text: str) -> bool:
    """Return whether no pattern finds anything in a text."""
    return mask_patterns(text) == text


# What a request's line says of its route is one of few texts.
recall_clean = lru_cache(maxsize=MAX_TEXTS_KEPT)(is_clean)


def are_clean(texts: Iterable[str]) -> bool:
    """Return whether no pattern finds anything in any of a line's texts."""
    return all(
        recall_clean(text) if len(text) <= MAX_CHARS_KEPT else is_clean(text)
        for text in texts
        if PLAIN.fullmatch(text) is None
    )


def mask_said(text: str, said: list[str]) -> str:
    folded = text.casefold()
    for word in said:
        if word.casefold() in folded:
            text = re.sub(rf"(?i)(?<![\w<]){re.escape(word)}(?![\w>])", HIDDEN, text)
    return text
