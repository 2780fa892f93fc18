"""Calls to HubSpot that a test watches: what is to happen around each sending, on the real wire."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter

MAX_CONNECTIONS = 50

Watch = Callable[[PreparedRequest], AbstractContextManager[None]]
"""Around one sending: before it, and after it took effect but before its answer is seen."""


class WatchedSender(HTTPAdapter):
    """Sends as the client's own does, inside what everybody wants who watches at that time."""

    def __init__(self) -> None:
        super().__init__(
            pool_connections=1, pool_maxsize=MAX_CONNECTIONS, max_retries=0, pool_block=True
        )
        self._watches: tuple[Watch, ...] = ()

    def watch(self, watch: Watch) -> None:
        """Have all calls from now on inside `watch`."""
        self._watches += (watch,)

    @contextmanager
    def watched(self, watch: Watch) -> Iterator[None]:
        """Inside the block, have calls inside `watch`."""
        self.watch(watch)
        try:
            yield
        finally:
            self._watches = tuple(each for each in self._watches if each is not watch)

    def send(self, request: PreparedRequest, *arguments: Any, **options: Any) -> Response:
        with ExitStack() as around:
            for watch in self._watches:
                around.enter_context(watch(request))
            return super().send(request, *arguments, **options)
