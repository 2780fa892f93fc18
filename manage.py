#!/usr/bin/env python
"""Django's command line."""

from __future__ import annotations

import gc
import os
import signal
import sys

STOPPED_BY_CTRL_C = 128 + signal.SIGINT


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "booking_api.settings")
    # Until Django is set up (booking_api/apps.py): of what is loaded nothing is garbage, and the
    # collector would look through all of it again and again.
    gc.disable()
    try:
        run()
    except KeyboardInterrupt:
        # Nobody who presses it wants to read where that was.
        sys.exit(STOPPED_BY_CTRL_C)


def run() -> None:
    # Loading Django takes the first moments, in which Ctrl-C may come.
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line
    from django.db.utils import OperationalError

    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit(f"Cannot start: {error}")
    except OperationalError as error:
        reason = " ".join(str(error).split())
        sys.exit(f"Cannot start: the database of DATABASE_URL cannot be used: {reason}")


if __name__ == "__main__":
    main()
