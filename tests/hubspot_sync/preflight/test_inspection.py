"""A live portal is compared with its profile before anybody relies on it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from hubspot_sync import HubSpotClient, build_client
from hubspot_sync.config import API_VERSIONS, ApiVersion, HubSpotConfig
from hubspot_sync.errors import Refused
from hubspot_sync.portal.profile import PortalProfile, load_profile
from hubspot_sync.preflight import Finding, FindingKind, Inspection, create_missing, inspect
from hubspot_sync.preflight.inspection import version_finding
from hubspot_sync.wire.call_context import CallContext
from hubspot_sync.wire.deadlines import Deadline
from tests.sandbox import SandboxHandle

TODAY = date(2026, 11, 23)
SHIPPED = Path(load_profile.__code__.co_filename).parent


@pytest.fixture
def context() -> CallContext:
    return CallContext(deadline=Deadline.after(20))


@pytest.fixture
def config(kind_sandbox: SandboxHandle, request: pytest.FixtureRequest) -> HubSpotConfig:
    version = getattr(request, "param", API_VERSIONS[0])
    return HubSpotConfig(
        base_url=kind_sandbox.base_url, token=kind_sandbox.token, api_version=version
    )


@pytest.fixture
def client(config: HubSpotConfig) -> Iterator[HubSpotClient]:
    client = build_client(config)
    yield client
    client.close()


class Inspector:
    """Looks at the sandbox's portal with whatever profile a test gives."""

    def __init__(
        self, client: HubSpotClient, config: HubSpotConfig, context: CallContext, folder: Path
    ) -> None:
        self._client, self._config, self._context = client, config, context
        self._folder = folder

    def edited(self, *edits: tuple[str, str], school: str = "default") -> PortalProfile:
        """A shipped profile with some of its text replaced."""
        text = (SHIPPED / f"{school}.toml").read_text(encoding="utf-8")
        for old, new in edits:
            assert old in text
            text = text.replace(old, new, 1)
        path = self._folder / "school.toml"
        path.write_text(text, encoding="utf-8")
        return load_profile(str(path))

    def look(self, profile: PortalProfile | str) -> Inspection:
        return inspect(
            profile=load_profile(profile) if isinstance(profile, str) else profile,
            config=self._config,
            transport=self._client.transport,
            context=self._context,
            today=TODAY,
        )

    def create(self, inspection: Inspection) -> tuple[Finding, ...]:
        return create_missing(inspection.creatable, self._client.transport, self._context)


@pytest.fixture
def inspector(
    client: HubSpotClient, config: HubSpotConfig, context: CallContext, tmp_path: Path
) -> Inspector:
    return Inspector(client, config, context, tmp_path)


def define(sandbox: SandboxHandle, name: str, **changes: object) -> None:
    """Give bookings a property, as the portal's administrator would."""
    plain = {"label": "Own", "type": "string", "fieldType": "text", "groupName": "own"}
    answer = sandbox.call(
        "POST", "/crm/v3/properties/2-50158943", {**plain, "name": name, **changes}
    )
    assert answer.status == 201


def failures(inspection: Inspection) -> dict[str, Finding]:
    return {finding.subject: finding for finding in inspection.findings if finding.failed}


@pytest.mark.parametrize("config", API_VERSIONS, indirect=True)
@pytest.mark.parametrize("name", ["default", "prepdoctors"])
def test_each_shipped_profile_fits_its_portal(
    kind_sandbox: SandboxHandle, inspector: Inspector, name: str
) -> None:
    kind_sandbox.reset(portal=name)
    kind_sandbox.kind()

    inspection = inspector.look(name)

    assert failures(inspection) == {}
    assert inspection.creatable == ()
    areas = {finding.area for finding in inspection.findings}
    assert {"API version", "token", "object type", "property", "association"} <= areas


def test_another_schools_portal_lacks_what_the_profile_names(inspector: Inspector) -> None:
    inspection = inspector.look("prepdoctors")

    failed = failures(inspection)
    assert failed["enrollments 2-41701559"].verdict is FindingKind.MISSING
    assert failed["contacts.sj_credits"].found == "no such property"
    assert failed["bookings.is_active"].verdict is FindingKind.WRONG


def test_what_only_others_fill_in_is_told_and_not_created(
    kind_sandbox: SandboxHandle, inspector: Inspector
) -> None:
    kind_sandbox.reset(portal="prepdoctors")
    kind_sandbox.kind()
    profile = inspector.edited(
        ('course_id = "course_id"', 'course_id = "course"'), school="prepdoctors"
    )

    inspection = inspector.look(profile)

    assert failures(inspection).keys() == {"enrollments.course"}
    assert inspector.create(inspection) == ()


def test_a_missing_property_is_created_once(
    kind_sandbox: SandboxHandle, inspector: Inspector
) -> None:
    profile = inspector.edited(('seat_key = "seat_key"', 'seat_key = "seat_sold"'))

    made = inspector.create(inspector.look(profile))
    after = inspector.look(profile)
    inspector.create(after)

    assert [(one.subject, one.verdict) for one in made] == [
        ("bookings.seat_sold", FindingKind.MADE)
    ]
    assert failures(after) == {}
    assert kind_sandbox.calls_count("properties.create") == 1


def test_a_portal_without_the_marker_of_credits_is_warned_and_gets_it_beside_the_credits(
    kind_sandbox: SandboxHandle, inspector: Inspector
) -> None:
    kind_sandbox.drop_property("0-1", "credit_write_marker")
    path = "/crm/properties/2026-09/0-1"
    live = kind_sandbox.call("GET", path).body["results"]
    for definition in live:
        if definition["name"].startswith("credits_"):
            definition["groupName"] = "school_credits"
    kind_sandbox.fault(
        "status", path="properties/.*0-1", times=1, status=200, body={"results": live}
    )

    inspection = inspector.look("default")

    assert failures(inspection) == {}
    (told,) = [one for one in inspection.findings if one.subject.endswith("credit_write_marker")]
    assert told.verdict is FindingKind.WARNING
    assert "value, time and source" in told.found
    assert [one.verdict for one in inspector.create(inspection)] == [FindingKind.MADE]
    made = kind_sandbox.call("GET", f"{path}/credit_write_marker").body
    assert (made["type"], made["groupName"]) == ("string", "school_credits")


def test_an_older_profile_without_a_marker_is_told_of_it(inspector: Inspector) -> None:
    profile = inspector.edited(('write_marker = "credit_write_marker"', ""))

    inspection = inspector.look(profile)

    assert failures(inspection) == {}
    (told,) = [one for one in inspection.findings if one.area == "profile"]
    assert told.verdict is FindingKind.WARNING


def test_a_marker_that_cannot_be_made_stops_nothing(
    kind_sandbox: SandboxHandle, inspector: Inspector
) -> None:
    kind_sandbox.drop_property("0-1", "credit_write_marker")
    kind_sandbox.fault("status", method="POST", path="properties/.*0-1", status=403)

    (made,) = inspector.create(inspector.look("default"))

    assert (made.verdict, made.failed) == (FindingKind.WARNING, False)


def test_a_property_of_another_type_is_told_and_left_alone(
    kind_sandbox: SandboxHandle, inspector: Inspector
) -> None:
    profile = inspector.edited(
        ('capacity = "capacity"', 'capacity = "location"'),
        ('location = "location"', 'location = "capacity"'),
    )

    inspection = inspector.look(profile)
    inspector.create(inspection)

    assert failures(inspection)["mock_exams.location"].wanted == "number"
    assert kind_sandbox.calls_count("properties.create") == 0


def test_a_property_that_is_not_unique_cannot_guard_a_seat(inspector: Inspector) -> None:
    profile = inspector.edited(
        ('token_used = "token_used"', 'token_used = "seat_key"'),
        ('seat_key = "seat_key"', 'seat_key = "token_used"'),
    )

    inspection = inspector.look(profile)

    assert failures(inspection)["bookings.token_used"].found == "string, not unique"


def test_an_enumeration_without_a_value_we_write_is_wrong(inspector: Inspector) -> None:
    profile = inspector.edited(('value = "osce"', 'value = "viva"'))

    inspection = inspector.look(profile)

    assert failures(inspection)["mock_exams.mock_type"].found == "enumeration without viva"


def test_a_token_property_that_cannot_hold_every_label_is_wrong(
    kind_sandbox: SandboxHandle, inspector: Inspector
) -> None:
    option = {"label": "Clinical", "value": "Clinical Token", "displayOrder": 0, "hidden": False}
    define(kind_sandbox, "paid_with", type="enumeration", fieldType="select", options=[option])

    inspection = inspector.look(inspector.edited(('= "token_used"', '= "paid_with"')))

    found = failures(inspection)["bookings.paid_with"].found
    assert found == "enumeration without OSCE Token, Written Token"


def test_an_eleventh_unique_property_has_no_room(
    kind_sandbox: SandboxHandle, inspector: Inspector
) -> None:
    for number in range(8):
        define(kind_sandbox, f"own_{number}", hasUniqueValue=True)

    inspection = inspector.look(inspector.edited(('seat_key = "seat_key"', 'seat_key = "seat"')))

    assert failures(inspection)["bookings"].found == "10 in use, 1 to make"
    refused = inspector.create(inspection)
    assert [one.verdict for one in refused] == [FindingKind.MISSING]


def test_a_scope_that_was_not_granted_is_missing(
    kind_sandbox: SandboxHandle, inspector: Inspector
) -> None:
    granted = [scope for scope in kind_sandbox.config()["scopes"] if "custom" not in scope]
    kind_sandbox.configure(scopes=granted)

    inspection = inspector.look("default")

    assert set(failures(inspection)) == {
        "crm.objects.custom.read",
        "crm.objects.custom.write",
        "crm.schemas.custom.read",
    }


def test_scopes_hubspot_does_not_tell_are_unknown_and_no_failure(
    kind_sandbox: SandboxHandle, inspector: Inspector
) -> None:
    kind_sandbox.fault("status", path="access-token-info", status=404)

    inspection = inspector.look("default")

    assert failures(inspection) == {}
    assert [one.verdict for one in inspection.findings if one.area == "token"] == [
        FindingKind.UNKNOWN
    ]


def test_an_object_that_may_not_be_read_is_missing_and_the_rest_is_looked_at(
    kind_sandbox: SandboxHandle, inspector: Inspector
) -> None:
    kind_sandbox.fault("status", path="properties/.*2-50158913", status=403)

    failed = failures(inspector.look("default"))

    assert failed["mock_exams.capacity"].found.startswith("cannot be read: 403")
    assert set(failed) == {s for s in failed if s.startswith("mock_exams.")}


def test_a_token_hubspot_does_not_know_ends_the_inspection(
    kind_sandbox: SandboxHandle, context: CallContext
) -> None:
    config = HubSpotConfig(base_url=kind_sandbox.base_url, token="stale")
    client = build_client(config)
    profile = load_profile("default")
    try:
        with pytest.raises(Refused):
            inspect(
                profile=profile,
                config=config,
                transport=client.transport,
                context=context,
                today=TODAY,
            )
    finally:
        client.close()


def test_the_plain_association_is_told_from_a_labelled_one(
    kind_sandbox: SandboxHandle, inspector: Inspector
) -> None:
    labels = [
        {"category": "USER_DEFINED", "typeId": 1301, "label": "Sponsor"},
        {"category": "USER_DEFINED", "typeId": 1289, "label": None},
    ]
    path = "2-50158943/0-1/labels"
    kind_sandbox.fault("status", path=path, status=200, body={"results": labels})

    assert inspector.look("default").association_types["bookings->contacts"].type_id == 1289


def test_a_link_with_labelled_associations_alone_is_missing(
    kind_sandbox: SandboxHandle, inspector: Inspector
) -> None:
    labels = [{"category": "USER_DEFINED", "typeId": 1301, "label": "Sponsor"}]
    path = "2-50158943/0-1/labels"
    kind_sandbox.fault("status", path=path, status=200, body={"results": labels})

    assert failures(inspector.look("default"))["bookings->contacts"].verdict is FindingKind.MISSING


def test_hubspots_own_unique_properties_take_no_room(
    kind_sandbox: SandboxHandle, inspector: Inspector
) -> None:
    path = "/crm/v3/properties/2-50158943"
    live = kind_sandbox.call("GET", path).body["results"]
    own = [
        {"name": f"hs_{number}", "type": "string", "hasUniqueValue": True, "hubspotDefined": True}
        for number in range(10)
    ]
    kind_sandbox.fault(
        "status", path="properties/.*2-50158943", status=200, body={"results": live + own}
    )

    assert failures(inspector.look("default")) == {}


def test_an_association_type_other_than_the_profiles_is_wrong(inspector: Inspector) -> None:
    profile = inspector.edited(("= 202", "= 203"))

    assert failures(inspector.look(profile))["notes->contacts"].verdict is FindingKind.WRONG


@pytest.mark.parametrize(
    ("version", "today", "verdict"),
    [
        ("2026-09", date(2026, 11, 23), FindingKind.OK),
        ("legacy", date(2026, 9, 1), FindingKind.OK),
        ("legacy", date(2026, 11, 23), FindingKind.WARNING),
        ("legacy", date(2027, 3, 30), FindingKind.WRONG),
        ("2026-03", date(2027, 9, 30), FindingKind.WRONG),
    ],
)
def test_an_api_version_is_warned_of_before_its_support_ends(
    version: ApiVersion, today: date, verdict: FindingKind
) -> None:
    assert version_finding(version, today).verdict is verdict
