"""What a request is called by: as its caller says, or by chance."""

from __future__ import annotations

import os
import re
from typing import Final

REQUEST_ID_PATTERN: Final = re.compile(r"[A-Za-z0-9._-]{1,128}")
ID_BYTES: Final = 16
IDS_AT_ONCE: Final = 256


class RandomIds:
    """Random ids, of which the system is asked for many at once: to ask it, a thread lets go of
    the interpreter, and may wait for all others to get it back."""

    def __init__(self) -> None:
        self._ready: list[str] = []
        # Two processes would go on with the same ones.
        os.register_at_fork(after_in_child=self._ready.clear)

    def take(self) -> str:
        """Return an id that nobody else gets."""
        try:
            return self._ready.pop()
        except IndexError:
            written = os.urandom(ID_BYTES * IDS_AT_ONCE).hex()
            length = 2 * ID_BYTES
            made = [written[at : at + length] for at in range(0, len(written), length)]
            self._ready += made[1:]
            return made[0]


random_ids: Final = RandomIds()


def choose_request_id(header: str | None) -> str:
    """Return the caller's id where it is sane, otherwise a new one."""
    if header is not None and REQUEST_ID_PATTERN.fullmatch(header) is not None:
        return header
    return random_ids.take()
