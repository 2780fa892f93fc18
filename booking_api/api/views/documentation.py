"""The API's schema and its page; all the page loads is served from here."""

from __future__ import annotations

import threading
from typing import Any, ClassVar, Final

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.request import Request
from typing_extensions import override

KEPT_HEADERS: Final = ("Content-Type", "Content-Disposition")


class SchemaView(SpectacularAPIView):
    """The OpenAPI schema, made once in each of its formats: to make it takes a processor 50 ms, and
    anybody may ask. So it is the same for all, whatever version or language they name."""

    _made: ClassVar[dict[str, tuple[bytes, dict[str, str]]]] = {}
    # drf-spectacular finds its extensions at first use, and two threads that do so fail each other.
    _making: ClassVar[threading.Lock] = threading.Lock()

    @extend_schema(exclude=True)
    @override
    def get(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        media_type = request.accepted_renderer.media_type
        with self._making:
            if media_type not in self._made:
                self._made[media_type] = self._make(request)
        content, headers = self._made[media_type]
        return HttpResponse(content, headers=headers)

    def _make(self, request: Request) -> tuple[bytes, dict[str, str]]:
        response = self._get_schema_response(request)  # type: ignore[no-untyped-call]  # it has no types
        response.accepted_renderer = request.accepted_renderer
        response.accepted_media_type = request.accepted_renderer.media_type
        response.renderer_context = self.get_renderer_context()
        content: bytes = response.render().content
        return content, {name: response[name] for name in KEPT_HEADERS}

    @override
    def _get_version_parameter(self, request: Request) -> None:
        return None


class DocsView(SpectacularSwaggerSplitView):
    """The schema as a page; its script has an address of its own, which a strict policy allows."""

    url_name = "schema"
    url_self = "/api/docs"
    template_name = "documentation.html"
