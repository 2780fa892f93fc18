"""The sandbox's change journal, followed when the test says so, by one process after another."""

from __future__ import annotations

from dataclasses import dataclass

from booking_api import composition
from booking_api.desk.journal.lease import HeldLease, LeaseKeeper
from hubspot_sync.config import JournalConfig
from hubspot_sync.preflight import check_subscriptions
from hubspot_sync.wire.deadlines import Deadline
from hubspot_sync.wire.journal.change_journal import build_journal_calls
from hubspot_sync.wire.journal.subscriptions import JournalSubscriptions
from tests.builders import Portal
from tests.hubspot_sync.sandbox.journal_reader import CLIENT, PORTAL_ID
from tests.journal import LEASE_FOR, proof
from tests.webhooks import apply_waiting

MAX_STEPS = 200


def subscribe(portal: Portal) -> JournalConfig:
    """Have the sandbox's journal tell of all that the profile needs; return how it is reached."""
    config = JournalConfig(
        **CLIENT,
        portal_id=str(PORTAL_ID),
        base_url=portal.sandbox.base_url,
        allow_private_files=True,
        hears_of_all_objects=True,
    )
    subscriptions = JournalSubscriptions(config, build_journal_calls(config))
    check_subscriptions(portal.profile, config, subscriptions, Deadline.after(30.0), apply=True)
    return config


@dataclass(slots=True)
class Following:
    """Who follows: the application's own feed, under a lease that another may take."""

    lease: HeldLease | None = None

    def step(self) -> float:
        """Read some of what is new; return for how long to rest."""
        feed = composition.services().feed
        assert feed is not None
        if self.lease is None:
            self.lease = LeaseKeeper("feed", LEASE_FOR).acquire()
        assert self.lease is not None
        return feed.reader.step(self.lease)

    def catch_up(self) -> None:
        """Read and apply all that there is, and confirm it."""
        for _ in range(2):
            self._come_to_the_end()
            apply_waiting()
        self._come_to_the_end()

    def hand_on(self) -> None:
        """Another takes over, in good order."""
        if self.lease is not None:
            self.lease.give_back()
        self.lease = None

    def restart(self) -> None:
        """The process ends; another begins with nothing in its memory."""
        self.hand_on()
        composition.close()

    @property
    def proves(self) -> bool:
        return proof().proven

    def _come_to_the_end(self) -> None:
        for _ in range(MAX_STEPS):
            if self.step() > 0:
                return
        raise AssertionError("The feed does not come to the journal's end.")
