"""The change journal as a stranger reads it: plain calls, a token, files from their own address."""

from __future__ import annotations

import gzip
import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from tests.sandbox import Answer, SandboxHandle

CLIENT = {"client_id": "sandbox-client", "client_secret": "sandbox-client-secret"}
PORTAL_ID = 62515
SCOPES = (
    "developer.webhooks_journal.read",
    "developer.webhooks_journal.subscriptions.read",
    "developer.webhooks_journal.subscriptions.write",
)
ACTIONS = ["CREATE", "UPDATE", "DELETE", "MERGE", "RESTORE"]
LINK_ACTIONS = ["ASSOCIATION_ADDED", "ASSOCIATION_REMOVED"]


@dataclass(slots=True)
class JournalReader:
    """A reader of a sandbox's journal, with a token of its own."""

    sandbox: SandboxHandle
    version: str = "2026-09"
    token: str = ""

    def ask_for_token(
        self, *, path: str = "", query: str = "", json_body: bool = False, **changes: str
    ) -> Answer:
        form = {
            "grant_type": "client_credentials",
            **CLIENT,
            "scope": " ".join(SCOPES),
            **changes,
        }
        kind = "application/json" if json_body else "application/x-www-form-urlencoded"
        raw = json.dumps(form) if json_body else urlencode(form)
        path = path or f"/oauth/{self.version}/token"
        return _send(self.sandbox.base_url, "POST", path + query, raw, {"Content-Type": kind})

    def authenticate(self, **changes: str) -> None:
        self.token = self.ask_for_token(**changes).body["access_token"]

    def call(self, method: str, path: str, body: object = None) -> Answer:
        if not self.token:
            self.authenticate()
        return self.sandbox.call(method, path, body, token=self.token)

    def entries(self, tail: str, *, journal: str = "journal-local") -> Answer:
        path = f"/webhooks-journal/{journal}/{self.version}{tail}?installPortalId={PORTAL_ID}"
        return self.call("GET", path)

    def read_again(self, *offsets: str) -> Answer:
        path = f"/webhooks-journal/journal-local/{self.version}/batch/read"
        return self.call("POST", path, {"inputs": list(offsets)})

    def subscribe(self, **body: Any) -> Answer:
        return self.call("POST", self.subscriptions(), {"portalId": PORTAL_ID, **body})

    def subscribe_to_object(self, object_type: str, *properties: str, **more: Any) -> Answer:
        body = {"subscriptionType": "OBJECT", "actions": ACTIONS, "properties": list(properties)}
        return self.subscribe(**{**body, "objectTypeId": object_type, **more})

    def subscribe_to_links(self, from_type: str, to_type: str, **more: Any) -> Answer:
        body = {
            "subscriptionType": "ASSOCIATION",
            "actions": LINK_ACTIONS,
            "objectTypeId": from_type,
            "associatedObjectTypeIds": [to_type],
        }
        return self.subscribe(**{**body, **more})

    def subscriptions(self, tail: str = "") -> str:
        return f"/webhooks-journal/subscriptions/{self.version}{tail}"

    def file(self, entry: Mapping[str, Any], **headers: str) -> Answer:
        parts = urlsplit(entry["url"])
        base_url = f"{parts.scheme}://{parts.netloc}"
        return _send(base_url, "GET", f"{parts.path}?{parts.query}", None, headers)

    def all_events(self) -> list[dict[str, Any]]:
        """Every event of every file, from the earliest on."""
        answer = self.entries("/batch/earliest/100")
        listed = answer.body["results"] if answer.status == 200 else []
        files = [self.file(entry).body for entry in listed]
        return [event for file in files for event in file["journalEvents"]]


def _send(
    base_url: str, method: str, target: str, raw: str | None, headers: Mapping[str, str]
) -> Answer:
    connection = http.client.HTTPConnection(urlsplit(base_url).netloc, timeout=60)
    try:
        connection.request(method, target, raw, dict(headers))
        response = connection.getresponse()
        content = response.read()
    finally:
        connection.close()
    named = {name.lower(): value for name, value in response.getheaders()}
    if named.get("content-encoding") == "gzip":
        content = gzip.decompress(content)
    is_json = "json" in named.get("content-type", "")
    return Answer(response.status, named, json.loads(content) if is_json and content else content)
