"""Who is calling, and how, where proxies stand between.

Anyone may write `X-Forwarded-For` and `X-Forwarded-Proto`; only what our own proxies, the settings'
TRUSTED_PROXIES, wrote is believed. `Forwarded` (RFC 7239) and `X-Real-IP` are never read: a proxy
that writes one header passes the others on as the client sent them, so only one may name clients.
"""

from __future__ import annotations

import ipaddress
import threading
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final

import structlog
from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from rest_framework.request import Request

from booking_api.ops.metrics import metrics

log = structlog.get_logger(__name__)

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

MAX_FORWARDED_CHARS: Final = 1024
"""How much of X-Forwarded-For is read, from its right end: what our own proxies wrote is there."""
IPV4_MAPPED: Final = ipaddress.IPv6Network("::ffff:0:0/96")
NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
"""RFC 6052: all of IPv4 as an IPv6-only host sees it, in a single /64."""
WARN_EVERY_S: Final = 600.0
FORWARDING_HEADERS: Final = {
    "HTTP_X_FORWARDED_FOR": "X-Forwarded-For",
    "HTTP_X_FORWARDED_PROTO": "X-Forwarded-Proto",
    "HTTP_X_FORWARDED_HOST": "X-Forwarded-Host",
    "HTTP_FORWARDED": "Forwarded",
    "HTTP_X_REAL_IP": "X-Real-IP",
}

UNTRUSTED: Final = "untrusted"
UNREAD: Final = "unread"
FORWARDED_KEY: Final = "booking_api.forwarded"
"""In a request's META where a stranger wrote a forwarding header, of which some are taken off."""


def parse_address(text: str) -> IPAddress | None:
    """Return the address in `text`, as proxies write them: with a port, in brackets or quotes, with
    a zone. An IPv4 address in IPv6 form, as a socket for both shows it, is that IPv4 address."""
    text = text.strip().strip('"').strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


@lru_cache(maxsize=16)
def parse_networks(networks: tuple[str, ...]) -> tuple[IPNetwork, ...]:
    """Return networks; one of IPv4 in IPv6 form is that IPv4 network."""
    return tuple(unmap_network(ipaddress.ip_network(network)) for network in networks)


def unmap_network(network: IPNetwork) -> IPNetwork:
    if isinstance(network, ipaddress.IPv6Network) and network.subnet_of(IPV4_MAPPED):
        mapped = network.network_address.ipv4_mapped
        return ipaddress.IPv4Network((int(mapped or 0), network.prefixlen - IPV4_MAPPED.prefixlen))
    return network


def is_trusted(address: IPAddress, trusted: tuple[str, ...]) -> bool:
    return any(address in network for network in parse_networks(trusted))


# Asked more than once for each request, and of few peers. What they send is no part of the key.
@lru_cache(maxsize=4096)
def is_trusted_peer(remote: str, trusted: tuple[str, ...]) -> bool:
    """Return whether a request's peer is one of the proxies whose word is believed."""
    address = parse_address(remote)
    return address is not None and is_trusted(address, trusted)


def client_address(request: HttpRequest | Request) -> str:
    """Return who is calling, as something to count by."""
    return address_in(request.META)


def address_in(meta: Mapping[str, Any]) -> str:
    """Return who is calling by a request's environ, as something to count by."""
    return resolve_client(
        meta.get("REMOTE_ADDR", ""),
        meta.get("HTTP_X_FORWARDED_FOR", ""),
        tuple(settings.TRUSTED_PROXIES),
    )


def find_caller(request: HttpRequest) -> IPAddress | None:
    """Return the address a request certainly came from, for deciding what it may do; None where a
    proxy that is not ours says that it came from elsewhere, or one of ours does not say from where.
    """
    remote, trusted = request.META.get("REMOTE_ADDR", ""), tuple(settings.TRUSTED_PROXIES)
    if not any(header in request.META for header in (*FORWARDING_HEADERS, FORWARDED_KEY)):
        return parse_address(remote)
    if not is_trusted_peer(remote, trusted):
        return None
    address = None
    for hop in reversed(request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")):
        address = parse_address(hop)
        if address is None or not is_trusted(address, trusted):
            return address
    return address


def resolve_client(remote: str, forwarded_for: str, trusted: tuple[str, ...]) -> str:
    """Return whom to count a request for, from its peer and its `X-Forwarded-For`: an IPv4 address,
    an IPv6 network (/64, as one household has that many addresses), or "unknown".

    Anyone may write the header; it is read from its right end, and only as far as proxies in
    `trusted`, the settings' TRUSTED_PROXIES, wrote it. Who a proxy says is unknown is that proxy.
    """
    if not is_trusted_peer(remote, trusted):
        return _resolve(remote, "", trusted)
    if len(forwarded_for) > MAX_FORWARDED_CHARS:
        # Half an address may be another's.
        forwarded_for = forwarded_for[-MAX_FORWARDED_CHARS:].partition(",")[2]
    return _resolve(remote, forwarded_for, trusted)


@lru_cache(maxsize=4096)
def _resolve(remote: str, forwarded_for: str, trusted: tuple[str, ...]) -> str:
    address = parse_address(remote)
    # RFC 9110, 5.6.1: empty elements of a list say nothing.
    hops = [hop for hop in forwarded_for.split(",") if hop.strip() != ""]
    while address is not None and is_trusted(address, trusted) and len(hops) > 0:
        previous = parse_address(hops.pop())
        if previous is None:
            break
        address = previous
    return "unknown" if address is None else describe_client(address)


def describe_client(address: IPAddress) -> str:
    if isinstance(address, ipaddress.IPv6Address):
        if address not in NAT64:
            return str(ipaddress.ip_network((address, 64), strict=False))
        return str(ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF))
    return str(address)


def describe_network(client: str) -> str:
    """Return the network around a peer or a client, for a log that names nobody: a /24 or a /48."""
    address = parse_address(client.partition("/")[0])
    if address is None:
        return "unknown"
    prefix = 24 if address.version == 4 else 48
    return str(ipaddress.ip_network((address, prefix), strict=False))


def public_url(request: HttpRequest, public_base_url: str) -> str:
    """Return the address that the caller called: under `public_base_url` where that is set, else by
    what the request says, and by what a proxy says only if it is one of ours."""
    host = request.get_host()
    remote = request.META.get("REMOTE_ADDR", "")
    forwarded = request.META.get("HTTP_X_FORWARDED_HOST", "")
    if forwarded != "" and is_trusted_peer(remote, tuple(settings.TRUSTED_PROXIES)):
        # The last one is the one that our own proxy wrote.
        host = forwarded.rpartition(",")[2].strip()
    base = public_base_url or f"{request.scheme}://{host}"
    # Signed is the target as it was sent, not as Django would write it. Only our own server has it.
    return f"{base}{request.META.get('RAW_URI') or request.get_full_path()}"


class ForwardingNotices:
    """Tells operators, once in a while, of proxies that all count as one client: those that say
    whom they pass on and are not named in TRUSTED_PROXIES, and those that say it in a header that
    is not read. Strangers can write the headers, too, and so cause both warnings."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._warns_again_at_s = 0.0

    def note(self, reason: str, remote: str, headers: list[str]) -> None:
        for header in headers:
            metrics().requests.observe_forwarding(reason, header)
        now_s = time.monotonic()
        with self._lock:
            if now_s < self._warns_again_at_s:
                return
            self._warns_again_at_s = now_s + WARN_EVERY_S
        log.warning(
            "forwarding_not_believed",
            reason=reason,
            peer=describe_network(remote),
            headers=headers,
            setting="TRUSTED_PROXIES",
        )


class ForwardedProtoMiddleware:
    """Takes `X-Forwarded-Proto` off what did not come by one of our proxies: Django itself believes
    the header whoever sent it, and would take plain HTTP for HTTPS."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response
        self._notices = ForwardingNotices()

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        self.take_off_untrusted(request)
        return self._get_response(request)

    def take_off_untrusted(self, request: HttpRequest) -> None:
        meta = request.META
        reason, headers = find_unbelieved(meta)
        if reason == UNTRUSTED:
            meta.pop("HTTP_X_FORWARDED_PROTO", None)
            meta[FORWARDED_KEY] = True
        if reason is not None:
            self._notices.note(reason, meta.get("REMOTE_ADDR", ""), headers)


def find_unbelieved(meta: Mapping[str, Any]) -> tuple[str | None, list[str]]:
    """Return which forwarding headers in a request's environ are not believed, and why; None and
    nothing where there is none."""
    sent = [name for key, name in FORWARDING_HEADERS.items() if key in meta]
    if len(sent) == 0:
        return None, []
    if not is_trusted_peer(meta.get("REMOTE_ADDR", ""), tuple(settings.TRUSTED_PROXIES)):
        return UNTRUSTED, sent
    unread = [name for name in sent if name in {"Forwarded", "X-Real-IP"}]
    if "HTTP_X_FORWARDED_FOR" in meta or len(unread) == 0:
        return None, []
    return UNREAD, unread
