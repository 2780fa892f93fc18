"""What the sandbox does not imitate, for whoever wonders what a green test proves."""

from __future__ import annotations

LIMITATIONS = (
    "Paths that are not in its table: answered 501 with what it knows.",
    "Lists with ?associations=…, search by `query`, search on associations: answered 501 or 400.",
    "Labelled associations of one pair by PUT, removing a single label, association limits.",
    "Why HubSpot refuses a record by itself: only as `refused_records` and `validation_rules` say.",
    "The longest value a property takes: the API takes longer ones, and so does a person.",
    "A subCategory as an object has the member `name` here; the specification leaves it open.",
    "The daily limit is free again at midnight in UTC, whatever the account's time zone.",
    "Owners, pipelines, files, lists, imports, exports, conversations, forms.",
    "Changing or grouping properties; making or changing schemas.",
    "Scopes: they are listed by the token's information and refuse nothing (order a 403 fault).",
    "423: only as a fault that was ordered.",
    "Rate limits of whole accounts with several apps; burst limits of other plans.",
    "Search's tokenising, ranking and case folding: text is compared as it is stored.",
    "Automatic company associations; that a merge makes a record of its own, as with companies.",
    "The journal's snapshots; filters know equality and its opposite alone; lists and installs.",
    "Property history is whole unless `history_limit` says otherwise; HubSpot keeps the latest.",
    "A creation tells no propertyChange for the values it came with.",
    "Undocumented, chosen here: a unique value is free again once cleared or its record archived; "
    "batch results come in reverse; refused requests do not count against the rate limit.",
)
