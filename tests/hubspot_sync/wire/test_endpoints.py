"""Every operation's address, in every version of the API."""

from __future__ import annotations

import pytest

from hubspot_sync.config import API_VERSIONS, ApiVersion
from hubspot_sync.wire.endpoints import ENDPOINTS, Effect, Operation
from tests.hubspot_sync.clients import BOOKINGS, CONTACTS
from tests.sandbox import SandboxHandle

LEGACY = {
    Operation.READ: ("GET", "/crm/v3/objects/2-50158943/"),
    Operation.BATCH_READ: ("POST", "/crm/v3/objects/2-50158943/batch/read"),
    Operation.BATCH_CREATE: ("POST", "/crm/v3/objects/2-50158943/batch/create"),
    Operation.BATCH_UPDATE: ("POST", "/crm/v3/objects/2-50158943/batch/update"),
    Operation.BATCH_ARCHIVE: ("POST", "/crm/v3/objects/2-50158943/batch/archive"),
    Operation.SEARCH: ("POST", "/crm/v3/objects/2-50158943/search"),
    Operation.ASSOCIATIONS_READ: ("POST", "/crm/v4/associations/2-50158943/0-1/batch/read"),
    Operation.ASSOCIATE: ("POST", "/crm/v4/associations/2-50158943/0-1/batch/associate/default"),
    Operation.LABELS: ("GET", "/crm/v4/associations/2-50158943/0-1/labels"),
    Operation.PROPERTIES_LIST: ("GET", "/crm/v3/properties/2-50158943"),
    Operation.PROPERTY_READ: ("GET", "/crm/v3/properties/2-50158943/0-1"),
    Operation.PROPERTY_CREATE: ("POST", "/crm/v3/properties/2-50158943"),
    Operation.SCHEMAS_LIST: ("GET", "/crm/v3/schemas"),
    Operation.TOKEN_INFO: ("POST", "/oauth/v2/private-apps/get/access-token-info"),
}


@pytest.mark.parametrize("operation", Operation)
def test_the_legacy_address(operation: Operation) -> None:
    endpoint = ENDPOINTS[operation]

    assert (endpoint.method, endpoint.path("legacy", BOOKINGS, CONTACTS)) == LEGACY[operation]


@pytest.mark.parametrize(
    ("operation", "path"),
    [
        (Operation.BATCH_READ, "/crm/objects/2026-09/2-50158943/batch/read"),
        (Operation.ASSOCIATIONS_READ, "/crm/associations/2026-09/2-50158943/0-1/batch/read"),
        (Operation.LABELS, "/crm/associations/2026-09/2-50158943/0-1/labels"),
        (Operation.PROPERTIES_LIST, "/crm/properties/2026-09/2-50158943"),
        (Operation.PROPERTY_READ, "/crm/properties/2026-09/2-50158943/0-1"),
        (Operation.SCHEMAS_LIST, "/crm-object-schemas/2026-09/schemas"),
    ],
)
def test_the_dated_address(operation: Operation, path: str) -> None:
    assert ENDPOINTS[operation].path("2026-09", BOOKINGS, CONTACTS) == path


@pytest.mark.parametrize("version", API_VERSIONS)
@pytest.mark.parametrize("operation", Operation)
def test_the_sandbox_knows_every_address(
    kind_sandbox: SandboxHandle, operation: Operation, version: ApiVersion
) -> None:
    endpoint = ENDPOINTS[operation]

    tail = "1" if operation is Operation.READ else ""

    answer = kind_sandbox.call(
        endpoint.method, endpoint.path(version, BOOKINGS, CONTACTS) + tail, {"inputs": []}
    )

    assert answer.status != 501


def test_only_what_makes_something_new_is_never_repeated() -> None:
    creates = {one for one in Operation if ENDPOINTS[one].effect is Effect.CREATE}

    assert creates == {Operation.BATCH_CREATE, Operation.PROPERTY_CREATE}


def test_a_strange_type_stays_inside_its_part_of_the_path() -> None:
    path = ENDPOINTS[Operation.SEARCH].path("legacy", "../0-1?x=/y")

    assert path == "/crm/v3/objects/..%2F0-1%3Fx%3D%2Fy/search"
