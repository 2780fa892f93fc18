"""The console: the booking desk in Django's admin, and who may call the API.

Who may view the rows sees them; nobody changes them. Lists show ids alone; what names a person is
in the details, for holders of `cache.view_personal_data`. Django finds the pages by this import.
"""

from __future__ import annotations

from booking_api.admin import follow_ups, journal, leases, outbox, staff, tokens

__all__ = ["follow_ups", "journal", "leases", "outbox", "staff", "tokens"]
