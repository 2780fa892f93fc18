"""How the sandbox behaves just now: speeds, limits, lags, rules, webhooks; changed while it runs.

`unkind` sets three things at once — small pages, late search, now and then a 429 or a 5xx on a
read — and kindness puts them back; each can still be set by itself.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import msgspec

DEFAULT_TOKEN = "sandbox-token"  # noqa: S105 - guards invented data
RETRY_AFTER = ("sometimes", "always", "never")
APP_INFO = ("whole", "without_app", "empty")
PORTAL_ID, APP_ID = 62515, 54321
KIND = {"association_page": 500, "search_page_max": 200, "search_lag_s": 0.0}
UNKIND = {"association_page": 25, "search_page_max": 20, "search_lag_s": 0.3}


@dataclass(frozen=True, kw_only=True, slots=True)
class WebhookConfig:
    """Where events go, how they are signed, and how badly they are delivered."""

    url: str = ""
    secret: str = ""
    signature: str = "v3"  # v3 | v1 | both
    duplicate: float = 0.0  # 0.5: every second event comes twice; 2.0: each comes three times
    reorder: bool = False
    late_s: float = 0.0
    lose: float = 0.0
    contact_words: str = "contact"  # contact (contact.creation) | object (object.creation) | both
    timeout_s: float = 5.0
    retry_s: float = 0.5  # before the first repeat; each further wait is twice as long


@dataclass(frozen=True, kw_only=True, slots=True)
class JournalConfig:
    """The change journal: who may read it, when and for how long it tells, and how it decides what
    no document does; the words of each such switch are in `JOURNAL_WORDS`."""

    client_id: str = "sandbox-client"
    client_secret: str = "sandbox-client-secret"  # noqa: S105 - guards invented data
    token_s: float = 1_800.0
    object_scopes: str = "optional"
    delay_s: float = 0.0  # from a change until its entry appears
    kept_s: float = 259_200.0
    file_gap_s: float = 1.0  # changes further apart than this are in files of their own
    file_events: int = 10_000
    file_bytes: int = 5_000_000
    address_s: float = 300.0  # how long a file's address holds
    address_base: str = ""  # whose addresses the files have, in place of their server's
    expired_status: int = 403  # what its server says then
    gzip: bool = False
    rate: int = 100
    subscriptions_rate: int = 50
    lose: float = 0.0
    duplicate: float = 0.0
    ids: str = "text"
    empty_objects: str = "all"
    missing_objects: str = "all"
    empty_properties: str = "none"
    same_subscription: str = "type"
    quiet_offsets: str = "gone"
    shared_offsets: bool = True
    deletion_links: bool = False  # whether a deletion tells the links that go with it
    merge_links: bool = False  # whether a merge tells the links that move
    merged_ids: bool = True  # whether a merge names what was merged
    privacy_type: str = "crmObject"
    tells_portal: bool = True  # whether the answer to a request for a token names its portal
    subscriptions_page: int = 0  # how many are listed at once; 0: all


JOURNAL_WORDS: Mapping[str, tuple[str, ...]] = {
    # Scopes of the objects, beside the journal's: a token needs them, may have them, cannot.
    "object_scopes": ("optional", "needed", "unknown"),
    "ids": ("text", "number"),
    # What a subscription with an empty list of objects or properties, or without one, hears of.
    "empty_objects": ("all", "none"),
    "missing_objects": ("all", "none", "refused"),
    "empty_properties": ("all", "none"),
    # Which subscription a POST replaces: of its type and object type, an equal one, or none.
    "same_subscription": ("type", "whole", "none"),
    # Whether an offset is known after three quiet days, when nothing after it was forgotten.
    "quiet_offsets": ("gone", "kept"),
    "privacy_type": ("crmObject", "gdprPrivacyDeletion"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class ValidationRule:
    """What a portal's administrator demands of a property on API writes, from 2026-09 on."""

    object_type: str
    property: str
    required: bool = False
    pattern: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class RefusedRecord:
    """A record for whose sake HubSpot refuses every call that names it, with all it names beside.

    `operations` is a regular expression on operations' names, as the call log has them
    (`objects.batch_read`); writes unless told otherwise. `named`: the answer names the record.
    """

    object_type: str
    id: str
    operations: str = r"objects\.(batch_)?(create|update|upsert|archive)"
    status: int = 400
    category: str = "VALIDATION_ERROR"
    message: str = "There was a problem with one of the inputs."
    named: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Config:
    """One state of all switches."""

    latency_ms: float = 0.0
    jitter_ms: float = 0.0
    rate_limit: int = 190
    rate_window_s: float = 10.0
    search_rate: int = 5
    daily_limit: int = 650_000
    retry_after: str = "sometimes"  # with a 429: sometimes | always | never
    search_lag_s: float = 0.0
    association_lag_s: float = 0.0
    association_page: int = 500
    search_page_max: int = 200
    unkind: bool = False
    batches_know_merged: bool = True
    """Whether a batch that names a merged record by its old id means the survivor."""
    reads_tell_links: bool = True
    """Whether the read of one object heeds `associations`."""
    validation_rules: tuple[ValidationRule, ...] = ()
    refused_records: tuple[RefusedRecord, ...] = ()
    token: str = DEFAULT_TOKEN
    app_info: str = "whole"  # without_app and empty: as of a service key
    source_type: str = "INTEGRATION"  # who an API write's history names; a service key: API, ""
    source_id: str = "54321"
    history_limit: int = 0  # how many values of a property its history keeps; 0: all
    scopes: tuple[str, ...] = (
        "crm.objects.contacts.read",
        "crm.objects.contacts.write",
        "crm.objects.custom.read",
        "crm.objects.custom.write",
        "crm.schemas.contacts.read",
        "crm.schemas.contacts.write",
        "crm.schemas.custom.read",
        "crm.schemas.custom.write",
        "oauth",
    )
    webhook: WebhookConfig = field(default_factory=WebhookConfig)
    journal: JournalConfig = field(default_factory=JournalConfig)

    def with_changes(self, changes: Mapping[str, Any]) -> Config:
        """This with some switches set; raises ValueError naming one that does not exist or fit."""
        refuse_unknown(changes, Config)
        _refuse_unfit(changes, self)
        _refuse_other_words(changes, {"retry_after": RETRY_AFTER, "app_info": APP_INFO})
        wanted: dict[str, Any] = dict(changes)
        if "unkind" in wanted and wanted["unkind"] != self.unkind:
            wanted = {**(UNKIND if wanted["unkind"] else KIND), **wanted}
        if "webhook" in wanted:
            refuse_unknown(wanted["webhook"], WebhookConfig)
            _refuse_unfit(wanted["webhook"], self.webhook)
            wanted["webhook"] = {**asdict(self.webhook), **wanted["webhook"]}
        if "journal" in wanted:
            refuse_unknown(wanted["journal"], JournalConfig)
            _refuse_unfit(wanted["journal"], self.journal)
            _refuse_other_words(wanted["journal"], JOURNAL_WORDS)
            wanted["journal"] = {**asdict(self.journal), **wanted["journal"]}
        for rule in wanted.get("validation_rules", ()):
            refuse_unknown(rule, ValidationRule)
        for record in wanted.get("refused_records", ()):
            refuse_unknown(record, RefusedRecord)
        changed = msgspec.convert({**asdict(self), **wanted}, Config)  # raises a ValueError
        for pattern in changed.patterns:
            _check_pattern(pattern)
        return changed

    @property
    def patterns(self) -> tuple[str, ...]:
        """All its regular expressions."""
        demanded = (rule.pattern for rule in self.validation_rules if rule.pattern is not None)
        return (*demanded, *(record.operations for record in self.refused_records))

    def as_json(self) -> dict[str, Any]:
        """All switches as JSON."""
        return asdict(self)


class LiveConfig:
    """The configuration now; `start` is what a reset goes back to."""

    def __init__(self, start: Config) -> None:
        self.start = start
        self.now = start

    @property
    def webhook(self) -> WebhookConfig:
        return self.now.webhook

    @property
    def journal(self) -> JournalConfig:
        return self.now.journal

    def patch(self, changes: Mapping[str, Any]) -> Config:
        """Change switches for every request from now on; raises ValueError."""
        self.now = self.now.with_changes(changes)
        return self.now

    def reset(self) -> None:
        self.now = self.start


def _check_pattern(pattern: str) -> None:
    try:
        re.compile(pattern)
    except re.error as error:
        message = f"not a regular expression: {pattern!r}"
        raise ValueError(message) from error


def refuse_unknown(changes: Mapping[str, Any], known_in: type) -> None:
    """Raise ValueError naming what is no field of the dataclass `known_in`."""
    names = [each.name for each in fields(known_in)]
    unknown = [name for name in changes if name not in names]
    if unknown:
        message = f"unknown: {', '.join(unknown)}; known: {', '.join(names)}"
        raise ValueError(message)


def _refuse_unfit(
    changes: Mapping[str, Any], known: Config | WebhookConfig | JournalConfig
) -> None:
    """A number stays a finite number, none below nought, a switch a switch, a text a text."""
    for name, value in changes.items():
        before = getattr(known, name)
        wanted = next((kind for kind in _SIMPLE if isinstance(before, kind)), None)
        if wanted is None:
            continue
        fits = isinstance(value, wanted) and (isinstance(value, bool) == isinstance(before, bool))
        if not fits or (not isinstance(value, str) and not 0 <= value < math.inf):
            message = f"{name} cannot be {value!r}"
            raise ValueError(message)


def _refuse_other_words(changes: Mapping[str, Any], known: Mapping[str, tuple[str, ...]]) -> None:
    for name, words in known.items():
        if changes.get(name, words[0]) not in words:
            message = f"{name} is one of {', '.join(words)}"
            raise ValueError(message)


_SIMPLE: tuple[tuple[type, ...], ...] = ((bool,), (int, float), (str,))
