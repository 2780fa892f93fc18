"""What happens when Django is set up."""

from __future__ import annotations

import gc

from django.apps import apps


def test_garbage_is_collected_once_everything_is_loaded() -> None:
    """manage.py has the collector rest until then."""
    gc.disable()
    try:
        apps.get_app_config("booking_api").ready()

        assert gc.isenabled()
    finally:
        gc.enable()
