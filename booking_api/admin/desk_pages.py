"""What the pages of the desk's rows have in common: who may have the desk look at something now."""

from __future__ import annotations

from typing import Final

from django.contrib import messages
from django.http import HttpRequest

from booking_api.admin.console_links import LinkingPage

FINISH_PERMISSION: Final = "booking_api.finish_bookings"


class DeskAdmin(LinkingPage):
    """What the desk's pages have in common: who may hurry it, and what they are told then."""

    def has_finish_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(FINISH_PERMISSION)

    def report(self, request: HttpRequest, due: int, selected: int) -> None:
        """Tell the user how many of the selected rows were made due, and how many were not."""
        if due > 0:
            rows = "1 row is" if due == 1 else f"{due} rows are"
            messages.success(request, f"{rows} taken up now; that takes a few seconds.")
        if selected > due:
            rows = "1 row was" if selected - due == 1 else f"{selected - due} rows were"
            messages.warning(
                request, f"{rows} left alone: nothing of it is waiting to be finished."
            )
