"""What the console keeps from who may not see it, whatever is asked of it by hand; odd rows too."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.authtoken.models import Token

from booking_api.desk.journal.models import EntryState, OutboxNote
from cache_layer.models import CacheInvalidation
from tests.api import Api
from tests.journal_rows import (
    JOURNAL,
    SEE_JOURNAL,
    SEE_PERSONS,
    STORY,
    make_row,
    refused,
    said,
    staff,
)

pytestmark = pytest.mark.django_db(transaction=True)

REMOVALS = "/admin/cache/cacheinvalidation/"
WHY = 2
"""The column with the reason; e-mails in it are masked."""
HALF_AN_EMOJI = "Zoë \ud83d"


def order(client: Client, by: str) -> list[str]:
    page = said(client, REMOVALS, o=by)
    return list(dict.fromkeys(re.findall(rf"{REMOVALS}(\d+)/change/", page)))


def test_rows_are_not_put_in_the_order_of_what_is_masked(api: Api) -> None:
    for number, name in enumerate(("mia", "zoe", "ann")):
        CacheInvalidation.objects.create(
            at=timezone.now(),
            who="olga",
            reason=f"{name}@example.org",
            scope="keys",
            named=[f"contact:{name}@example.org:details"],
            removed=number,
            delivered=True,
        )
    masked, shown = (
        staff("view_cacheinvalidation", name="sam"),
        staff("view_cacheinvalidation", SEE_PERSONS),
    )

    for column in (WHY, WHY + 2):
        assert order(masked, f"{column}") == order(masked, f"-{column}"), column
        assert order(shown, f"{column}") == order(shown, f"-{column}")[::-1], column
        assert f"?o={column}" not in said(masked, REMOVALS)
    assert order(masked, "5") == order(masked, "-5")[::-1], "what anybody may see"


def test_no_address_has_all_rows_counted_for_each_choice_of_a_filter(api: Api) -> None:
    make_row()
    olga = staff(SEE_JOURNAL)
    olga.get(JOURNAL)

    with CaptureQueriesContext(
        connection,
    ) as usual:
        olga.get(JOURNAL)
    with CaptureQueriesContext(connection) as asked:
        page = said(olga, JOURNAL, _facets="True")

    assert len(asked) == len(usual)
    assert "Show counts" not in page


def test_half_an_emoji_in_a_row_is_shown_as_a_sign(api: Api) -> None:
    odd = {"name": HALF_AN_EMOJI, "reason": HALF_AN_EMOJI, "email": "zoe@example.org"}
    row = make_row(
        request=odd,
        state=EntryState.REFUSED,
        answer={"code": "EXAM_FULL", "message": HALF_AN_EMOJI},
    )
    olga = staff(SEE_JOURNAL, SEE_PERSONS)

    for path in (JOURNAL, f"{JOURNAL}{row.pk}/change/", f"{STORY}1456/"):
        assert "Zoë \ufffd" in said(olga, path), path


def test_of_an_answer_only_what_is_a_code_is_told_as_one(api: Api) -> None:
    row = make_row(**refused("alice.moreau@example.org"))
    make_row(kind="cancel", state=EntryState.DONE, plan={"asked_by": "alice.moreau@example.org"})
    sam = staff(SEE_JOURNAL, name="sam")

    for path in (JOURNAL, f"{JOURNAL}{row.pk}/change/", f"{STORY}1456/"):
        page = said(sam, path)
        assert "a reason that this version does not know" in page
        assert "alice" not in page


def test_nobody_reads_a_token_by_asking_to_delete_its_holder(api: Api) -> None:
    root = User.objects.create_superuser("root")
    token = Token.objects.create(user=root)
    sam = staff("delete_user", "view_user", name="sam")

    asked = said(sam, f"/admin/auth/user/{root.pk}/delete/")
    several = sam.post(
        "/admin/auth/user/", {"action": "delete_selected", "_selected_action": [root.pk]}
    ).content.decode()

    for page in (asked, several):
        assert token.key not in page
        assert "Token: •••" in page


def test_a_note_is_for_whoever_may_open_its_own_page(api: Api) -> None:
    row = make_row(state=EntryState.DONE)
    now = timezone.now()
    OutboxNote.objects.create(
        entry=row, contact_id="1456", body="<b>Booked</b>", noted_at=now, next_attempt_at=now
    )
    path = f"{JOURNAL}{row.pk}/change/"

    without, with_notes = (
        staff(SEE_JOURNAL, SEE_PERSONS),
        staff(SEE_JOURNAL, SEE_PERSONS, "view_outboxnote", name="nina"),
    )

    assert "<b>Booked</b>" in said(with_notes, path)
    assert "Booked" not in said(without, path)
    assert "outboxnote" not in said(without, path)
