"""HubSpot as a stranger reaches it: the official client, and plain calls, in either path family.

The official client knows the legacy addresses alone; for the dated family its addresses are
rewritten on the way out, and nothing else of it is touched.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from hubspot import HubSpot
from hubspot.crm.objects.exceptions import ApiException

from tests.sandbox import TOKEN, Answer, SandboxHandle

BOOKINGS, EXAMS, CONTACTS, NOTES = "2-50158943", "2-50158913", "0-1", "0-46"
LEGACY = "legacy"
FAMILIES = (LEGACY, "2026-09")
OPERATIONS = {
    "objects": ("/crm/v3/objects", "/crm/objects/{version}"),
    "associations": ("/crm/v4/associations", "/crm/associations/{version}"),
    "links": ("/crm/v4/objects", "/crm/objects/{version}"),
    "properties": ("/crm/v3/properties", "/crm/properties/{version}"),
    "schemas": ("/crm/v3/schemas", "/crm-object-schemas/{version}/schemas"),
}
# The official client writes schemas as crm-object-schemas/v3, unlike the documentation's table.
OFFICIAL_SCHEMAS = "/crm-object-schemas/v3/schemas"


@dataclass(slots=True)
class Hub:
    """One portal over one family of paths."""

    sandbox: SandboxHandle
    family: str
    client: HubSpot = field(init=False)
    _opened: list[Any] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self.client = self.official()

    def official(self, token: str = TOKEN) -> HubSpot:
        return HubSpot(access_token=token, api_factory=self._open)

    def path(self, operation: str, rest: str, *, family: str | None = None) -> str:
        """The address of an operation: `path("objects", "0-1/batch/read")`."""
        legacy, dated = OPERATIONS[operation]
        chosen = family or self.family
        base = legacy if chosen == LEGACY else dated.format(version=chosen)
        return f"{base}/{rest}" if rest else base

    def call(self, method: str, operation: str, rest: str, body: object = None) -> Answer:
        return self.sandbox.call(method, self.path(operation, rest), body)

    def read(
        self, object_type: str, ids: Iterable[str], properties: Iterable[str] = (), **more: Any
    ) -> Answer:
        body = {"inputs": [{"id": each} for each in ids], "properties": list(properties), **more}
        return self.call("POST", "objects", f"{object_type}/batch/read", body)

    def search(self, object_type: str, **body: Any) -> Answer:
        return self.call("POST", "objects", f"{object_type}/search", body)

    def create(self, object_type: str, *inputs: Mapping[str, Any]) -> Answer:
        body = {"inputs": list(inputs)}
        return self.call("POST", "objects", f"{object_type}/batch/create", body)

    def associated(self, from_type: str, to_type: str, *inputs: Mapping[str, Any]) -> Answer:
        body = {"inputs": list(inputs)}
        return self.call("POST", "associations", f"{from_type}/{to_type}/batch/read", body)

    def bookings(self, number: int, **properties: str) -> list[str]:
        """That many bookings, loaded an hour ago; returns their ids."""
        given = [{"name": f"B{n:05}", **properties} for n in range(number)]
        return self.sandbox.bulk([{"type": BOOKINGS, "properties": each} for each in given])

    def type_id(self, from_type: str, to_type: str) -> int:
        """The id of the plain association, as the labels endpoint gives it."""
        answer = self.call("GET", "associations", f"{from_type}/{to_type}/labels")
        (plain,) = [each for each in answer.body["results"] if each["label"] is None]
        return int(plain["typeId"])

    def close(self) -> None:
        for client in self._opened:
            client.rest_client.pool_manager.clear()

    def _open(self, package: Any, api_name: str, config: Mapping[str, Any]) -> Any:
        configuration = package.Configuration()
        configuration.access_token = config["access_token"]
        configuration.host = self.sandbox.base_url
        configuration.retries = False
        client = package.ApiClient(configuration=configuration)
        client.rest_client.request = self._readdressed(client.rest_client.request)
        self._opened.append(client)
        return getattr(package, api_name)(api_client=client)

    def _readdressed(self, request: Any) -> Any:
        addresses = [(legacy, dated) for legacy, dated in OPERATIONS.values()]
        addresses.append((OFFICIAL_SCHEMAS, OPERATIONS["schemas"][1]))

        def send(method: str, url: str, **more: Any) -> Any:
            for legacy, dated in addresses if self.family != LEGACY else ():
                url = url.replace(legacy + "/", dated.format(version=self.family) + "/")
                if url.endswith(legacy):
                    url = url.removesuffix(legacy) + dated.format(version=self.family)
            return request(method, url, **more)

        return send


@contextmanager
def connected(sandbox: SandboxHandle, family: str) -> Iterator[Hub]:
    hub = Hub(sandbox, family)
    try:
        yield hub
    finally:
        hub.close()


def said(error: ApiException) -> dict[str, Any]:
    """What a typed error of the official client carries as JSON."""
    body: dict[str, Any] = json.loads(error.body)
    return body
