"""Keys, tags and patterns: what a caller sends stays one segment of one family's key."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cache_layer.entries.hidden_names import HiddenNames
from cache_layer.entries.keys import (
    ArgumentType,
    FlushPattern,
    Key,
    KeyPattern,
    collection_tag,
    escape,
    object_tag,
    slug,
)
from cache_layer.errors import BadPattern

LIST = KeyPattern("bookings:list:{contact_id}:{filter}:page:{page}", page=ArgumentType.NUMBER)
LIST_OF_SIZE = KeyPattern(
    "bookings:list:{contact_id}:{filter}:page:{page}:limit:{limit}",
    page=ArgumentType.NUMBER,
    limit=ArgumentType.NUMBER,
)
BY_CURSOR = KeyPattern("bookings:list:{contact_id}:{filter}:after:{cursor}")
CONTACT = KeyPattern("contact:{contact_id}:details")
NAMES = HiddenNames.of_secrets(["the secret", "the one before it"])
CONTACT_BY_EMAIL = KeyPattern("contact:{email}:details", NAMES, email=ArgumentType.EMAIL)
BOOKING = KeyPattern("booking:{booking_id}:details")
CREDIT = KeyPattern("contact:{contact_id}:credit:{type}", type=ArgumentType.SLUG)
PATTERNS = [LIST, LIST_OF_SIZE, BY_CURSOR, CONTACT, CONTACT_BY_EMAIL, BOOKING, CREDIT]

NASTY = st.one_of(
    st.text(min_size=1, max_size=40),
    st.text(alphabet=":*{}%?[]@\\ \n\x00Aaé../é𝔘", min_size=1, max_size=12),
)
VALUES = {
    ArgumentType.TEXT: NASTY,
    ArgumentType.EMAIL: st.builds("{}@{}".format, st.text(max_size=15), st.text(max_size=15)),
    ArgumentType.SLUG: st.from_regex(r"[a-z0-9]{1,5}(-[a-z0-9]{1,5}){0,2}", fullmatch=True),
    ArgumentType.NUMBER: st.integers(0, 10**17).map(str),
}


@st.composite
def families_and_arguments(draw: st.DrawFn) -> tuple[KeyPattern, dict[str, str]]:
    pattern = draw(st.sampled_from(PATTERNS))
    return pattern, {name: draw(VALUES[kind]) for name, kind in pattern.argument_types.items()}


def lower(text: str) -> str:
    """ASCII's letters in lower case, and no other."""
    return "".join(sign.lower() if sign.isascii() else sign for sign in text)


def normal(pattern: KeyPattern, arguments: dict[str, str]) -> dict[str, str]:
    return {
        name: lower(value) if pattern.argument_types[name] is ArgumentType.EMAIL else value
        for name, value in arguments.items()
    }


@given(families_and_arguments())
def test_a_key_gives_back_the_arguments_it_was_built_from(
    drawn: tuple[KeyPattern, dict[str, str]],
) -> None:
    pattern, arguments = drawn

    key = pattern.build(arguments)

    assert dict(key.arguments) == normal(pattern, arguments)
    for found in (pattern.parse(key.text), pattern.parse(written(pattern, arguments))):
        assert found == key
    assert key.text in (key.tags or {key.text})


@given(st.sampled_from([CONTACT, CONTACT_BY_EMAIL, BOOKING]), st.data())
def test_many_keys_are_those_that_each_would_be_alone(
    pattern: KeyPattern, data: st.DataObject
) -> None:
    ((name, kind),) = pattern.argument_types.items()
    values = data.draw(st.lists(VALUES[kind], max_size=5))

    keys = pattern.build_each(name, values)

    assert keys == {value: pattern.build({name: value}) for value in values}
    for value, key in keys.items():
        alone = pattern.build({name: value})
        assert (key.text, key.arguments, key.tags) == (alone.text, alone.arguments, alone.tags)


@pytest.mark.parametrize("value", ["", "x" * 3000])
def test_one_value_that_makes_no_key_makes_none_of_many(value: str) -> None:
    with pytest.raises(BadPattern):
        BOOKING.build_each("booking_id", ["7", value])


def test_no_keys_are_made_by_a_field_that_a_pattern_has_not() -> None:
    with pytest.raises(BadPattern):
        BOOKING.build_each("exam_id", ["7"])


def written(pattern: KeyPattern, arguments: dict[str, str]) -> str:
    """A key as people write it."""
    segments = {}
    for name, value in normal(pattern, arguments).items():
        segments[name] = escape(value)
        if pattern.argument_types[name] is ArgumentType.EMAIL:
            local, _, domain = value.rpartition("@")
            segments[name] = f"{escape(local)}@{escape(domain)}"
    return pattern.text.format_map(segments)


@given(families_and_arguments(), families_and_arguments())
def test_no_two_sets_of_arguments_share_a_key(
    one: tuple[KeyPattern, dict[str, str]], other: tuple[KeyPattern, dict[str, str]]
) -> None:
    same = one[0] is other[0] and normal(*one) == normal(*other)

    assert (one[0].build(one[1]).text == other[0].build(other[1]).text) == same


@given(families_and_arguments())
def test_a_key_is_parsed_by_its_own_pattern_alone(
    drawn: tuple[KeyPattern, dict[str, str]],
) -> None:
    text = drawn[0].build(drawn[1]).text

    assert [pattern for pattern in PATTERNS if pattern.parse(text) is not None] == [drawn[0]]


@given(VALUES[ArgumentType.EMAIL])
def test_what_is_kept_of_an_email_says_nothing_of_it(email: str) -> None:
    key = CONTACT_BY_EMAIL.build({"email": email})

    assert len(key.tags) == 2
    for text in (key.text, *key.tags):
        assert re.fullmatch(r"contact:#[0-9a-f]{32}:details", text)
    assert email not in repr(key)


def test_an_email_is_hidden_alike_by_all_who_know_the_secret_and_by_nobody_else() -> None:
    def build(*secrets: str) -> Key:
        pattern = KeyPattern(
            "contact:{email}:details", HiddenNames.of_secrets(secrets), email=ArgumentType.EMAIL
        )
        return pattern.build({"email": "Anna@Example.org"})

    before, between, after = build("old"), build("new", "old"), build("new")

    assert between == after != before
    assert between.tags == before.tags | after.tags
    assert {build().text for _ in range(3)}.isdisjoint({before.text, after.text})
    assert len({build().text for _ in range(3)}) == 3


def test_a_kept_key_is_understood_without_its_email_and_finds_it_among_others() -> None:
    key = CONTACT_BY_EMAIL.build({"email": "anna@example.org"})

    for text in key.tags:
        found = CONTACT_BY_EMAIL.parse(text)
        assert found is not None
        assert (found.text, dict(found.arguments), found.tags) == (text, {}, {text})
        whole = CONTACT_BY_EMAIL.find_emails_key(found, ["", "none", "Anna@example.org"])
        if text == key.text:
            assert whole is not None
            assert (whole.text, dict(whole.arguments)) == (text, {"email": "anna@example.org"})
        else:  # under the secret before, which is no reader's here
            assert whole is None
        assert CONTACT_BY_EMAIL.find_emails_key(found, ["bob@example.org"]) is None


@pytest.mark.parametrize("text", ["#" + "0" * 31, "#" + "0" * 33, "#" + "g" * 32, "#", "#@x"])
def test_what_only_looks_hidden_is_no_key(text: str) -> None:
    assert [pattern for pattern in PATTERNS if pattern.parse(f"contact:{text}:details")] == []


def test_a_key_that_would_show_an_email_is_not_declared() -> None:
    with pytest.raises(BadPattern, match="nothing to hide it with"):
        KeyPattern("contact:{email}:details", email=ArgumentType.EMAIL)


@given(NASTY, NASTY)
def test_nothing_a_caller_sends_widens_a_pattern(contact_id: str, other: str) -> None:
    pattern = FlushPattern(f"bookings:list:{escape(contact_id)}:*")

    taken = pattern.matches(LIST.build({"contact_id": other, "filter": "a", "page": "1"}).text)

    assert taken == (contact_id == other)


@pytest.mark.parametrize(
    "arguments",
    [
        {"contact_id": "7", "filter": "all", "page": "1:limit:5"},
        {"contact_id": "7", "filter": "all", "page": "01"},
        {"contact_id": "7", "filter": "all", "page": "-1"},
        {"contact_id": "7", "filter": "all", "page": "٣"},
        {"contact_id": "", "filter": "all", "page": "1"},
        {"contact_id": "7", "filter": "all"},
        {"contact_id": "x" * 3000, "filter": "all", "page": "1"},
    ],
)
def test_what_makes_no_key_is_refused(arguments: dict[str, str]) -> None:
    with pytest.raises(BadPattern):
        LIST.build(arguments)


def test_a_key_reads_as_the_specification_writes_it() -> None:
    assert LIST.build({"contact_id": "7", "filter": "all", "page": "2"}).text == (
        "bookings:list:7:all:page:2"
    )


@pytest.mark.parametrize("email", ["anna", "anna:1", "*"])
def test_an_email_without_an_at_is_no_email(email: str) -> None:
    with pytest.raises(BadPattern):
        CONTACT_BY_EMAIL.build({"email": email})


@given(st.from_regex(r"(contact|booking):[A-Za-z0-9_.~%@-]{0,20}:details", fullmatch=True))
def test_a_text_is_a_key_only_if_its_arguments_build_it(text: str) -> None:
    for pattern in PATTERNS:
        key = pattern.parse(text)

        assert key is None or pattern.build(key.arguments) == key


def test_another_spelling_of_a_key_is_no_key() -> None:
    assert CONTACT.parse("contact:%37:details") is None
    assert CONTACT_BY_EMAIL.parse("contact:Anna@x.org:details") is None


@pytest.mark.parametrize(
    ("pattern", "key", "taken"),
    [
        ("contact:7:*", "contact:7:credits:all", True),
        ("contact:7:*", "contact:77:details", False),
        ("contact:*:details", "contact:7:details", True),
        ("contact:*:details", "contact:7:credits:details", False),
        ("contact:7*:details", "contact:77:details", True),
        ("mockexams:type:clinical:active", "mockexams:type:clinical:active", True),
    ],
)
def test_a_star_stays_within_its_segment_unless_it_is_the_last(
    pattern: str, key: str, taken: bool
) -> None:
    assert FlushPattern(pattern).matches(key) is taken


@given(st.text("ab*", min_size=1, max_size=8), st.text("ab", min_size=1, max_size=10))
def test_stars_mean_what_they_mean_in_file_names(segment: str, value: str) -> None:
    matches = FlushPattern(f"contact:{segment}:details").matches(f"contact:{value}:details")

    assert matches is fnmatchcase(value, segment)


def test_a_pattern_of_many_stars_is_decided_before_the_sun_goes_down() -> None:
    pattern = FlushPattern("contact:" + "*a" * 200 + "*b:details")

    assert not pattern.matches("contact:" + "a" * 1000 + ":details")


@pytest.mark.parametrize(
    "text", ["contact:anna@x.org:*", "contact:*@x.org:details", "*@*", "anna@x.org", "contact:@:*"]
)
def test_a_pattern_that_names_an_email_is_refused_in_words(text: str) -> None:
    with pytest.raises(BadPattern, match="E-mails are hidden in keys") as caught:
        FlushPattern(text)
    assert "anna" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "*", "**", ":", "contact:?", "contact:[7]", "contact:{id}"])
def test_a_pattern_that_names_nothing_or_holds_odd_characters_is_refused(text: str) -> None:
    with pytest.raises(BadPattern):
        FlushPattern(text)


@pytest.mark.parametrize("text", ["{id}:details", "Contact:{id}", "a:{id}:{id}", "a::b", "a:{id}b"])
def test_a_key_pattern_must_be_words_and_fields(text: str) -> None:
    with pytest.raises(BadPattern):
        KeyPattern(text)


@given(NASTY, NASTY)
def test_tags_of_different_things_differ(one: str, other: str) -> None:
    assert (object_tag("contact", one) == object_tag("contact", other)) == (one == other)
    assert object_tag("contact", one) != collection_tag(object_tag("contact", other), "bookings")


def test_tags_read_as_the_specification_writes_them() -> None:
    assert object_tag("contact", "7") == "contact:7"
    assert collection_tag("contact:7", "bookings") == "contact:7/bookings"
    assert collection_tag("mockexams", "clinical") == "mockexams/clinical"


@pytest.mark.parametrize(
    ("name", "expected"),
    [("Clinical Skills", "clinical-skills"), ("Mini-mock", "mini-mock"), ("  A  b ", "a-b")],
)
def test_a_type_name_becomes_a_slug(name: str, expected: str) -> None:
    assert slug(name) == expected


def test_a_name_without_a_letter_makes_no_slug() -> None:
    with pytest.raises(BadPattern):
        slug("::*")
