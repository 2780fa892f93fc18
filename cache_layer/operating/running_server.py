"""Asking the running server to compare its cache, for a command that cannot see it from outside."""

from __future__ import annotations

import json
from argparse import ArgumentTypeError
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request

from cache_layer.operating.direct_requests import open_directly

PATH = "/api/cron/validate-cache-consistency"
MAX_SILENCE_S = 3600.0


class ServerUnavailable(Exception):
    """The server gave no report; the message says why, for a person."""


def parse_server_url(text: str) -> str:
    """Return a server's address, of a command line, without a slash at its end; raise
    ArgumentTypeError where no server can be asked there."""
    try:
        parts = urlsplit(text)
        is_server = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a bracket that is not closed, a port beyond 65535
        is_server = False
    if not is_server or any(mark in text for mark in "?#"):
        raise ArgumentTypeError(f"{text!r} is no server's address; it wants http://host:port")
    return text.rstrip("/")


def validate_on_server(
    url: str, authorization: str, asked: dict[str, Any], *, max_silence_s: float = MAX_SILENCE_S
) -> dict[str, Any]:
    """Return the report of the server at `url`, as `parse_server_url` gives it; raises
    ServerUnavailable. All of a full cache takes long, so the answer is waited for up to
    `max_silence_s` without a sign of life."""
    headers = {"Content-Type": "application/json"}
    if authorization:
        headers["Authorization"] = authorization
    request = Request(  # noqa: S310 - http and https alone, see above
        url + PATH, data=json.dumps(asked).encode(), headers=headers, method="POST"
    )
    try:
        with open_directly(request, timeout_s=max_silence_s) as response:
            body = json.load(response)
        report: dict[str, Any] = body["data"]
    except HTTPError as error:
        raise ServerUnavailable(_describe_refusal(error)) from error
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise ServerUnavailable(f"No server answers at {url}: {reason}.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ServerUnavailable(f"What answers at {url} is not this API.") from error
    return report


def _describe_refusal(error: HTTPError) -> str:
    """Return what the server said, and what would help."""
    try:
        said = json.load(error)["error"]
    except (ValueError, KeyError, TypeError, OSError):
        said = f"status {error.code}"
    help_ = " Set CRON_SECRET as the server has it, or give --token." if error.code == 401 else ""
    return f"The server refused: {said}{help_}"
