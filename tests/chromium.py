"""The browser that tests start: a Chromium that draws no window."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pytest
from playwright.sync_api import Browser, sync_playwright

# The first is the same engine without the rest of a browser; a page costs it a quarter of the time.
CHROMIUM: Final = shutil.which("chromium-headless-shell") or shutil.which("chromium")
PROMISED: Final = "BROWSER_PROMISED" in os.environ
FLAGS: Final = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
]

browser_marks = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None and not PROMISED, reason="no chromium here"),
]
"""What a test that needs it is marked with."""


@contextmanager
def running_chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield launched
        launched.close()
