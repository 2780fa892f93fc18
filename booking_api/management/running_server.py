"""Telling a running server what a command has changed.

A cache in Redis has heard of it already. One in a server's own memory has not: that server is asked
to compare what it holds with HubSpot, which takes away what is wrong.
"""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Collection
from typing import Any

from booking_api import composition
from cache_layer.operating.running_server import (
    ServerUnavailable,
    parse_server_url,
    validate_on_server,
)

LOCAL_URL = "http://127.0.0.1:8000"


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--url",
        type=parse_server_url,
        default=LOCAL_URL,
        help="the server to be told, if its cache is its own",
    )
    parser.add_argument("--token", default="", help="a staff member's, instead of CRON_SECRET")


def tell_server(options: dict[str, Any], secret: str, families: Collection[str]) -> str:
    """Have the server compare these families; return a sentence for the operator. `secret` is the
    setting's: of several the first is sent."""
    secret = secret.partition(",")[0].strip()
    built = composition.services()
    if built.cached.cache.backend.shared:
        return "Every server shows it now."
    authorization = f"Token {options['token']}" if options["token"] else f"Bearer {secret}"
    removed = 0
    try:
        for family in families:
            asked = {"all": True, "repair": True, "family": family}
            removed += validate_on_server(options["url"], authorization, asked)["repaired"]
    except ServerUnavailable as error:
        catalogue = built.cached.cache.catalogue
        max_ttl_s = max(catalogue.family(name).ttl_s for name in families)
        return (
            f"{error} A server that runs elsewhere shows it when its cached entries have run out, "
            f"in at most {max_ttl_s / 60:.0f} minutes."
        )
    return f"The server at {options['url']} shows it now ({removed} cached entries were wrong)."
