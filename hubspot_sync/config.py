"""How this process reaches HubSpot: address, token, limits, time-outs; bad values are refused."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import Final, Literal, get_args
from urllib.parse import urlsplit

from hubspot_sync.errors import ConfigurationError

ApiVersion = Literal["2026-09", "2026-03", "legacy"]
API_VERSIONS: tuple[ApiVersion, ...] = get_args(ApiVersion)

MAX_SEARCH_LAG_S = 3_600
MAX_POOL_SIZE = 10_000
MAX_ATTEMPTS = 100


@dataclass(frozen=True, kw_only=True)
class HubSpotConfig:
    """Everything the transport needs to know; durations in seconds.

    `requests_per_window` and `window_s` are the app's rolling limit, `searches_per_second` the
    account's search limit, `daily_limit` the account's daily cap (hubspot-facts: 190 per 10 s,
    5 a second, 650 000). `background_share` is the part of window, searches and day that work
    nobody is waiting for may use, `anonymous_share` the part for questions that anybody may ask;
    `reserved_share` is kept for people who have proved who they are and for the booking desk,
    `desk_share` of it for the desk alone, and for looking up who wants it to do something.
    `search_lag_s` is how long
    search, and the links between records, may lag behind what webhooks tell.
    `request_deadline_s` is how long a person's request may take in all. `pool_size` is how many
    calls may be under way at once; of that, too, everybody has their share. Half of forty lets
    anybody's question have two thousand records read in one round trip.

    A HubSpot that hangs costs whole time-outs until `breaker_failures` calls in a row have failed,
    and few are under way, because callers share them. Five calls with a time-out of ten seconds,
    each tried twice, open the circuit before the first request's deadline has passed.
    """

    base_url: str = "https://api.hubapi.com"
    token: str = field(default="", repr=False)
    api_version: ApiVersion = "2026-09"
    requests_per_window: int = 190
    window_s: float = 10.0
    searches_per_second: int = 5
    daily_limit: int = 650_000
    background_share: float = 0.5
    anonymous_share: float = 0.5
    reserved_share: float = 0.25
    desk_share: float = 0.15
    search_lag_s: float = 60.0
    connect_timeout_s: float = 3.0
    read_timeout_s: float = 10.0
    request_deadline_s: float = 25.0
    pool_size: int = 40
    max_attempts: int = 4
    breaker_failures: int = 5
    breaker_cooldown_s: float = 2.0

    @property
    def budget_name(self) -> str:
        """Whoever has another token, or asks another HubSpot, has another budget."""
        whose = f"{self.base_url} {self.token}"
        return hashlib.sha256(whose.encode()).hexdigest()[:12]

    def __post_init__(self) -> None:
        parts = urlsplit(self.base_url)
        if parts.scheme not in {"http", "https"} or not parts.netloc:
            raise ConfigurationError(
                f"HUBSPOT_BASE_URL must be an http(s) address, not {self.base_url!r}."
            )
        if re.fullmatch(r"[!-~]*", self.token) is None:
            raise ConfigurationError(
                "HS_PRIVATE_APP_TOKEN must have no blanks or line ends, and only letters, digits "
                "and signs of ASCII: it does not fit into a header."
            )
        if self.api_version not in API_VERSIONS:
            raise ConfigurationError(
                f"HUBSPOT_API_VERSION must be one of {', '.join(API_VERSIONS)}, "
                f"not {self.api_version!r}."
            )
        self._check_shares()
        if not 0 <= self.search_lag_s <= MAX_SEARCH_LAG_S:
            raise ConfigurationError(
                f"HUBSPOT_SEARCH_LAG_S must be from 0 to {MAX_SEARCH_LAG_S}, "
                f"not {self.search_lag_s}."
            )
        positive = {
            "HUBSPOT_RATE_LIMIT": self.requests_per_window,
            "HUBSPOT_RATE_WINDOW_S": self.window_s,
            "HUBSPOT_SEARCH_RATE": self.searches_per_second,
            "HUBSPOT_DAILY_LIMIT": self.daily_limit,
            "HUBSPOT_CONNECT_TIMEOUT_S": self.connect_timeout_s,
            "HUBSPOT_READ_TIMEOUT_S": self.read_timeout_s,
            "REQUEST_DEADLINE_S": self.request_deadline_s,
            "HUBSPOT_POOL_SIZE": self.pool_size,
            "HUBSPOT_MAX_ATTEMPTS": self.max_attempts,
            "HUBSPOT_BREAKER_FAILURES": self.breaker_failures,
            "HUBSPOT_BREAKER_COOLDOWN_S": self.breaker_cooldown_s,
        }
        for name, value in positive.items():
            if value <= 0:
                raise ConfigurationError(f"{name} must be above 0, not {value}.")
        if self.pool_size > MAX_POOL_SIZE:
            raise ConfigurationError(
                f"HUBSPOT_POOL_SIZE must be at most {MAX_POOL_SIZE}, not {self.pool_size}."
            )
        if self.max_attempts > MAX_ATTEMPTS:
            raise ConfigurationError(
                f"HUBSPOT_MAX_ATTEMPTS must be at most {MAX_ATTEMPTS}, not {self.max_attempts}."
            )

    def _check_shares(self) -> None:
        shares = {
            "HUBSPOT_BACKGROUND_SHARE": self.background_share,
            "HUBSPOT_ANONYMOUS_SHARE": self.anonymous_share,
        }
        for name, share in shares.items():
            if not 0 < share <= 1:
                raise ConfigurationError(f"{name} must be above 0 and at most 1, not {share}.")
        if not 0 <= self.reserved_share < 1:
            raise ConfigurationError(
                f"HUBSPOT_RESERVED_SHARE must be 0 or more and below 1, not {self.reserved_share}."
            )
        if not 0 <= self.desk_share <= self.reserved_share:
            raise ConfigurationError(
                "HUBSPOT_DESK_SHARE must be 0 or more and at most HUBSPOT_RESERVED_SHARE "
                f"({self.reserved_share}), not {self.desk_share}."
            )


MIN_FILE_BYTES: Final = 1_048_576


@dataclass(frozen=True, kw_only=True)
class JournalConfig:
    """How the change journal is reached: the app whose journal it is, the portal it tells of.

    Without `client_id`, `client_secret` and `portal_id` there is no journal to follow (`is_set`).
    `max_file_bytes` bounds one of its files, on the wire and decompressed; hubspot-facts: 5 MB.
    `allow_private_files` lets files come over plain HTTP and from addresses of private networks,
    for the sandbox. `hears_of_all_objects` says that a subscription which names no objects was seen
    to hear of all of them, as no document promises. Durations in seconds.
    """

    client_id: str = ""
    client_secret: str = field(default="", repr=False)
    portal_id: str = ""
    base_url: str = "https://api.hubapi.com"
    api_version: ApiVersion = "2026-09"
    max_file_bytes: int = 16_777_216
    allow_private_files: bool = False
    hears_of_all_objects: bool = False
    connect_timeout_s: float = 3.0
    read_timeout_s: float = 10.0
    breaker_failures: int = 5
    breaker_cooldown_s: float = 2.0

    @property
    def is_set(self) -> bool:
        return self.client_id != ""

    @property
    def dated_version(self) -> str:
        """The version in the journal's paths, of which there is no legacy form."""
        return "2026-09" if self.api_version == "legacy" else self.api_version

    def __post_init__(self) -> None:
        given = {
            "HUBSPOT_CLIENT_ID": self.client_id,
            "HUBSPOT_CLIENT_SECRET": self.client_secret,
            "HUBSPOT_PORTAL_ID": self.portal_id,
        }
        missing = [name for name, value in given.items() if value == ""]
        if 0 < len(missing) < len(given):
            raise ConfigurationError(
                f"{', '.join(given)} belong together: set all three, to follow the change journal, "
                f"or none. Not set: {', '.join(missing)}."
            )
        for name, value in given.items():
            if re.fullmatch(r"[!-~]*", value) is None:
                raise ConfigurationError(
                    f"{name} must have no blanks or line ends, and only letters, digits and signs "
                    "of ASCII."
                )
        if re.fullmatch(r"([1-9][0-9]{0,18})?", self.portal_id) is None:
            raise ConfigurationError(
                f"HUBSPOT_PORTAL_ID must be the portal's number, not {self.portal_id!r}."
            )
        if urlsplit(self.base_url).scheme not in {"http", "https"}:
            raise ConfigurationError(
                f"HUBSPOT_BASE_URL must be an http(s) address, not {self.base_url!r}."
            )
        if self.max_file_bytes < MIN_FILE_BYTES:
            raise ConfigurationError(
                f"HUBSPOT_JOURNAL_FILE_BYTES must be at least {MIN_FILE_BYTES}, "
                f"not {self.max_file_bytes}."
            )
