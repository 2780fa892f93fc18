"""The exams in the console: their seats, how true those are, and what can be done about it."""

from __future__ import annotations

from booking_api.admin.exams import page, records

__all__ = ["page", "records"]
