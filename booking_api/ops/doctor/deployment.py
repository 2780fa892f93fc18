"""What the checks are told of the deployment: its settings, and which server to ask."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from hubspot_sync.config import HubSpotConfig, JournalConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class Deployment:
    """`server_url` is empty where no server is to be asked, and `asks_hubspot` false where HubSpot
    is not. `connections` is how many each process may have to the database, and
    `metrics_token` the first where there are several."""

    base_dir: Path
    debug: bool
    env_file: str
    hubspot: HubSpotConfig
    journal: JournalConfig
    portal: str
    asks_hubspot: bool
    redis_url: str = field(repr=False)
    cache_prefix: str
    processes: int
    connections: int
    takes_webhooks: bool
    has_scheduler: bool
    server_url: str
    public_base_url: str
    metrics_token: str = field(repr=False)
