"""How the schema is made, and which addresses it shows."""

from __future__ import annotations

from typing import Any

from drf_spectacular.openapi import AutoSchema
from typing_extensions import override

# Imported to be known: drf-spectacular finds what has been defined.
from booking_api.api.schema import extensions  # noqa: F401


class ApiSchema(AutoSchema):
    """drf-spectacular's, which also shows what the body of a DELETE is."""

    @override
    def _get_request_body(self, direction: Any = "request") -> Any:
        method = self.method
        # It knows no DELETE with a body.
        self.method = "POST" if method == "DELETE" else method
        try:
            return super()._get_request_body(direction)  # type: ignore[no-untyped-call]
        finally:
            self.method = method


def drop_unoffered_endpoints(endpoints: list[Any], **_: Any) -> list[Any]:
    """Leave out what is served but not offered: the slashed forms and the missing id."""
    return [row for row in endpoints if not row[0].endswith("/") and row[0] != "/api/bookings"]
