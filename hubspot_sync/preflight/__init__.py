"""A live portal against its profile: is everything there that the application relies on?

`inspect` asks HubSpot for schemas, properties, association labels and the token's scopes, and says
for each thing what was found and what is wanted; it changes nothing. `create_missing` makes the
properties that do not exist, so running it again does nothing. `probe` learns by trial, on records
it makes and removes, what no document promises. `check_subscriptions` and `try_journal` do the same
for the change journal.
"""

from __future__ import annotations

from hubspot_sync.preflight.findings import Finding, FindingKind
from hubspot_sync.preflight.inspection import Inspection, inspect
from hubspot_sync.preflight.journal_portal import check_portal
from hubspot_sync.preflight.journal_subscriptions import check_subscriptions
from hubspot_sync.preflight.journal_trial import JournalEnvironment, try_journal
from hubspot_sync.preflight.missing_properties import create_missing
from hubspot_sync.preflight.probe import probe
from hubspot_sync.preflight.throwaway_records import ProbeEnvironment

__all__ = [
    "Finding",
    "FindingKind",
    "Inspection",
    "JournalEnvironment",
    "ProbeEnvironment",
    "check_portal",
    "check_subscriptions",
    "create_missing",
    "inspect",
    "probe",
    "try_journal",
]
