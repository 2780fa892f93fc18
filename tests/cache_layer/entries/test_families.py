"""The catalogue refuses what could mix two families up."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from cache_layer.entries.families import Catalogue, Family, LoadResult
from cache_layer.entries.hidden_names import HiddenNames
from cache_layer.entries.keys import ArgumentType, Key, KeyPattern
from cache_layer.entries.values import ValueCodec
from cache_layer.errors import BadPattern, ConfigurationError

NAMES = HiddenNames.of_secrets(["a secret"])


def load_nothing(keys: Sequence[Key], context: None) -> LoadResult[str]:
    return LoadResult(loaded={}, absent=frozenset(keys))


def family(name: str, *patterns: KeyPattern) -> Family[str, None]:
    return Family(
        name=name, patterns=patterns, values=ValueCodec(str), ttl_s=60, load_many=load_nothing
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (KeyPattern("a:{id}"), KeyPattern("a:{id}")),
        (KeyPattern("a:{id}:all"), KeyPattern("a:{id}:{what}")),
        (KeyPattern("a:{id}"), KeyPattern("a:{n}", n=ArgumentType.NUMBER)),
        (KeyPattern("a:x:{id}"), KeyPattern("a:{id}:y")),
    ],
)
def test_patterns_that_could_share_a_key_are_refused(one: KeyPattern, other: KeyPattern) -> None:
    with pytest.raises(ConfigurationError, match="could share a key"):
        Catalogue([family("one", one), family("other", other)])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            KeyPattern("c:{id}:details"),
            KeyPattern("c:{email}:details", NAMES, email=ArgumentType.EMAIL),
        ),
        (KeyPattern("a:{id}"), KeyPattern("a:{id}:more")),
        (KeyPattern("a:{n}", n=ArgumentType.NUMBER), KeyPattern("a:all")),
    ],
)
def test_patterns_that_cannot_meet_live_together(one: KeyPattern, other: KeyPattern) -> None:
    names = [each.name for each in Catalogue([family("one", one), family("other", other)])]

    assert names == ["one", "other"]


def test_a_familys_keys_begin_with_one_word() -> None:
    with pytest.raises(ConfigurationError, match="must begin with one word"):
        Catalogue([family("one", KeyPattern("a:{id}"), KeyPattern("b:{id}"))])


def test_two_families_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="one name"):
        Catalogue([family("one", KeyPattern("a:{id}")), family("one", KeyPattern("b:{id}"))])


def test_a_family_picks_the_pattern_by_the_arguments() -> None:
    pages = family("pages", KeyPattern("p:{id}:page:{page}"), KeyPattern("p:{id}:after:{cursor}"))

    assert pages.key(id="7", page="2").text == "p:7:page:2"
    assert pages.key(id="7", cursor="x").text == "p:7:after:x"
    with pytest.raises(BadPattern, match="pages"):
        pages.key(id="7")


def test_a_key_finds_its_family() -> None:
    exams, pages = family("exams", KeyPattern("e:{id}")), family("pages", KeyPattern("p:{id}"))
    catalogue = Catalogue([exams, pages])

    found = catalogue.parse_key("p:7")

    assert found is not None
    assert (found[0], found[1].arguments["id"]) == (pages, "7")
    assert catalogue.parse_key("x:7") is None
    with pytest.raises(BadPattern, match="exams, pages"):
        catalogue.family("students")


@pytest.mark.parametrize(
    ("pattern", "refused"),
    [
        ("contact:a*:details", True),
        ("contact:*a:*", True),
        ("contact:**:details", True),
        ("c*:a*:*", True),
        ("contact:*:details", False),
        ("contact:*", False),
        ("contact:7:*", False),
        ("contact:7:details", False),
        ("contact:7*:notes", False),
        ("contact:7*:details:more", False),
        ("exam:7*:details", False),
        ("c*", False),
    ],
)
def test_a_pattern_open_for_a_part_of_an_email_is_refused(pattern: str, refused: bool) -> None:
    catalogue = Catalogue(
        [
            family("ids", KeyPattern("contact:{id}:details")),
            family("emails", KeyPattern("contact:{e}:details", NAMES, e=ArgumentType.EMAIL)),
            family("notes", KeyPattern("contact:{id}:notes")),
        ]
    )
    if not refused:
        assert catalogue.flush_pattern(pattern).text == pattern
        return
    with pytest.raises(BadPattern, match="E-mails are hidden in keys"):
        catalogue.flush_pattern(pattern)


def test_what_stands_for_an_email_is_known_for_every_secret() -> None:
    names = HiddenNames.of_secrets(["new", "old"])
    people = family("people", KeyPattern("p:{e}", names, e=ArgumentType.EMAIL))

    stands_for = Catalogue([people]).names_of("Anna@x.org")

    assert {f"p:{name}" for name in stands_for} == people.key(e="anna@x.org").tags
    assert Catalogue([family("ids", KeyPattern("i:{id}"))]).names_of("anna@x.org") == frozenset()
