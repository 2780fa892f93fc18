"""`hubspot_check` and the change journal: its subscriptions, made once, and what a trial shows."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from pytest_django import Settings

from hubspot_sync.config import HubSpotConfig
from hubspot_sync.portal.profile import load_profile
from hubspot_sync.preflight import journal_trial
from tests.hubspot_sync.journals import journal_config
from tests.hubspot_sync.sandbox.hub import BOOKINGS, CONTACTS
from tests.hubspot_sync.sandbox.journal_reader import JournalReader
from tests.sandbox import SandboxHandle

AREA = "change journal"


@pytest.fixture
def portal(kind_sandbox: SandboxHandle, settings: Settings) -> SandboxHandle:
    settings.HUBSPOT = HubSpotConfig(base_url=kind_sandbox.base_url, token=kind_sandbox.token)
    settings.HUBSPOT_PORTAL = "default"
    settings.HUBSPOT_JOURNAL = journal_config(kind_sandbox.base_url)
    return kind_sandbox


def check(*arguments: str) -> dict[str, dict[str, str]]:
    """Run the command; return the findings about the journal by subject."""
    output = StringIO()
    try:
        call_command("hubspot_check", "--json", *arguments, stdout=output)
    except SystemExit:
        pass  # something is missing; the findings say what
    found: list[dict[str, Any]] = json.loads(output.getvalue())["findings"]
    return {each["subject"]: each for each in found if each["area"] == AREA}


def verdicts(findings: dict[str, dict[str, str]]) -> list[str]:
    return [each["verdict"] for each in findings.values()]


def test_without_an_app_nothing_is_asked_of_the_journal(
    portal: SandboxHandle, settings: Settings
) -> None:
    settings.HUBSPOT_JOURNAL = journal_config(
        portal.base_url, client_id="", client_secret="", portal_id=""
    )

    assert check() == {}
    assert portal.journal()["tokens"] == 0


def test_what_is_missing_is_told_and_nothing_made_without_apply(portal: SandboxHandle) -> None:
    findings = check()

    wanted = {f"OBJECT {CONTACTS}", f"ASSOCIATION {CONTACTS}", f"GDPR_PRIVACY_DELETION {CONTACTS}"}
    assert wanted <= set(findings)
    assert verdicts(findings).count("missing") == len(findings) - 2
    assert portal.journal()["subscriptions"] == []


@pytest.mark.sampled(2)
@pytest.mark.parametrize("same", ["type", "whole", "none"])
@pytest.mark.parametrize("missing", ["all", "refused"])
def test_apply_makes_each_once_whatever_counts_as_the_same(
    portal: SandboxHandle, same: str, missing: str
) -> None:
    portal.configure(journal={"same_subscription": same, "missing_objects": missing})

    made = check("--apply")
    listed = portal.journal()["subscriptions"]
    again = check("--apply")

    assert set(verdicts(made)) == {"made", "warning", "ok"}
    assert set(verdicts(again)) == {"ok", "warning"}
    assert portal.journal()["subscriptions"] == listed
    kinds = [(each["subscriptionType"], each["objectTypeId"]) for each in listed]
    assert len(kinds) == len(set(kinds)) == len(again) - 2


def test_the_subscriptions_have_the_profiles_properties_and_links(portal: SandboxHandle) -> None:
    check("--apply")

    by_name = {
        (each["subscriptionType"], each["objectTypeId"]): each
        for each in portal.journal()["subscriptions"]
    }
    profile = load_profile("default")
    contacts = by_name["OBJECT", CONTACTS]
    assert {*profile.contact_properties.values(), *profile.credit_properties} <= set(
        contacts["properties"]
    )
    assert "hs_additional_emails" in contacts["properties"]
    links = by_name["ASSOCIATION", CONTACTS]["associatedObjectTypeIds"]
    assert set(links) == {
        each
        for each in (profile.object_types.bookings, profile.object_types.enrollments)
        if each is not None
    }


def test_one_that_says_less_is_made_whole_and_others_are_left_alone(
    portal: SandboxHandle,
) -> None:
    stranger = JournalReader(portal)
    stranger.subscribe_to_object("0-46", "hs_note_body")
    stranger.subscribe_to_object(BOOKINGS, "booking_id")

    before, made = check(), check("--apply")

    assert before[f"OBJECT {BOOKINGS}"]["found"].startswith("without ")
    assert made[f"OBJECT {BOOKINGS}"]["verdict"] == "made"
    (other,) = [each for subject, each in made.items() if "0-46" in subject]
    assert (other["verdict"], other["wanted"]) == ("warning", "not needed here")
    types = [each["objectTypeId"] for each in portal.journal()["subscriptions"]]
    assert "0-46" in types


@pytest.mark.parametrize("same", ["type", "whole", "none"])
def test_what_somebody_elses_subscription_tells_is_told_still(
    portal: SandboxHandle, same: str
) -> None:
    """Where HubSpot takes ours for theirs, what it has of theirs is in ours."""
    portal.configure(journal={"same_subscription": same})
    stranger = JournalReader(portal)
    stranger.subscribe_to_object(BOOKINGS, "their_property", "booking_id")
    stranger.subscribe_to_links(CONTACTS, "0-3")

    made = check("--apply")

    listed = portal.journal()["subscriptions"]
    told = {
        (each["subscriptionType"], each["objectTypeId"], one)
        for each in listed
        for one in each.get("properties", []) + each.get("associatedObjectTypeIds", [])
    }
    assert {("OBJECT", BOOKINGS, "their_property"), ("ASSOCIATION", CONTACTS, "0-3")} <= told
    assert {made[f"OBJECT {BOOKINGS}"]["verdict"], made[f"ASSOCIATION {CONTACTS}"]["verdict"]} == {
        "made"
    }


def test_one_for_some_objects_is_left_alone_and_told_of(portal: SandboxHandle) -> None:
    """Without its list it may hear of none: nobody knows."""
    stranger = JournalReader(portal)
    theirs = stranger.subscribe_to_object(BOOKINGS, "their_property", objectIds=[5]).body

    found = check("--apply")[f"OBJECT {BOOKINGS}"]

    assert found["verdict"] == "missing"
    assert str(theirs["id"]) in found["found"]
    assert theirs in portal.journal()["subscriptions"]


def test_a_subscription_that_a_filter_narrows_does_not_count(portal: SandboxHandle) -> None:
    check("--apply")
    reader = JournalReader(portal)
    (held,) = [
        each
        for each in portal.journal()["subscriptions"]
        if (each["subscriptionType"], each["objectTypeId"]) == ("OBJECT", BOOKINGS)
    ]
    condition = {"filterType": "CRM_OBJECT_PROPERTY", "property": "name", "value": "x"}
    body = {"subscriptionId": held["id"], "filter": {"conditions": [condition]}}
    assert reader.call("POST", reader.subscriptions("/filters"), body).status == 200

    found = check()[f"OBJECT {BOOKINGS}"]

    assert (found["verdict"], found["found"]) == (
        "missing",
        "narrowed by a filter or to some objects",
    )


def test_an_app_that_hubspot_does_not_know_is_a_finding(
    portal: SandboxHandle, settings: Settings
) -> None:
    settings.HUBSPOT_JOURNAL = journal_config(portal.base_url, client_id="somebody")

    finding = check("--apply")["subscriptions"]

    assert (finding["verdict"], finding["found"]) == ("wrong", "400 BAD_CLIENT_ID")


def test_nothing_may_outlive_its_time_until_a_trial_was_seen(
    portal: SandboxHandle, settings: Settings
) -> None:
    check("--apply")
    subject = "what may outlive its time to live"
    before = check()[subject]
    settings.HUBSPOT_JOURNAL = journal_config(portal.base_url, hears_of_all_objects=True)
    after = check()[subject]

    assert (before["verdict"], "bookings" in before["found"]) == ("warning", True)
    assert (after["verdict"], after["found"].startswith("all, by")) == ("ok", True)


def test_a_trial_shows_that_a_subscription_without_objects_hears_of_all(
    portal: SandboxHandle,
) -> None:
    findings = check("--apply", "--probe")

    told = {subject: each["found"] for subject, each in findings.items() if "a new" in subject}
    assert set(told) == {
        f"a new record: {part}"
        for part in ("contacts", "bookings", "mock_exams", "mock_exams->bookings")
    }
    assert all(found.startswith("told after ") for found in told.values())
    known = findings["a subscription that names no objects"]
    assert (known["found"], known["wanted"]) == ("hears of all", "HUBSPOT_JOURNAL_ALL_OBJECTS=true")
    assert all(each["archived"] for each in portal.records(BOOKINGS))


def test_a_trial_shows_that_it_hears_of_none(
    portal: SandboxHandle, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    portal.configure(journal={"missing_objects": "none"})
    monkeypatch.setattr(journal_trial, "MAX_WAIT_S", 0.2)
    settings.HUBSPOT_JOURNAL = journal_config(portal.base_url, hears_of_all_objects=True)

    findings = check("--apply", "--probe")

    known = findings["a subscription that names no objects"]
    assert (known["found"], known["verdict"]) == ("was told nothing", "wrong")
    assert findings["a new record: bookings"]["verdict"] == "warning"


def test_a_trial_waits_no_longer_than_its_minute_whatever_it_is_told(
    portal: SandboxHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    portal.fault(action="status", status=429, path="/next", headers={"Retry-After": "80000"})
    portal.publish({})
    monkeypatch.setattr(journal_trial, "MAX_WAIT_S", 0.2)

    findings = check("--apply", "--probe")

    assert findings["a new record: bookings"]["verdict"] == "warning"
    assert all(each["archived"] for each in portal.records(BOOKINGS))


def test_a_trial_without_subscriptions_says_so(
    portal: SandboxHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_trial, "MAX_WAIT_S", 0.2)

    findings = check("--probe")

    assert findings["a new record: bookings"]["found"] == "not subscribed to"
    assert findings["a subscription that names no objects"]["verdict"] == "unknown"


@pytest.mark.parametrize("size", [1, 2, 5])
def test_subscriptions_that_are_listed_in_pages_are_all_seen(
    portal: SandboxHandle, size: int
) -> None:
    check("--apply")
    portal.configure(journal={"subscriptions_page": size})

    assert set(verdicts(check())) == {"ok", "warning"}


def test_another_portals_id_is_told_at_once(portal: SandboxHandle, settings: Settings) -> None:
    settings.HUBSPOT_JOURNAL = journal_config(portal.base_url, portal_id="62516")

    findings = check("--apply")

    assert findings["HUBSPOT_PORTAL_ID"]["verdict"] == "wrong"
    assert findings["HUBSPOT_PORTAL_ID"]["wanted"] == "62515"
    assert "62516" in findings["subscriptions"]["found"]
    assert findings["subscriptions"]["verdict"] == "wrong"
    assert portal.journal()["subscriptions"] == []


def test_a_portal_that_no_token_names_is_not_known_to_be_right(portal: SandboxHandle) -> None:
    portal.configure(journal={"tells_portal": False}, app_info="empty")

    assert check()["HUBSPOT_PORTAL_ID"]["verdict"] == "warning"
