"""How much one caller may do in any period, counted in a window that moves with the time."""

from __future__ import annotations

from booking_api.api.windows.accounts import Take
from booking_api.api.windows.sliding_window import SlidingWindow, forget_windows

__all__ = ["SlidingWindow", "Take", "forget_windows"]
