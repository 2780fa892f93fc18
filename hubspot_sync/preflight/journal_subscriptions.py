"""The change journal's subscriptions: those there are, those the profile needs, and making these.

Nobody else's subscription is deleted, or made to tell less. HubSpot may take one that we make for
one that is there, and replace it; so what those of its kind and type tell is put into it. What is
too much is listed, for whoever made it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from hubspot_sync.config import JournalConfig
from hubspot_sync.errors import HubSpotError, NotFound, Refused, WrongPortal
from hubspot_sync.portal.journal_coverage import (
    covered_parts,
    is_covered,
    required_subscriptions,
)
from hubspot_sync.portal.profile import PortalProfile
from hubspot_sync.preflight.findings import Finding, FindingKind
from hubspot_sync.reading.family_coverage import PARTS_OF_FAMILIES, covered_families
from hubspot_sync.wire.deadlines import Deadline
from hubspot_sync.wire.journal.subscriptions import JournalSubscriptions, Subscription

UNPROVEN = "whether it hears of all objects is not known: --probe shows it"


def check_subscriptions(
    profile: PortalProfile,
    config: JournalConfig,
    subscriptions: JournalSubscriptions,
    deadline: Deadline,
    *,
    apply: bool,
) -> tuple[Finding, ...]:
    """Compare the subscriptions with the profile, and with `apply` make those that are missing.

    A refusal is a finding; any other HubSpotError is raised.
    """
    try:
        there = subscriptions.list_all(deadline)
        made = _make_missing(profile, there, subscriptions, deadline) if apply else {}
        if made:
            there = subscriptions.list_all(deadline)
    except (Refused, NotFound) as error:
        return (_finding("subscriptions", _words_of(error), "listed", FindingKind.WRONG),)
    wanted = required_subscriptions(profile)
    return (
        *(_check_wanted(each, there, config, made.get(_name(each))) for each in wanted),
        *_list_others(wanted, there),
        _check_families(profile, config, there),
    )


def _make_missing(
    profile: PortalProfile,
    there: Sequence[Subscription],
    subscriptions: JournalSubscriptions,
    deadline: Deadline,
) -> dict[str, str]:
    """Make what is not there; return what came of each, by name."""
    results = {}
    for wanted in required_subscriptions(profile):
        if is_covered(wanted, there, hears_of_all=True):
            continue
        same = [each for each in there if _name(each) == _name(wanted)]
        of_some = [str(each.id) for each in same if each.object_ids]
        if of_some:
            # Replaced by one without a list, it may hear of nothing any more.
            ids = ", ".join(of_some)
            results[_name(wanted)] = f"not made: one for some objects is there (id {ids})"
            continue
        try:
            subscriptions.put(_join(wanted, same), deadline)
        except (Refused, NotFound) as error:
            results[_name(wanted)] = f"refused: {_words_of(error)}"
        else:
            results[_name(wanted)] = "made"
    return results


def _join(wanted: Subscription, same: Sequence[Subscription]) -> Subscription:
    """What is wanted, and all that others of its kind and type tell."""
    return replace(
        wanted,
        actions=wanted.actions.union(*(each.actions for each in same)),
        properties=wanted.properties.union(*(each.properties for each in same)),
        to_types=wanted.to_types.union(*(each.to_types for each in same)),
    )


def _check_wanted(
    wanted: Subscription, there: Sequence[Subscription], config: JournalConfig, made: str | None
) -> Finding:
    name, words = _name(wanted), _describe(wanted)
    if not is_covered(wanted, there, hears_of_all=True):
        return _finding(name, made or _what_lacks(wanted, there), words, FindingKind.MISSING)
    if made is not None:
        return _finding(name, made, words, FindingKind.MADE)
    if not is_covered(wanted, there, hears_of_all=config.hears_of_all_objects):
        return _finding(name, f"there; {UNPROVEN}", words, FindingKind.OK)
    return _finding(name, "there", words, FindingKind.OK)


def _what_lacks(wanted: Subscription, there: Iterable[Subscription]) -> str:
    """What the subscriptions of the same kind and type leave out, or why they do not count."""
    same = [each for each in there if _name(each) == _name(wanted)]
    if not same:
        return "no such subscription"
    whole = [each for each in same if not each.narrowed and not each.object_ids]
    if not whole:
        return "narrowed by a filter or to some objects"
    lacking = [
        *sorted(wanted.actions - frozenset().union(*(each.actions for each in whole))),
        *sorted(wanted.properties - frozenset().union(*(each.properties for each in whole))),
        *sorted(wanted.to_types - frozenset().union(*(each.to_types for each in whole))),
    ]
    return f"without {', '.join(lacking)}" if lacking else "split so that some is told of by none"


def _list_others(
    wanted: Iterable[Subscription], there: Iterable[Subscription]
) -> tuple[Finding, ...]:
    """Those that the profile does not need: they cost files to read, and nothing else."""
    names = {_name(each) for each in wanted}
    return tuple(
        _finding(
            f"{_name(each)} (id {each.id})", _describe(each), "not needed here", FindingKind.WARNING
        )
        for each in there
        if _name(each) not in names
    )


def _check_families(
    profile: PortalProfile, config: JournalConfig, there: Sequence[Subscription]
) -> Finding:
    provable = {name for name, parts in PARTS_OF_FAMILIES.items() if parts is not None}
    covered = covered_families(there, profile, hears_of_all=config.hears_of_all_objects)
    lacking = ", ".join(sorted(provable - covered))
    told = covered_parts(there, profile, hears_of_all=config.hears_of_all_objects)
    return _finding(
        "what may outlive its time to live",
        f"all but {lacking}" if lacking else f"all, by {len(told)} kinds of changes",
        "all",
        FindingKind.WARNING if lacking else FindingKind.OK,
    )


def _name(subscription: Subscription) -> str:
    return f"{subscription.kind} {subscription.object_type}"


def _describe(subscription: Subscription) -> str:
    words = [", ".join(sorted(subscription.actions))]
    if subscription.to_types:
        words.append(f"to {', '.join(sorted(subscription.to_types))}")
    if subscription.properties:
        words.append(f"{len(subscription.properties)} properties")
    return "; ".join(words)


def _words_of(error: HubSpotError) -> str:
    if isinstance(error, WrongPortal):
        return error.message
    return f"{error.status} {error.category or ''}".strip()


def _finding(subject: str, found: str, wanted: str, verdict: FindingKind) -> Finding:
    return Finding(
        area="change journal", subject=subject, found=found, wanted=wanted, verdict=verdict
    )
