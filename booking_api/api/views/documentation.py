"""The API's schema and its page; all the page loads is served from here."""

from __future__ import annotations

from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView


class SchemaView(SpectacularAPIView):
    """The OpenAPI schema."""


class DocsView(SpectacularSwaggerView):
    """The schema as a page."""

    url_name = "schema"
