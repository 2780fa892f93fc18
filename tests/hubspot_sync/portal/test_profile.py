"""A portal profile is trusted after loading, so loading refuses what is wrong and says where."""

from __future__ import annotations

from pathlib import Path

import pytest

from hubspot_sync.errors import ConfigurationError
from hubspot_sync.portal.profile import PortalProfile, load_profile, shipped_profiles

SHIPPED = Path(load_profile.__code__.co_filename).parent


def edited(tmp_path: Path, *edits: tuple[str, str], base: str = "prepdoctors") -> PortalProfile:
    """Load a shipped profile with some of its text replaced."""
    text = (SHIPPED / f"{base}.toml").read_text(encoding="utf-8")
    for old, new in edits:
        assert old in text
        text = text.replace(old, new, 1)
    path = tmp_path / "school.toml"
    path.write_text(text, encoding="utf-8")
    return load_profile(str(path))


def test_two_profiles_ship() -> None:
    assert shipped_profiles() == ("default", "prepdoctors")


def test_the_default_portal_is_the_one_the_first_frontends_knew() -> None:
    profile = load_profile("default")

    assert profile.name == "default"
    assert profile.time_zone.key == "Europe/London"
    assert profile.object_types.bookings == "2-50158943"
    assert profile.object_types.enrollments is None
    assert profile.credit_properties == ("credits_clinical", "credits_osce", "credits_written")
    assert profile.booking_properties["exam_date"] == "booking_date"
    assert profile.booking_states["cancelled"] == ("false",)
    assert profile.editable_fields == ("attending_location", "dominant_hand")
    assert profile.unique_booking_properties == ("idempotency_key", "seat_key")


def test_prepdoctors_has_enrollments_shared_credits_and_links_by_association_only() -> None:
    profile = load_profile("prepdoctors")
    clinical, mini = profile.mock_type("Clinical Skills"), profile.mock_type("Mini-mock")

    assert clinical is not None
    assert mini is not None
    assert profile.object_types.enrollments == "2-41701559"
    assert not {"contact_id", "mock_exam_id"} & set(profile.booking_properties)
    assert profile.credit_properties[-1] == "shared_mock_credits"
    assert (clinical.slug, clinical.shared_token_label) == ("clinical-skills", "Shared Token")
    assert [(f.name, f.kind, f.required) for f in clinical.extra_fields] == [
        ("dominant_hand", "bool", True)
    ]
    assert mini.shared_credit_property is None
    assert mini.extra_fields[0].choices["richmond_hill"] == "Richmond Hill"


def test_a_mock_type_is_found_by_its_exact_value() -> None:
    profile = load_profile("prepdoctors")

    assert profile.mock_type("clinical skills") is None


def test_an_own_profile_is_loaded_from_its_file(tmp_path: Path) -> None:
    profile = edited(tmp_path, ("America/Toronto", "America/Vancouver"))

    assert (profile.name, profile.time_zone.key) == ("school", "America/Vancouver")


def test_an_unknown_name_says_which_profiles_there_are() -> None:
    with pytest.raises(ConfigurationError, match=r"HUBSPOT_PORTAL is 'oxford'.*prepdoctors"):
        load_profile("oxford")


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"nowhere/school\.toml cannot be read"):
        load_profile("nowhere/school.toml")


def test_a_file_that_is_not_toml_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"school\.toml is not TOML"):
        edited(tmp_path, ("[contacts]", "[contacts"))


MISTAKES = [
    ("America/Toronto", "America/Torontoo", "time_zone is 'America/Torontoo'"),
    ('time_zone = "America/Toronto"', "", "time_zone is missing"),
    ("America/Toronto", "../etc/passwd", "time_zone is '../etc/passwd'"),
    ('bookings = "2-50158943"', 'bookings = "bookings"', "object_types.bookings is 'bookings'"),
    ('notes = "0-46"', 'notes = "0-1"', "object_types.notes is '0-1', which object_types.contacts"),
    ('firstname = "firstname"', "firstname = 1", "contacts.firstname wants a text"),
    ('lastname = "lastname"', 'surname = "lastname"', "contacts.lastname is missing"),
    ('lastname = "lastname"', 'lastname = "lastname"\nage = "age"', "contacts.age is not a key"),
    ('lastname = "lastname"', 'lastname = "email"', "contacts.lastname is 'email', which"),
    ('lastname = "lastname"', 'lastname = "Last Name"', "contacts.lastname is 'Last Name'"),
    ('lastname = "lastname"', 'lastname = "cs_credits"', "contacts has 'cs_credits'"),
    ('seat_key = "seat_key"', "", "bookings.seat_key is missing"),
    ('"seat_key"]', '"seat"]', "booking_rules.unique names 'seat', which is no field"),
    (', "seat_key"]', "]", "booking_rules.unique wants 'seat_key' too"),
    (', "dominant_hand"]', ', "token_used"]', "booking_rules.editable names 'token_used'"),
    (', "dominant_hand"]', ', "attending_location"]', "booking_rules.editable names attending"),
    ('active = ["Active"]', "active = []", "booking_states.active is empty"),
    ('["Cancelled"]', '["active"]', "booking_states.cancelled has 'active', which is the value"),
    ("[exam_states]", "[exam_state]", "exam_state is not a key of this table"),
    ('montreal = "Montreal"', 'montreal = "Calgary"', "choices.attending_location.montreal is"),
    ('montreal = "Montreal"', 'Montreal = "Montreal"', "choices.attending_location.Montreal is"),
    ("[choices.attending_location]", "[choices.hall]", "choices.hall is not a key"),
    ("[choices.attending_location]", "[choices.hall]", "so [choices.attending_location] is wanted"),
    ('credit = "cs_credits"', "", "mock_types[1].credit is missing"),
    ('value = "Mini-mock"', 'value = "CLINICAL skills"', "mock_types[2].value is 'CLINICAL"),
    ('value = "Mini-mock"', 'value = "Clinical-Skills"', "mock_types[2].slug is 'clinical-skills'"),
    ('value = "Mini-mock"', 'value = "模拟"', "mock_types[2].slug is wanted"),
    ('token_label = "Mini-mock Token"', 'token_label = "Shared Token"', "stands for another"),
    ('shared_token_label = "Shared Token"', "", "mock_types[0].shared_credit and shared_token"),
    ('required = ["dominant_hand"]', 'required = ["hat"]', "mock_types[1].required names 'hat'"),
    ('enrollments = "2-41701559"', "", "enrollments is given, so object_types.enrollments"),
    ('registered = ["Registered"]', "registered = []", "enrollment_states.registered is empty"),
    ('course_id = "course_id"', "", "enrollments.course_id is missing"),
    ('course_id = "course_id"', 'course = "course_id"', "enrollments.course is not a key"),
    ("notes->contacts", "notes->pupils", "association_type_ids.notes->pupils is no direction"),
    ("= 202", '= "202"', "association_type_ids.notes->contacts wants a whole number"),
]


@pytest.mark.parametrize(("old", "new", "sentence"), MISTAKES, ids=[row[2] for row in MISTAKES])
def test_a_mistake_is_refused_with_its_file_and_key(
    tmp_path: Path, old: str, new: str, sentence: str
) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        edited(tmp_path, (old, new))

    assert sentence in str(refusal.value)
    assert f"{tmp_path / 'school.toml'}: " in str(refusal.value)


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        edited(
            tmp_path, ("America/Toronto", "Mars"), ('"sj_credits"', '"SJ credits"'), ("0-46", "n")
        )

    assert len(str(refusal.value).splitlines()) == 3


def test_a_status_property_wants_its_values(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="booking_statuses is missing"):
        edited(tmp_path, ("[booking_statuses]", "[other]"), base="default")


def test_status_values_want_their_property(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"so bookings\.status is wanted too"):
        edited(tmp_path, ('status = "booking_status"\n', ""), base="default")


def test_more_unique_properties_than_hubspot_allows_are_refused(tmp_path: Path) -> None:
    names = ["booking_id", "name", "email", "student_id", "exam_date", "is_active", "token_used"]
    more = ", ".join(f'"{name}"' for name in [*names, "mock_type", "created_at"])
    with pytest.raises(ConfigurationError, match="at most 10 fields"):
        edited(tmp_path, ("unique = [", f"unique = [{more}, "))
