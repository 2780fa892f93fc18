"""What a browser may do with our answers: `Content-Security-Policy` and `Permissions-Policy`.

An answer that is no page may do nothing and be framed by nobody. A page may load what this server
serves; what stands in the page itself only with the nonce of its answer.
"""

from __future__ import annotations

from typing import Any

from csp.constants import HEADER, NONCE, NONE, SELF
from csp.middleware import CSPMiddleware, PolicyParts
from django.http import HttpRequest, HttpResponseBase
from typing_extensions import override

NOTHING = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
PERMISSIONS = "camera=(), geolocation=(), microphone=(), payment=(), usb=()"
ADMIN = "/admin/"

PAGES: dict[str, list[Any]] = {
    "default-src": [NONE],
    "base-uri": [NONE],
    "connect-src": [SELF],
    "font-src": [SELF],
    "form-action": [SELF],
    "frame-ancestors": [NONE],
    "img-src": [SELF, "data:"],
    "script-src": [SELF],
    "style-src": [SELF, NONCE],
}
# Nothing stands in the console's pages but what they say: its scripts and styles are files.
ADMIN_PAGES = PAGES | {"img-src": [SELF], "style-src": [SELF]}


class ContentPolicyMiddleware(CSPMiddleware):
    """django-csp's, for pages alone: for each of the many other answers it would build a policy
    anew that is always the same."""

    @override
    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        response["Permissions-Policy"] = PERMISSIONS
        if not response.get("Content-Type", "").startswith("text/html"):
            response.headers.setdefault(HEADER, NOTHING)
            return response
        return super().process_response(request, response)

    @override
    def get_policy_parts(
        self, request: HttpRequest, response: HttpResponseBase, report_only: bool = False
    ) -> PolicyParts:
        if report_only:
            return PolicyParts()
        policy: Any = ADMIN_PAGES if request.path.startswith(ADMIN) else PAGES
        return PolicyParts(config=policy, nonce=vars(request).get("_csp_nonce"))
