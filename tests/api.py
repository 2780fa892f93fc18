"""The API as tests call it: through Django's whole stack, against the sandbox as its HubSpot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

import orjson
from django.core.cache import caches
from django.test import Client
from django.urls import Resolver404, resolve
from pytest_django import Settings

from booking_api import composition
from booking_api.api.errors import STATUS_OF_CODE
from booking_api.api.schema.operations import operation_of
from booking_api.api.windows import forget_windows
from cache_layer import CacheConfig
from hubspot_sync.config import ApiVersion, HubSpotConfig
from tests.sandbox import SandboxHandle

METHODS = ("get", "post", "patch", "delete")


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: status, JSON (None where it is none), headers."""

    status: int
    body: Any
    headers: Mapping[str, str]

    @property
    def code(self) -> str:
        return str(self.body["code"])

    @property
    def data(self) -> Any:
        assert self.status in {200, 201}, self.body
        return self.body["data"]


@dataclass(slots=True)
class Api:
    """Calls the API; exceptions come out as answers, as a server would give them."""

    client: Client = field(default_factory=lambda: Client(raise_request_exception=False))

    def get(self, path: str, headers: Mapping[str, str] | None = None, **query: Any) -> Reply:
        return self.send("GET", path, query=query, headers=headers)

    def post(self, path: str, **body: Any) -> Reply:
        return self.send("POST", path, body=orjson.dumps(body))

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: bytes = b"",
        content_type: str = "application/json",
        headers: Mapping[str, str] | None = None,
        **environ: str,
    ) -> Reply:
        response = self.client.generic(
            method,
            path,
            body,
            content_type=content_type,
            query_params=query,
            headers=headers,
            **environ,
        )
        content = b"".join(response) if response.streaming else response.content
        is_json = response.headers.get("Content-Type", "").startswith("application/json")
        reply = Reply(
            status=response.status_code,
            body=orjson.loads(content) if is_json and content else content or None,
            headers=response.headers,
        )
        assert_code_is_documented(method, path, reply)
        return reply


def assert_code_is_documented(method: str, path: str, reply: Reply) -> None:
    """Fail where an operation answers with a code that the schema does not name for it: whatever
    any test provokes is held against the schema."""
    if not isinstance(reply.body, Mapping) or "code" not in reply.body:
        return
    try:
        view: Any = resolve(urlsplit(unquote(path)).path).func
    except Resolver404:
        return
    if method.lower() not in getattr(view, "initkwargs", {}).get("http_method_names", METHODS):
        return
    operation = operation_of(getattr(view, "cls", None), getattr(view, "actions", None), method)
    if operation is None:
        return
    assert reply.code in operation.codes, f"{operation.id} does not document {reply.code}"
    assert reply.status == STATUS_OF_CODE[reply.code]


@contextmanager
def connected(
    settings: Settings,
    sandbox: SandboxHandle,
    *,
    portal: str = "default",
    cache: CacheConfig | None = None,
    api_version: ApiVersion = "2026-09",
    **hubspot: Any,
) -> Iterator[Api]:
    """Point the application at the sandbox, with nothing remembered from before."""
    composition.close()
    for django_cache in caches.all():
        django_cache.clear()
    forget_windows()
    settings.HUBSPOT = HubSpotConfig(
        base_url=sandbox.base_url, token=sandbox.token, api_version=api_version, **hubspot
    )
    settings.HUBSPOT_PORTAL = portal
    settings.CACHE = cache if cache is not None else CacheConfig()
    yield Api()
    composition.close()
