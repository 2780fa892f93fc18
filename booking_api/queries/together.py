"""Questions of different kinds at the same time, each answer with its own type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, overload

from hubspot_sync.fan_out import FanOut

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")


@overload
def together(
    fan_out: FanOut, first: Callable[[], A], second: Callable[[], B], /
) -> tuple[A, B]: ...


@overload
def together(
    fan_out: FanOut,
    first: Callable[[], A],
    second: Callable[[], B],
    third: Callable[[], C],
    fourth: Callable[[], D],
    /,
) -> tuple[A, B, C, D]: ...


def together(fan_out: FanOut, /, *questions: Callable[[], Any]) -> tuple[Any, ...]:
    """Return the answers in the order of the questions; raise the first error of any."""
    return tuple(fan_out.run(questions))
