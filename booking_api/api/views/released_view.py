"""Views of which nothing is left once they have answered.

DRF's view holds its request, whose parser's context holds the view; it holds its answer, which
names the view to its renderer; and a view set holds its own methods. Such a circle stays until the
collector comes by, and with it the body and the answer of its request: thousands of them, in memory
that other things have then grown around.
"""

from __future__ import annotations

from typing import Any

from django.http.response import HttpResponseBase
from rest_framework.views import APIView
from typing_extensions import override


class ReleasedView(APIView):
    """Lets go of what it has once it has answered; rendering, which comes after, asks nothing of
    it."""

    @override
    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> HttpResponseBase:
        response = super().dispatch(request, *args, **kwargs)
        parser_context: dict[str, Any] = self.request.parser_context
        parser_context.clear()
        vars(self).clear()
        return response
