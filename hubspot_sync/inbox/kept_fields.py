"""What is kept of an event: what it takes to know it again and to apply it, and nobody's data.

The value that a property has taken is needed by nobody here: readers load it anew. So it is not
kept, long or short, and the inbox has nothing to forget of a person but a record's id. Of fields
that we do not know only the names are kept, for whoever wants to teach us one.
"""

from __future__ import annotations

from typing import Any, Final

from hubspot_sync.inbox.events import IDENTITY_FIELDS, MAX_MERGED, Raw

KEPT_FIELDS: Final = (
    *IDENTITY_FIELDS,
    *("appId", "changeSource", "sourceId", "changeFlag", "attemptNumber", "isSensitive"),
    "isPrimaryAssociation",
)
NOT_KEPT: Final = "notKept"
"""Names the fields of which nothing else is kept."""
MAX_TEXT_CHARS: Final = 300
"""More than a property's name has; what is longer than that names nothing we know."""
MAX_NAMES: Final = 20
MAX_NAME_CHARS: Final = 60


def keep_fields(raw: Raw) -> dict[str, Any]:
    """Return the event as it is stored. Its effect is that of the whole event."""
    kept = {name: _keep_value(raw[name]) for name in KEPT_FIELDS if name in raw}
    others = sorted(str(name)[:MAX_NAME_CHARS] for name in raw if name not in KEPT_FIELDS)
    if others:
        kept[NOT_KEPT] = others[:MAX_NAMES]
    return kept


def _keep_value(value: Any) -> Any:
    if isinstance(value, list):
        return [_keep_scalar(item) for item in value[: MAX_MERGED + 1]]
    return _keep_scalar(value)


def _keep_scalar(value: Any) -> Any:
    if isinstance(value, str):
        return value[:MAX_TEXT_CHARS]
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        # Beyond any id or time: as text it is read as what it is, none.
        return value if value.bit_length() < MAX_TEXT_CHARS else str(value)[:MAX_TEXT_CHARS]
    return {}  # no field that we know has any such thing
