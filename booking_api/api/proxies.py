"""Who is calling, and how, where proxies stand between.

Anyone may write `X-Forwarded-For` and `X-Forwarded-Proto`; only what our own proxies, the settings'
TRUSTED_PROXIES, wrote is believed.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from functools import lru_cache

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from rest_framework.request import Request

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


def parse_address(text: str) -> IPAddress | None:
    try:
        return ipaddress.ip_address(text.strip())
    except ValueError:
        return None


def is_trusted(address: IPAddress, trusted: Iterable[str]) -> bool:
    return any(address in ipaddress.ip_network(network) for network in trusted)


def client_address(request: HttpRequest | Request) -> str:
    """Return who is calling, as something to count by."""
    return resolve_client(
        request.META.get("REMOTE_ADDR", ""),
        request.META.get("HTTP_X_FORWARDED_FOR", ""),
        tuple(settings.TRUSTED_PROXIES),
    )


# Asked more than once for each request, and mostly by the same callers.
@lru_cache(maxsize=4096)
def resolve_client(remote: str, forwarded_for: str, trusted: tuple[str, ...]) -> str:
    """`X-Forwarded-For` is written by anyone; it is read from its right end, and only as far as our
    own proxies wrote it. An IPv6 caller is its /64: one household has that many addresses."""
    address = parse_address(remote)
    forwarded = forwarded_for.split(",")
    while address is not None and is_trusted(address, trusted) and len(forwarded) > 0:
        previous = parse_address(forwarded.pop())
        if previous is None:
            break
        address = previous
    if address is None:
        return "unknown"
    if address.version == 6:
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


def public_url(request: HttpRequest, public_base_url: str) -> str:
    """Return the address that the caller called: under `public_base_url` where that is set, else by
    what the request says, and by what a proxy says only if it is one of ours."""
    host = request.get_host()
    peer = parse_address(request.META.get("REMOTE_ADDR", ""))
    forwarded = request.META.get("HTTP_X_FORWARDED_HOST", "")
    if forwarded != "" and peer is not None and is_trusted(peer, settings.TRUSTED_PROXIES):
        # The last one is the one that our own proxy wrote.
        host = forwarded.rpartition(",")[2].strip()
    base = public_base_url or f"{request.scheme}://{host}"
    # Signed is the target as it was sent, not as Django would write it. Only our own server has it.
    return f"{base}{request.META.get('RAW_URI') or request.get_full_path()}"


class ForwardedProtoMiddleware:
    """Takes `X-Forwarded-Proto` off what did not come by one of our proxies: Django itself believes
    the header whoever sent it, and would take plain HTTP for HTTPS."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if "HTTP_X_FORWARDED_PROTO" in request.META:
            peer = parse_address(request.META.get("REMOTE_ADDR", ""))
            if peer is None or not is_trusted(peer, settings.TRUSTED_PROXIES):
                del request.META["HTTP_X_FORWARDED_PROTO"]
        return self._get_response(request)
