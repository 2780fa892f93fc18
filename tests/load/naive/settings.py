"""The application's settings with the old system behind its addresses."""

from __future__ import annotations

from booking_api.settings import *  # noqa: F403 - all of them

ROOT_URLCONF = "tests.load.naive.urls"
