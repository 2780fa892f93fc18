"""hubspot-facts.md, "The change journal", line by line: tokens, entries, files, limits."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

import pytest

from tests.hubspot_sync.sandbox.hub import BOOKINGS, CONTACTS
from tests.hubspot_sync.sandbox.journal_reader import JournalReader
from tests.sandbox import SandboxHandle

DAY_S = 86_400


@pytest.fixture(params=["2026-03", "2026-09"])
def reader(request: pytest.FixtureRequest, kind_sandbox: SandboxHandle) -> JournalReader:
    return JournalReader(kind_sandbox, request.param)


@pytest.fixture
def journal(kind_sandbox: SandboxHandle) -> JournalReader:
    """The journal in the newest version, for what does not depend on it."""
    return JournalReader(kind_sandbox)


# Tokens


def test_a_token_is_given_for_client_credentials_in_a_form(reader: JournalReader) -> None:
    answer = reader.ask_for_token()

    assert answer.status == 200
    assert (answer.body["token_use"], answer.body["expires_in"]) == ("client_credentials", 1_800)
    assert "refresh_token" not in answer.body


@pytest.mark.parametrize("path", ["/oauth/v3/token", "/oauth/v1/token"])
def test_older_addresses_give_the_same_tokens(journal: JournalReader, path: str) -> None:
    journal.token = journal.ask_for_token(path=path).body["access_token"]

    assert journal.entries("/earliest").status == 204


def test_only_the_body_is_read_and_only_as_a_form(journal: JournalReader) -> None:
    assert journal.ask_for_token(json_body=True).status == 415
    assert journal.ask_for_token(query="?client_id=sandbox-client").status == 400


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"client_id": "somebody"}, "BAD_CLIENT_ID"),
        ({"client_secret": "guessed"}, "BAD_CLIENT_SECRET"),
        ({"grant_type": "authorization_code"}, "BAD_GRANT_TYPE"),
        ({"scope": "crm.everything"}, "BAD_SCOPE"),
    ],
)
def test_what_is_wrong_with_a_request_for_a_token_is_named(
    journal: JournalReader, wrong: dict[str, str], code: str
) -> None:
    answer = journal.ask_for_token(**wrong)

    assert (answer.status, answer.body["status"]) == (400, code)


def test_a_token_ends(journal: JournalReader) -> None:
    journal.authenticate()
    journal.sandbox.advance(1_799)
    before = journal.entries("/earliest").status
    journal.sandbox.advance(2)

    assert (before, journal.entries("/earliest").status) == (204, 401)


def test_a_private_apps_token_cannot_read_the_journal(journal: JournalReader) -> None:
    path = "/webhooks-journal/journal-local/2026-09/earliest"

    assert journal.sandbox.call("GET", path).status == 401


@pytest.mark.parametrize(("scopes", "status"), [("optional", 204), ("needed", 403)])
def test_whether_the_objects_scopes_are_needed_is_a_switch(
    journal: JournalReader, scopes: str, status: int
) -> None:
    journal.sandbox.configure(journal={"object_scopes": scopes})

    assert journal.entries("/earliest").status == status


# Entries


def test_an_empty_journal_is_204_everywhere(reader: JournalReader) -> None:
    tails = ("/earliest", "/latest", "/batch/earliest/10", "/batch/latest/10")

    assert [reader.entries(tail).status for tail in tails] == [204] * 4


def test_entries_are_read_in_their_order_until_204(reader: JournalReader) -> None:
    offsets = [reader.sandbox.publish({"n": number}) for number in range(3)]

    first = reader.entries("/earliest").body
    second = reader.entries(f"/offset/{first['currentOffset']}/next").body
    last = reader.entries("/latest").body

    assert [first["currentOffset"], second["currentOffset"]] == offsets[:2]
    assert last["currentOffset"] == offsets[2]
    assert reader.entries(f"/offset/{offsets[2]}/next").status == 204
    assert str(uuid.UUID(offsets[0])) == offsets[0]
    assert datetime.fromisoformat(first["expiresAt"]) > datetime.now(UTC)


def test_a_batch_has_up_to_a_hundred(reader: JournalReader) -> None:
    offsets = [reader.sandbox.publish({"n": number}) for number in range(5)]

    earliest = reader.entries("/batch/earliest/2").body
    following = reader.entries(f"/batch/{offsets[1]}/next/100").body
    latest = reader.entries("/batch/latest/2").body

    assert [entry["currentOffset"] for entry in earliest["results"]] == offsets[:2]
    assert [entry["currentOffset"] for entry in following["results"]] == offsets[2:]
    assert [entry["currentOffset"] for entry in latest["results"]] == offsets[3:]
    assert (earliest["status"], "startedAt" in earliest, "completedAt" in earliest) == (
        "COMPLETE",
        True,
        True,
    )
    assert reader.entries(f"/batch/{offsets[4]}/next/10").status == 204
    assert reader.entries("/batch/earliest/101").status == 400


def test_a_batch_of_offsets_of_which_some_are_unknown_is_207(reader: JournalReader) -> None:
    offset = reader.sandbox.publish({})

    answer = reader.read_again(offset, str(uuid.uuid4()))

    assert (answer.status, answer.body["numErrors"]) == (207, 1)
    assert [entry["currentOffset"] for entry in answer.body["results"]] == [offset]


def test_an_unknown_offset_is_404(reader: JournalReader) -> None:
    reader.sandbox.publish({})

    assert reader.entries(f"/offset/{uuid.uuid4()}/next").status == 404
    assert reader.entries(f"/batch/{uuid.uuid4()}/next/10").status == 404


def test_an_offset_is_404_after_three_days(journal: JournalReader) -> None:
    old = journal.sandbox.publish({"n": 1})
    journal.sandbox.advance(DAY_S)
    young = journal.sandbox.publish({"n": 2})
    journal.sandbox.advance(2 * DAY_S)
    journal.authenticate()

    assert journal.entries(f"/offset/{young}/next").status == 204
    assert journal.entries("/earliest").body["currentOffset"] == young
    assert journal.entries(f"/offset/{old}/next").status == 404


@pytest.mark.parametrize(("quiet", "status"), [("gone", 404), ("kept", 204)])
def test_what_becomes_of_the_offset_of_a_quiet_portal_is_a_switch(
    journal: JournalReader, quiet: str, status: int
) -> None:
    journal.sandbox.configure(journal={"quiet_offsets": quiet})
    offset = journal.sandbox.publish({})
    journal.sandbox.advance(3 * DAY_S + 1)
    journal.authenticate()

    assert journal.entries(f"/offset/{offset}/next").status == status


@pytest.mark.parametrize("shared", [True, False])
def test_whether_both_journals_share_their_offsets_is_a_switch(
    journal: JournalReader, shared: bool
) -> None:
    journal.sandbox.configure(journal={"shared_offsets": shared})
    offset = journal.sandbox.publish({})

    everybodys = journal.entries("/earliest", journal="journal").body["currentOffset"]

    assert (everybodys == offset) is shared
    tail = f"/offset/{everybodys}/next"
    assert journal.entries(tail, journal="journal").status == 204
    assert journal.entries(tail).status == (204 if shared else 404)


# Files


def test_a_file_has_its_offset_its_time_and_its_events(journal: JournalReader) -> None:
    offset = journal.sandbox.publish({"type": "unheard_of"}, {"n": 2})

    file = journal.file(journal.entries("/earliest").body).body

    assert file["offset"] == offset
    assert datetime.fromisoformat(file["publishedAt"]).tzinfo is not None
    assert file["journalEvents"] == [{"type": "unheard_of"}, {"n": 2}]


def test_files_are_on_another_address_and_refuse_a_token(journal: JournalReader) -> None:
    journal.sandbox.publish({})
    entry = journal.entries("/earliest").body

    refused = journal.file(entry, Authorization=f"Bearer {journal.token}")

    assert not entry["url"].startswith(journal.sandbox.base_url)
    assert refused.status == 400
    assert [call["authorized"] for call in journal.sandbox.journal()["file_calls"]] == [True]


@pytest.mark.parametrize("status", [403, 404])
def test_an_address_expires_and_another_can_be_had(journal: JournalReader, status: int) -> None:
    journal.sandbox.configure(journal={"address_s": 60, "expired_status": status})
    offset = journal.sandbox.publish({"n": 1})
    entry = journal.entries("/earliest").body
    journal.sandbox.advance(61)

    expired = journal.file(entry)
    (again,) = journal.read_again(offset).body["results"]

    assert (expired.status, expired.headers["content-type"]) == (status, "application/xml")
    assert journal.file(again).body["journalEvents"] == [{"n": 1}]


def test_an_address_is_nobodys_to_change(journal: JournalReader) -> None:
    journal.sandbox.publish({})
    entry = journal.entries("/earliest").body
    later = entry["url"].replace("Expires-At=1", "Expires-At=2")

    assert later != entry["url"]
    assert journal.file({"url": later}).status == 403


def test_what_happens_together_is_in_one_file_up_to_its_size(journal: JournalReader) -> None:
    journal.subscribe_to_object(CONTACTS, "email")
    journal.sandbox.configure(journal={"file_events": 3})
    for number in range(7):
        journal.sandbox.create(CONTACTS, {"email": f"s{number}@example.org"})

    entries = journal.entries("/batch/earliest/100").body["results"]
    sizes = [len(journal.file(entry).body["journalEvents"]) for entry in entries]

    assert sizes == [3, 3, 1]


def test_what_happens_apart_is_in_files_of_its_own(journal: JournalReader) -> None:
    journal.subscribe_to_object(CONTACTS, "email")
    for number in range(2):
        journal.sandbox.create(CONTACTS, {"email": f"s{number}@example.org"})
        journal.sandbox.advance(60)

    assert len(journal.entries("/batch/earliest/100").body["results"]) == 2


def test_a_file_may_be_compressed(journal: JournalReader) -> None:
    journal.sandbox.configure(journal={"gzip": True})
    journal.sandbox.publish({"n": 1})

    answer = journal.file(journal.entries("/earliest").body)

    assert answer.headers["content-encoding"] == "gzip"
    assert answer.body["journalEvents"] == [{"n": 1}]


# When, how often, how many


def test_an_entry_appears_after_its_delay(journal: JournalReader) -> None:
    journal.subscribe_to_object(CONTACTS, "email")
    journal.sandbox.configure(journal={"delay_s": 30})
    journal.sandbox.create(CONTACTS, {"email": "s@example.org"})

    journal.sandbox.advance(29)
    early = journal.entries("/earliest").status
    journal.sandbox.advance(2)

    assert (early, journal.entries("/earliest").status) == (204, 200)


def test_nobody_promises_every_event_or_each_once(journal: JournalReader) -> None:
    journal.subscribe_to_object(BOOKINGS, "name")
    journal.sandbox.configure(journal={"lose": 1.0})
    journal.sandbox.create(BOOKINGS, {"name": "lost"})
    journal.sandbox.configure(journal={"lose": 0.0, "duplicate": 1.0})
    journal.sandbox.create(BOOKINGS, {"name": "twice"})

    told = [event["propertyChanges"]["name"] for event in journal.all_events()]

    assert told == ["twice", "twice"]


def test_the_journal_and_subscriptions_have_limits_of_their_own(journal: JournalReader) -> None:
    journal.sandbox.configure(journal={"rate": 3, "subscriptions_rate": 2}, rate_limit=1)

    statuses = [journal.entries("/earliest").status for _ in range(4)]
    listed = [journal.call("GET", journal.subscriptions()) for _ in range(3)]

    assert statuses == [204, 204, 204, 429]
    assert [answer.status for answer in listed] == [200, 200, 429]
    assert listed[-1].headers["retry-after"] == "1"
    # Of the 190 in ten seconds, here one, nothing is taken.
    assert journal.sandbox.call("GET", "/crm/v3/properties/contacts").status == 200
    journal.sandbox.advance(1)
    assert journal.entries("/earliest").status == 204


def test_faults_can_be_ordered_for_entries_and_files(journal: JournalReader) -> None:
    journal.sandbox.publish({"n": 1})
    entry = journal.entries("/earliest").body
    journal.sandbox.fault(action="status", status=503, path="/earliest$", times=1)
    journal.sandbox.fault(action="spoil", how="html", path="/journal-files/", times=1)

    assert journal.entries("/earliest").status == 503
    assert b"maintenance" in journal.file(entry).body
    assert journal.file(entry).body["journalEvents"] == [{"n": 1}]
