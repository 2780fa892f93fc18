"""Records made for a trial and archived after it; nothing in them is a student's or school's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from hubspot_sync.batching.batch import BatchClient, Created, CreateOutcome, Unclear
from hubspot_sync.batching.raw_records import NewAssociation, NewRecord
from hubspot_sync.portal.association_types import AssociationType
from hubspot_sync.portal.profile import PortalProfile
from hubspot_sync.wire.call_context import CallContext
from hubspot_sync.wire.deadlines import Deadline, Monotonic

NOBODY = "example.com"
REMOVAL_S = 30.0


@dataclass(frozen=True, kw_only=True, slots=True)
class ProbeEnvironment:
    """What a trial needs: `mark` makes its values unlike any other's, `pause` waits so many
    seconds, `clock` measures them."""

    profile: PortalProfile
    batch: BatchClient
    association_types: Mapping[str, AssociationType]
    mark: str
    clock: Monotonic
    pause: Callable[[float], object]


class ThrowawayRecords:
    """Makes throw-away records and remembers each, so that all can be removed."""

    def __init__(self, environment: ProbeEnvironment, context: CallContext) -> None:
        self._environment = environment
        self._context = context
        self._made: dict[str, list[str]] = {}
        self._unclear: list[str] = []

    def create_booking(
        self, properties: Mapping[str, str], *links: NewAssociation
    ) -> CreateOutcome:
        profile = self._environment.profile
        names = profile.booking_properties
        stored = {
            names["booking_id"]: f"preflight-{self._environment.mark}",
            names["name"]: "Preflight trial",
            names["is_active"]: profile.booking_states["cancelled"][0],
            **properties,
        }
        return self._create(profile.object_types.bookings, stored, links)

    def create_exam(self) -> CreateOutcome:
        profile = self._environment.profile
        names = profile.exam_properties
        stored = {
            names["location"]: f"preflight-{self._environment.mark}",
            names["exam_date"]: "2000-01-01",
            names["is_active"]: "false",
        }
        return self._create(profile.object_types.mock_exams, stored, ())

    def create_contact(self, properties: Mapping[str, str]) -> CreateOutcome:
        profile = self._environment.profile
        email = {
            profile.contact_properties["email"]: f"preflight-{self._environment.mark}@{NOBODY}"
        }
        return self._create(profile.object_types.contacts, {**email, **properties}, ())

    def archive_all(self) -> list[str]:
        """Archive what was made; return what could not be, or may be there unseen."""
        left = list(self._unclear)
        given = self._context.deadline
        # A trial that used up its time leaves nothing behind all the same.
        removal = replace(
            self._context, deadline=given.later_of(Deadline.after(REMOVAL_S, given.clock))
        )
        for object_type, ids in self._made.items():
            archived = self._environment.batch.archive(object_type, ids, context=removal)
            left.extend(f"{object_type} {record_id}" for record_id in archived.unknown)
        return left

    def _create(
        self, object_type: str, properties: Mapping[str, str], links: tuple[NewAssociation, ...]
    ) -> CreateOutcome:
        record = NewRecord(trace_id="trial", properties=properties, associations=links)
        outcome = self._environment.batch.create(object_type, [record], context=self._context)[
            record.trace_id
        ]
        if isinstance(outcome, Created):
            self._made.setdefault(object_type, []).append(outcome.record.id)
        elif isinstance(outcome, Unclear):
            self._unclear.append(f"{object_type} named preflight-{self._environment.mark}")
        return outcome
