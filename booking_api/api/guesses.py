"""How fast secrets may be guessed: the scheduler's, staff's tokens, passwords of the admin.

A wrong one is counted by the address that sent it, and above the rate it is told to wait. A right
cron secret or token is still let in then: it is compared in constant time, and somebody else behind
the same address must not lock the scheduler out. So that nobody guesses at full speed for it, above
FLOOD_FACTOR times the rate nothing from an address is compared at all, except where the right one
came from there within the last RIGHT_FOR_S.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

import structlog
from django.conf import settings
from django.http import HttpRequest
from rest_framework.exceptions import AuthenticationFailed, Throttled
from rest_framework.request import Request

from booking_api.api.proxies import client_address, describe_network
from booking_api.api.throttling import window_of
from booking_api.api.windows import SlidingWindow, Take

FLOOD_FACTOR: Final = 10
RIGHT_FOR_S: Final = 30 * 86_400
EVERYWHERE: Final = "everywhere"

T = TypeVar("T")
log = structlog.get_logger(__name__)


def flood_window_of(scope: str) -> SlidingWindow:
    rate = settings.THROTTLE_RATES[scope]
    wide = None if rate is None else (rate[0] * FLOOD_FACTOR, rate[1])
    return SlidingWindow(f"{scope}_flood", wide)


def was_right_lately(address: str, kind: str) -> bool:
    return SlidingWindow("right_secrets", (1, RIGHT_FOR_S)).count(f"{address} {kind}") > 0


def remember_right(address: str, kind: str) -> None:
    SlidingWindow("right_secrets", (1, RIGHT_FOR_S)).add(f"{address} {kind}")


def log_wrong(kind: str, address: str) -> None:
    """Log one, whose address no log may name."""
    log.warning("wrong_secret", kind=kind, network=describe_network(address))


def check_secret(request: HttpRequest | Request, kind: str, check: Callable[[], T]) -> T:
    """Return what `check` makes of the secret of a request; raise its AuthenticationFailed, and
    Throttled instead once too many came from there."""
    address = client_address(request)
    flood = flood_window_of("failed_secrets").take(address)
    if not flood.granted and not was_right_lately(address, kind):
        raise Throttled(flood.retry_after_s)
    try:
        answer = check()
    except AuthenticationFailed as wrong:
        taken = window_of("failed_secrets").take(address)
        if not taken.granted:
            raise Throttled(taken.retry_after_s) from wrong
        log_wrong(kind, address)
        raise
    except Exception:
        flood.give_back()
        raise
    flood.give_back()
    remember_right(address, kind)
    return answer


@dataclass(frozen=True, slots=True)
class LoginAttempt:
    """A try at a password of the admin, counted before it is compared, so that a burst gets no
    further than one after the other.

    Passwords are people's own choice. Whoever has used up the tries from one address is refused
    there, right or wrong; from other addresses the user still gets in. Only where tries come from
    very many addresses is it asked whether the user has been let in from this one before."""

    address: str
    kind: str
    takes: tuple[Take, ...]

    @property
    def granted(self) -> bool:
        return all(take.granted for take in self.takes)

    @property
    def retry_after_s(self) -> float:
        return max(take.retry_after_s for take in self.takes)

    def give_back(self) -> None:
        for take in self.takes:
            take.give_back()

    def count_right(self) -> None:
        self.give_back()
        remember_right(self.address, self.kind)

    def count_wrong(self) -> None:
        log_wrong("login", self.address)


def take_login_attempt(request: HttpRequest, username: str) -> LoginAttempt:
    """Return an attempt that is counted if it is granted, and not if it is refused."""
    address = client_address(request)
    # The spellings that Django takes for one user, and some more.
    name = unicodedata.normalize("NFKC", username).strip().casefold()
    kind = f"login {name}"
    takes = [
        window_of("failed_logins").take(f"{address} {name}"),
        window_of("failed_secrets").take(f"{address} login"),
    ]
    if not was_right_lately(address, kind):
        takes.append(flood_window_of("failed_logins").take(f"{EVERYWHERE} {name}"))
    attempt = LoginAttempt(address, kind, tuple(takes))
    if not attempt.granted:
        attempt.give_back()
    return attempt
