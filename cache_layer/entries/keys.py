"""Keys and tags: building, parsing, escaping, and the patterns a flush may name.

A key is a pattern's segments joined by colons. What a caller sends is escaped, so it stays one
segment: it can neither add a colon nor be read as a wild card, and no two sets of arguments share a
key. E-mails have ASCII's letters in lower case and keep their `@`, which no other segment can
contain: a family keyed by e-mail and one keyed by id never meet.

That is how people write keys. What is kept, locked or told to other processes has a hidden name in
each e-mail's place (`hidden_names`): `contact:anna@example.org:details` is `contact:#5d0c…:details`
there. Both are understood wherever a key is named.
"""

from __future__ import annotations

import re
import string
from collections.abc import Collection, Iterable, Mapping
from enum import StrEnum
from functools import cached_property, lru_cache
from types import MappingProxyType
from urllib.parse import quote, unquote

from cache_layer.entries.hidden_names import HIDDEN_MARK, HIDDEN_NAME, HiddenNames
from cache_layer.errors import BadPattern

MAX_KEY_LENGTH = 2000
MAX_BUILT_KEYS_KEPT = 1024
MAX_TAGS_KEPT = 1024
MAX_COLLECTIONS_KEPT = 64

_ESCAPED = r"[A-Za-z0-9_.~%-]"
_PLAIN = re.compile(r"[A-Za-z0-9_.~-]+")
_FIELD = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_LITERAL = re.compile(r"[a-z][a-z0-9_-]*")
_FLUSH = re.compile(r"[A-Za-z0-9_.~%@:*-]+")
_SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
# No letter beyond ASCII becomes one of it: two people would share a key.
_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
NO_EMAILS_IN_KEYS = (
    "E-mails are hidden in keys, so no pattern can match one or a part of one: name the whole key "
    "with its e-mail, the student or the family, or let * stand for all between two colons."
)
_NOT_SLUG = re.compile(r"[^a-z0-9]+")


class ArgumentType(StrEnum):
    """What may stand in a key's field."""

    TEXT = "text"
    EMAIL = "email"
    SLUG = "slug"
    NUMBER = "number"


_SEGMENTS: Mapping[ArgumentType, re.Pattern[str]] = {
    ArgumentType.TEXT: re.compile(f"{_ESCAPED}+"),
    ArgumentType.EMAIL: re.compile(f"{_ESCAPED}*@{_ESCAPED}*"),
    ArgumentType.SLUG: _SLUG,
    ArgumentType.NUMBER: re.compile(r"0|[1-9][0-9]{0,17}"),
}

# How a segment may be written, and kept.
_SPELLINGS: Mapping[ArgumentType, str] = {
    **{kind: segment.pattern for kind, segment in _SEGMENTS.items()},
    ArgumentType.EMAIL: f"{_SEGMENTS[ArgumentType.EMAIL].pattern}|{HIDDEN_NAME.pattern}",
}
NOT_HIDDEN: Mapping[str, str] = MappingProxyType({})


class Key(str):
    """One entry's key: its text as it is kept, and the arguments it was built from, as the loader
    needs them; without the e-mail where the text was found and not built.

    An entry carries `tags` beside its value's: what its key is called under each secret, where it
    has an e-mail. So whoever removes it by name finds it, whichever of the secrets they know.

    It is its text, and is compared and hashed as such: each key is looked for two dozen times on
    the way of one answer, and a method of ours for that would be a third of looking.
    """

    __slots__ = ("arguments", "tags", "text")

    text: str
    arguments: Mapping[str, str]
    tags: frozenset[str]

    def __new__(
        cls, text: str, arguments: Mapping[str, str], tags: frozenset[str] = frozenset()
    ) -> Key:
        key = super().__new__(cls, text)
        key.text, key.arguments, key.tags = text, arguments, tags
        return key


def escape(value: str) -> str:
    """Return `value` as one segment: letters, digits and `_.~-` as they are, the rest as %XX."""
    if _PLAIN.fullmatch(value) is not None:
        return value
    # surrogatepass: a lone surrogate from a JSON body must not turn a read into an error.
    return quote(value, safe="", encoding="utf-8", errors="surrogatepass")


def slug(name: str) -> str:
    """Return a name as a slug (`Clinical Skills` → `clinical-skills`); raises BadPattern if nothing
    is left of it."""
    text = _NOT_SLUG.sub("-", name.lower()).strip("-")
    if not text:
        raise BadPattern(f"{name!r} has no letter or digit to make a slug of.")
    return text


@lru_cache(maxsize=MAX_TAGS_KEPT)
def object_tag(kind: str, record_id: str) -> str:
    """Return the tag of one object: `contact:7`."""
    return f"{_require_literal(kind)}:{_encode_segment(ArgumentType.TEXT, record_id)}"


def collection_tag(owner: str, name: str) -> str:
    """Return the tag of a collection: of an object (`contact:7/bookings`, the owner being its tag)
    or of a kind (`mockexams/clinical`)."""
    return f"{owner}/{_name_collection(name)}"


@lru_cache(maxsize=MAX_COLLECTIONS_KEPT)
def _name_collection(name: str) -> str:
    return _encode_segment(ArgumentType.TEXT, name)


def is_collection_tag(tag: str) -> bool:
    """Say whether a tag is a collection's: no object's has a slash. Who is in a collection is
    searched for, or read as links, and may lag; an object is read by its id, and is current."""
    return "/" in tag


def _require_literal(text: str) -> str:
    if _LITERAL.fullmatch(text) is None:
        raise BadPattern(f"{text!r} must be lower-case letters, digits, hyphens or underscores.")
    return text


def _encode_segment(kind: ArgumentType, value: str) -> str:
    if value == "":
        raise BadPattern("An empty argument makes no key.")
    text = value
    if kind is ArgumentType.EMAIL:
        local, at, domain = value.translate(_LOWER).rpartition("@")
        text = f"{escape(local)}{at}{escape(domain)}"
    elif kind is ArgumentType.TEXT:
        return escape(value)  # which leaves nothing that does not fit
    if _SEGMENTS[kind].fullmatch(text) is None:
        raise BadPattern(f"An argument is no {kind}.")
    return text


def _encode_segments(kind: ArgumentType, values: Collection[str]) -> Collection[str]:
    # What is plain all together is plain each, and stands as it is.
    if kind is ArgumentType.TEXT and all(values) and _PLAIN.fullmatch("".join(values)):
        return values
    return [_encode_segment(kind, value) for value in values]


class KeyPattern:
    """A key with fields, such as `bookings:list:{contact_id}:{filter}:page:{page}`.

    A field is text unless `argument_types` says otherwise; `names` hide its e-mails. Raises
    BadPattern for a pattern that does not start with a word, names a field twice, or would show an
    e-mail.
    """

    def __init__(
        self, text: str, names: HiddenNames | None = None, /, **argument_types: ArgumentType
    ) -> None:
        self.text = text
        self._segments = tuple(text.split(":"))
        fields = [match[1] for part in self._segments if (match := _FIELD.fullmatch(part))]
        if len(set(fields)) != len(fields) or not set(argument_types) <= set(fields):
            raise BadPattern(f"{text!r} must name each of its fields once.")
        self.argument_types: Mapping[str, ArgumentType] = MappingProxyType(
            {name: argument_types.get(name, ArgumentType.TEXT) for name in fields}
        )
        self._emails = tuple(
            name for name, kind in self.argument_types.items() if kind is ArgumentType.EMAIL
        )
        self._names = names if names is not None else HiddenNames(())
        if self._emails and not self._names.keys:
            raise BadPattern(f"{text!r} has an e-mail, and nothing to hide it with.")
        has_one_field = len(fields) == 1 and not self._emails
        self._around = _split_around_field(text) if has_one_field else None
        # Checking, escaping and hiding cost more than finding what they gave the last time.
        self._built = lru_cache(maxsize=MAX_BUILT_KEYS_KEPT)(self._build)
        if _LITERAL.fullmatch(self._segments[0]) is None:
            raise BadPattern(f"{text!r} must start with a word.")
        for part in self._segments:
            if _FIELD.fullmatch(part) is None:
                _require_literal(part)

    @property
    def first_word(self) -> str:
        return self._segments[0]

    def build(self, arguments: Mapping[str, str]) -> Key:
        """Return the key of these arguments; raises BadPattern when one is missing, unknown,
        empty, of another type, or all together too long."""
        return self._built(tuple(arguments.items()))

    def build_each(self, name: str, values: Collection[str]) -> dict[str, Key]:
        """Return the keys of many values of this pattern's only field, by value; raises BadPattern
        as `build` does. Kept are none: an answer has a hundred of them, mostly new ones."""
        if self._around is None or name not in self.argument_types:
            return {value: self.build({name: value}) for value in values}
        before, after = self._around
        segments = _encode_segments(self.argument_types[name], values)
        texts = [f"{before}{segment}{after}" for segment in segments]
        _check_length(max(texts, key=len, default=""))
        return {
            value: Key(text, MappingProxyType({name: value}))
            for value, text in zip(values, texts, strict=True)
        }

    def _build(self, items: tuple[tuple[str, str], ...]) -> Key:
        arguments = dict(items)
        if arguments.keys() != self.argument_types.keys():
            raise BadPattern(
                f"{self.text} is built from {', '.join(self.argument_types) or 'nothing'}."
            )
        return self._name(arguments, _check_length(self._format(arguments)))

    def _name(self, arguments: Mapping[str, str], text: str) -> Key:
        """Return the key of arguments that were found to fit, and which people write as `text`."""
        if not self._emails:
            return Key(text, MappingProxyType(arguments))
        normal = MappingProxyType(self._normalize(arguments))
        hidden = {name: self._names.hide(normal[name]) for name in self._emails}
        texts = [
            self._format(arguments, {name: spellings[index] for name, spellings in hidden.items()})
            for index in range(len(self._names.keys))
        ]
        return Key(texts[0], normal, frozenset(texts))

    def parse(self, text: str) -> Key | None:
        """Return the key a text stands for, as people write it or as it is kept; None when it is
        no key of this pattern."""
        match = self._regex.fullmatch(text)
        if match is None:
            return None
        try:
            arguments = {
                name: unquote(value, encoding="utf-8", errors="surrogatepass")
                for name, value in match.groupdict().items()
            }
        except UnicodeDecodeError:
            return None
        hidden = {name: match[name] for name in self._emails if match[name][0] == HIDDEN_MARK}
        # Only the spelling that `build` gives is a key: `%41` is not another name for `A`.
        if len(hidden) not in {0, len(self._emails)} or self._format(arguments, hidden) != text:
            return None
        if not hidden:
            return self._name(arguments, text)
        known = {name: value for name, value in arguments.items() if name not in hidden}
        return Key(text, MappingProxyType(known), frozenset({text}))

    def names_of(self, email: str) -> tuple[str, ...]:
        """Return what stands for an e-mail in the keys of this pattern, nothing where none does."""
        return self._names.hide(email.translate(_LOWER)) if self._emails else ()

    def find_emails_key(self, key: Key, emails: Iterable[str]) -> Key | None:
        """Return a key that was found, with the one of these e-mails that it has; None if none, and
        for one under a secret that was replaced: only who has that one first reads it."""
        for email in emails:
            arguments = {**key.arguments, **dict.fromkeys(self._emails, email)}
            try:
                built = self.build(arguments)
            except BadPattern:
                continue  # a contact's e-mail may be empty, or anything
            if key.text == built.text:
                return built
        return None

    def overlaps(self, other: KeyPattern) -> bool:
        """Say whether some text could be a key of both patterns."""
        if len(self._segments) != len(other._segments):
            return False
        pairs = zip(self._segment_types, other._segment_types, strict=True)
        return all(_could_be_equal(first, second) for first, second in pairs)

    def splits_email(self, pattern: FlushPattern) -> bool:
        """Say whether a pattern is open for a part of what is an e-mail in keys of this one."""
        wanted = pattern.segments
        is_open_ended = wanted[-1] == "*" and len(wanted) <= len(self._segments)
        if not is_open_ended and len(wanted) != len(self._segments):
            return False
        pairs = list(zip(wanted, self._segment_types, strict=False))
        return all(
            isinstance(kind, ArgumentType) or re.fullmatch(_wildcard_regex(part), kind)
            for part, kind in pairs
        ) and any(
            kind is ArgumentType.EMAIL and "*" in part and part != "*" for part, kind in pairs
        )

    def _format(self, arguments: Mapping[str, str], hidden: Mapping[str, str] = NOT_HIDDEN) -> str:
        if self._around is not None:
            ((name, value),) = arguments.items()
            before, after = self._around
            return before + _encode_segment(self.argument_types[name], value) + after
        return self.text.format_map(
            {
                name: hidden.get(name) or _encode_segment(self.argument_types[name], value)
                for name, value in arguments.items()
            }
        )

    def _normalize(self, arguments: Mapping[str, str]) -> dict[str, str]:
        return {
            name: value.translate(_LOWER)
            if self.argument_types[name] is ArgumentType.EMAIL
            else value
            for name, value in arguments.items()
        }

    @cached_property
    def _segment_types(self) -> tuple[str | ArgumentType, ...]:
        return tuple(
            self.argument_types[match[1]] if (match := _FIELD.fullmatch(part)) else part
            for part in self._segments
        )

    @cached_property
    def _regex(self) -> re.Pattern[str]:
        return re.compile(
            ":".join(
                f"(?P<{match[1]}>{_SPELLINGS[self.argument_types[match[1]]]})"
                if (match := _FIELD.fullmatch(part))
                else re.escape(part)
                for part in self._segments
            )
        )


def _check_length(text: str) -> str:
    if len(text) > MAX_KEY_LENGTH:
        raise BadPattern(f"A key of {len(text)} characters is longer than {MAX_KEY_LENGTH}.")
    return text


def _split_around_field(text: str) -> tuple[str, str]:
    """Return what stands before a pattern's only field, and what after it."""
    before, _, rest = text.partition("{")
    return before, rest.partition("}")[2]


def _could_be_equal(first: str | ArgumentType, second: str | ArgumentType) -> bool:
    if isinstance(first, ArgumentType) and isinstance(second, ArgumentType):
        return (first is ArgumentType.EMAIL) == (second is ArgumentType.EMAIL)
    if isinstance(first, ArgumentType):
        return _SEGMENTS[first].fullmatch(second) is not None
    if isinstance(second, ArgumentType):
        return _SEGMENTS[second].fullmatch(first) is not None
    return first == second


class FlushPattern:
    """Which keys a flush takes: a key in which `*` stands for anything within one segment, or, as
    the whole last segment, for all that follows.

    Raises BadPattern for characters no key contains, for a pattern that names nothing and for one
    that names an e-mail: in keys, nothing of an e-mail is left that a pattern could match.
    """

    def __init__(self, text: str) -> None:
        if "@" in text:
            raise BadPattern(NO_EMAILS_IN_KEYS)
        if _FLUSH.fullmatch(text) is None:
            raise BadPattern(
                f"{text!r} holds characters no key contains; write them as %XX, and only * is open."
            )
        if _LITERAL.match(text) is None:
            raise BadPattern(f"{text!r} must start with a word; to flush all, say so.")
        self.text = text
        self.segments = tuple(text.split(":"))
        *segments, last = self.segments
        shapes = [*map(_wildcard_regex, segments), ".+" if last == "*" else _wildcard_regex(last)]
        self._regex = re.compile(":".join(shapes))

    def matches(self, key: str) -> bool:
        return self._regex.fullmatch(key) is not None


def _wildcard_regex(text: str) -> str:
    """Return the regular expression of a segment with wild cards. Each but the last takes the
    nearest match and keeps it: to try them all against a long key could take years."""
    first, *rest = map(re.escape, text.split("*"))
    if not rest:
        return first
    *between, last = rest
    return first + "".join(f"(?>[^:]*?{part})" for part in between if part) + f"[^:]*{last}"
