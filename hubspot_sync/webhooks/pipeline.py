"""The parts of the pipeline, joined; made once per process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from hubspot_sync.background.worker import Worker
from hubspot_sync.inbox.applier import (
    Applier,
    ExamsOfBookings,
    NoteMerges,
    RequestForgetting,
    RequestRecounts,
    find_no_exams,
    forget_nobody,
    note_nothing,
)
from hubspot_sync.inbox.inbox import Inbox
from hubspot_sync.inbox.observers import EventObservers
from hubspot_sync.inbox.told_records import ToldRecords
from hubspot_sync.inbox.worker import build_inbox_worker
from hubspot_sync.portal.profile import PortalProfile
from hubspot_sync.reading.cached_portal import CachedPortal
from hubspot_sync.reading.portal_reads import PortalReads
from hubspot_sync.webhooks.receiver import Receiver
from hubspot_sync.webhooks.signature_policy import SignaturePolicy


@dataclass(frozen=True, kw_only=True, slots=True)
class WebhookPipeline:
    """`signatures` says who is HubSpot, `receiver` takes its requests, `applier` what waits;
    `worker`, once started, has it do so."""

    inbox: Inbox
    told: ToldRecords
    signatures: SignaturePolicy
    receiver: Receiver
    applier: Applier
    worker: Worker


def build_webhook_pipeline(
    *,
    profile: PortalProfile,
    cached: CachedPortal,
    hubspot: PortalReads,
    request_recounts: RequestRecounts,
    exams_of_bookings: ExamsOfBookings = find_no_exams,
    request_forgetting: RequestForgetting = forget_nobody,
    note_merges: NoteMerges = note_nothing,
    observers: EventObservers,
    now: Callable[[], datetime],
    host_now: Callable[[], datetime],
    told: ToldRecords,
) -> WebhookPipeline:
    """Return the pipeline; nothing is started. `now` goes into rows; signatures go by `host_now`,
    which costs nothing before it is known who sends."""
    inbox = Inbox(now)
    applier = Applier(
        profile=profile,
        cached=cached,
        hubspot=hubspot,
        inbox=inbox,
        observers=observers,
        told=told,
        request_recounts=request_recounts,
        exams_of_bookings=exams_of_bookings,
        request_forgetting=request_forgetting,
        note_merges=note_merges,
        now=now,
    )
    return WebhookPipeline(
        inbox=inbox,
        told=told,
        signatures=SignaturePolicy(host_now),
        receiver=Receiver(
            profile=profile, cached=cached, inbox=inbox, observers=observers, told=told, now=now
        ),
        applier=applier,
        worker=build_inbox_worker(applier.apply_waiting),
    )
