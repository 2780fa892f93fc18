"""The API's schema and its page; all the page loads is served from here."""

from __future__ import annotations

from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView


class SchemaView(SpectacularAPIView):
    """The OpenAPI schema."""


class DocsView(SpectacularSwaggerSplitView):
    """The schema as a page; its script has an address of its own, which a strict policy allows."""

    url_name = "schema"
    url_self = "/api/docs"
    template_name = "documentation.html"
