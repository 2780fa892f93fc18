"""Trials on a live portal: what they learn, and that nothing of them stays."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from typing import Any

import pytest

from hubspot_sync import HubSpotClient, build_client
from hubspot_sync.config import HubSpotConfig
from hubspot_sync.errors import Unavailable
from hubspot_sync.portal.association_types import AssociationType
from hubspot_sync.portal.profile import load_profile
from hubspot_sync.preflight import FindingKind, ProbeEnvironment, probe
from hubspot_sync.preflight.throwaway_records import ThrowawayRecords
from hubspot_sync.wire.call_context import CallContext
from hubspot_sync.wire.deadlines import Deadline
from tests.sandbox import SandboxHandle

PROFILE = load_profile("default")
BOOKINGS, EXAMS = PROFILE.object_types.bookings, PROFILE.object_types.mock_exams
CONTACTS = PROFILE.object_types.contacts


class SteeredTime:
    """Pausing moves the sandbox's clock and ours; nobody waits."""

    def __init__(self, sandbox: SandboxHandle) -> None:
        self._sandbox = sandbox
        self._now_s = 0.0

    def clock(self) -> float:
        return self._now_s

    def pause(self, seconds: float) -> None:
        self._now_s += seconds
        self._sandbox.advance(seconds)


@pytest.fixture
def client(kind_sandbox: SandboxHandle) -> Iterator[HubSpotClient]:
    config = HubSpotConfig(base_url=kind_sandbox.base_url, token=kind_sandbox.token, max_attempts=1)
    client = build_client(config)
    yield client
    client.close()


@pytest.fixture
def context() -> CallContext:
    return CallContext(deadline=Deadline.after(20))


@pytest.fixture
def environment(kind_sandbox: SandboxHandle, client: HubSpotClient) -> ProbeEnvironment:
    path = f"/crm/v4/associations/{BOOKINGS}/{EXAMS}/labels"
    label = kind_sandbox.call("GET", path).body["results"][0]
    steered = SteeredTime(kind_sandbox)
    return ProbeEnvironment(
        profile=PROFILE,
        batch=client.batch,
        association_types={
            "bookings->mock_exams": AssociationType(
                type_id=label["typeId"], category=label["category"]
            )
        },
        mark="mark",
        clock=steered.clock,
        pause=steered.pause,
    )


def records(sandbox: SandboxHandle) -> list[dict[str, Any]]:
    return [*sandbox.records(BOOKINGS), *sandbox.records(EXAMS), *sandbox.records(CONTACTS)]


def test_a_portal_that_behaves_passes_and_keeps_nothing(
    kind_sandbox: SandboxHandle, environment: ProbeEnvironment, context: CallContext
) -> None:
    findings = probe(environment, context)

    assert [finding.verdict for finding in findings] == [FindingKind.OK] * 4
    assert len(records(kind_sandbox)) == 5
    assert all(record["archived"] for record in records(kind_sandbox))


def test_a_lag_of_associations_is_measured_and_warned_of(
    kind_sandbox: SandboxHandle, environment: ProbeEnvironment, context: CallContext
) -> None:
    kind_sandbox.configure(association_lag_s=2)

    _, lag, *_ = probe(environment, context)

    assert lag.verdict is FindingKind.WARNING
    # The machine's own time counts, too, and is not measured.
    shown = re.fullmatch(r"shown after (\d\.\d) s", lag.found)
    assert shown is not None, lag.found
    assert 0 < float(shown[1]) <= 2


def test_an_association_that_never_shows_ends_the_trial(
    kind_sandbox: SandboxHandle, environment: ProbeEnvironment, context: CallContext
) -> None:
    kind_sandbox.configure(association_lag_s=3600)

    _, lag, *_ = probe(environment, context)

    assert lag.found == "not shown after 15 s"


def test_a_seat_that_can_be_sold_twice_is_wrong(
    environment: ProbeEnvironment, context: CallContext
) -> None:
    names = {**PROFILE.booking_properties, "seat_key": "token_used", "token_used": "seat_key"}
    not_unique = dataclasses.replace(PROFILE, booking_properties=names)

    reuse, *_ = probe(dataclasses.replace(environment, profile=not_unique), context)

    assert (reuse.found, reuse.verdict) == ("taken twice without clearing", FindingKind.WRONG)


def test_a_seat_that_is_not_given_back_is_wrong(
    kind_sandbox: SandboxHandle, environment: ProbeEnvironment, context: CallContext
) -> None:
    kind_sandbox.fault(
        "status",
        path="batch/create",
        nth=3,
        status=409,
        body={"status": "error", "category": "CONFLICT", "message": "has that value"},
    )

    reuse, *_ = probe(environment, context)

    assert reuse.verdict is FindingKind.WRONG


def test_a_trial_cut_short_removes_its_records_all_the_same(
    kind_sandbox: SandboxHandle, environment: ProbeEnvironment, context: CallContext
) -> None:
    kind_sandbox.fault("status", path="associations/.*batch/read", status=503)

    with pytest.raises(Unavailable):
        probe(environment, context)

    assert all(record["archived"] for record in records(kind_sandbox))


def test_a_trial_that_used_up_its_time_removes_its_records_all_the_same(
    kind_sandbox: SandboxHandle, environment: ProbeEnvironment
) -> None:
    now_s = 0.0
    samples = ThrowawayRecords(environment, CallContext(deadline=Deadline.after(20, lambda: now_s)))
    samples.create_exam()

    now_s = 60.0

    assert samples.archive_all() == []
    assert [record["archived"] for record in records(kind_sandbox)] == [True]


def test_records_that_could_not_be_removed_are_named(
    kind_sandbox: SandboxHandle, environment: ProbeEnvironment, context: CallContext
) -> None:
    kind_sandbox.fault("status", path="batch/archive", status=503)

    *_, removal = probe(environment, context)

    left = [record["id"] for record in records(kind_sandbox)]
    assert all(record_id in removal.found for record_id in left)
    assert removal.verdict is FindingKind.WARNING


def test_a_create_nobody_knows_of_is_named(
    kind_sandbox: SandboxHandle, environment: ProbeEnvironment, context: CallContext
) -> None:
    kind_sandbox.fault("cut_after", path="batch/create", nth=1)

    reuse, *_, removal = probe(environment, context)

    assert reuse.verdict is FindingKind.UNKNOWN
    assert "preflight-mark" in removal.found


def test_whom_a_history_names_is_told_with_the_marks_trial(
    kind_sandbox: SandboxHandle, environment: ProbeEnvironment, context: CallContext
) -> None:
    kind_sandbox.configure(source_type="API", source_id="userId:7")

    *_, proof, _ = probe(environment, context)

    assert (proof.found, proof.verdict) == ("both at one time, by API userId:7", FindingKind.OK)


def test_a_mark_that_cannot_be_written_is_warned_of(
    kind_sandbox: SandboxHandle, environment: ProbeEnvironment, context: CallContext
) -> None:
    kind_sandbox.drop_property(CONTACTS, "credit_write_marker")

    *_, proof, _ = probe(environment, context)

    assert proof.verdict is FindingKind.WARNING
    assert "VALIDATION_ERROR" in proof.found
