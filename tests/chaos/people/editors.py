"""People in HubSpot, and HubSpot's own word of what they did.

An editor changes an exam's location, delivers the webhook himself and knows when it was taken: from
then on nobody may read the location before. Others change a credit or a stored count.
"""

from __future__ import annotations

import itertools
import json
import random
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from hubspot.utils.signature import Signature

from tests.builders import Exam, Portal
from tests.chaos.people.floors import Floors, write_version
from tests.chaos.people.front import Front, Reply
from tests.chaos.world.servers import ApiServer
from tests.chaos.world.world import WEBHOOK_PATH

DELIVERY_TRIES = 40
RETRY_S = 0.25


@dataclass(slots=True)
class Editor:
    """One person, who edits these exams alone; `url` is the address that HubSpot signs. A share
    of all edits, `miscounts`, leaves a wrong count, of which HubSpot's own webhook tells."""

    exams: Sequence[Exam]
    portal: Portal
    front: Front
    floors: Floors
    url: str
    secret: str
    chance: random.Random
    stop: threading.Event
    think_s: float = 1.0
    miscounts: float = 0.2
    versions: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    undelivered: int = 0
    delivered: int = 0

    def work(self) -> None:
        """Edit one exam after the other until told to stop."""
        while not self.stop.is_set():
            exam = self.chance.choice(self.exams)
            self.move(exam)
            if self.chance.random() < self.miscounts:
                self.miscount(exam)
            if self.stop.wait(self.chance.uniform(0.2, self.think_s)):
                return

    def move(self, exam: Exam, *, at: ApiServer | None = None) -> bool:
        """Put a new location into HubSpot and tell the API; return whether that was taken."""
        version = next(self.versions)
        names, types = self.portal.profile.exam_properties, self.portal.profile.object_types
        value = {names["location"]: write_version("Room", version)}
        self.portal.sandbox.edit(types.mock_exams, exam.id, **value)
        event = tell_of_change(types.mock_exams, exam.id, names["location"], version)
        if not self.deliver(event, at=at):
            return False
        self.floors.raise_exam(exam.id, version)
        return True

    def miscount(self, exam: Exam) -> None:
        """Put a wrong number of bookings into the exam, as imports do."""
        names, types = self.portal.profile.exam_properties, self.portal.profile.object_types
        value = {names["total_bookings"]: str(self.chance.randrange(50))}
        self.portal.sandbox.edit(types.mock_exams, exam.id, **value)

    def deliver(self, event: dict[str, Any], *, at: ApiServer | None = None) -> bool:
        """Deliver an event as HubSpot does: again and again until it is taken."""
        body = json.dumps([event]).encode()
        for _ in range(DELIVERY_TRIES):
            if self.post(body, at=at).status == 200:
                self.delivered += 1
                return True
            if self.stop.wait(RETRY_S):
                return False
        self.undelivered += 1
        return False

    def post(self, body: bytes, *, at: ApiServer | None = None) -> Reply:
        headers = sign(body, self.url, self.secret)
        return self.front.send("webhook", "POST", WEBHOOK_PATH, body=body, headers=headers, at=at)


def tell_of_change(type_id: str, record_id: str, name: str, number: int) -> dict[str, Any]:
    """Return the event of a person's change of a property."""
    return {
        "eventId": number,
        "subscriptionId": 1000,
        "portalId": 62515,
        "appId": 54321,
        "occurredAt": int(datetime.now(UTC).timestamp() * 1000),
        "subscriptionType": "object.propertyChange",
        "attemptNumber": 0,
        "changeSource": "CRM_UI",
        "sourceId": "userId:1",
        "objectTypeId": type_id,
        "objectId": int(record_id),
        "propertyName": name,
    }


def sign(body: bytes, url: str, secret: str) -> dict[str, str]:
    """Return the headers with which HubSpot signs a delivery to its address, version 3."""
    at_ms = str(int(datetime.now(UTC).timestamp() * 1000))
    made = Signature.get_signature(
        client_secret=secret,
        request_body=body.decode(),
        signature_version="v3",
        http_uri=url,
        http_method="POST",
        timestamp=at_ms,
    )
    return {"X-HubSpot-Signature-v3": made, "X-HubSpot-Request-Timestamp": at_ms}
