"""Asks HubSpot whose a student id and an e-mail are: what was refused before it came to the desk
has left no row that could tell.

One call for an e-mail and one search for a student id that is not that contact's, at a person's
word and as urgent as theirs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from django import forms
from typing_extensions import override

from hubspot_sync.errors import HubSpotError
from hubspot_sync.portal.identities import normalize_email, normalize_student_id
from hubspot_sync.portal.property_values import format_number
from hubspot_sync.portal.records import Contact
from hubspot_sync.reading.portal_reads import PortalReads
from hubspot_sync.wire.call_context import CallContext
from hubspot_sync.wire.call_log import CallMeter
from hubspot_sync.wire.deadlines import Deadline

MAX_ASKING_S: Final = 8.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What HubSpot says, sentence by sentence; `contact_id` is "" where no contact was found, and
    `fits` says whether the pair may book, None where that was not asked or is not known."""

    sentences: tuple[str, ...]
    contact_id: str = ""
    fits: bool | None = None


class AskForm(forms.Form):
    student_id = forms.CharField(label="Student id", max_length=64, required=False)
    email = forms.CharField(
        label="E-mail",
        max_length=254,
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "off", "inputmode": "email"}),
    )

    @override
    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = self.cleaned_data
        if not self.errors and not cleaned["student_id"] and not cleaned["email"]:
            raise forms.ValidationError("Give a student id, an e-mail, or both.")
        return cleaned


def ask_hubspot(hubspot: PortalReads, student_id: str, email: str) -> Answer:
    """Return whose they are; either may be ""."""
    student_id, email = normalize_student_id(student_id), normalize_email(email)
    context = CallContext(deadline=Deadline.after(MAX_ASKING_S), meters=(CallMeter("console"),))
    try:
        contact = _find_contact(hubspot, email, context) if email else None
        if contact is not None and _is_id_of(contact, student_id):
            return _tell_right(contact)
        exists = student_id != "" and hubspot.student_exists(student_id, context)
    except HubSpotError as error:
        return Answer(sentences=(f"HubSpot does not say now: {error.safe_text}",))
    return _tell_other(contact, student_id, email, exists=exists)


def _find_contact(hubspot: PortalReads, email: str, context: CallContext) -> Contact | None:
    return hubspot.contacts_by_email([email], context).answered(email)


def _is_id_of(contact: Contact, student_id: str) -> bool:
    return student_id != "" and normalize_student_id(contact.student_id) == student_id


def _tell_right(contact: Contact) -> Answer:
    return Answer(
        sentences=(
            "Student id and e-mail belong together: this pair may see and book.",
            *_describe_credits(contact),
        ),
        contact_id=contact.id,
        fits=True,
    )


def _tell_other(contact: Contact | None, student_id: str, email: str, *, exists: bool) -> Answer:
    sentences = []
    if contact is not None:
        held = contact.student_id.strip()
        its = f"the student id {held}" if held else "no student id"
        sentences.append(f"The contact with this e-mail has {its} in HubSpot.")
    elif email:
        sentences.append("No contact in HubSpot has this e-mail.")
    if student_id:
        whose = "Another contact has" if contact is not None else "A contact has"
        sentences.append(f"{whose} this student id." if exists else "Nobody has this student id.")
    if student_id and email:
        sentences.append("So this pair is refused: student id and e-mail do not belong together.")
    return Answer(
        sentences=(*sentences, *(() if contact is None else _describe_credits(contact))),
        contact_id="" if contact is None else contact.id,
        fits=False if student_id and email else None,
    )


def _describe_credits(contact: Contact) -> tuple[str, ...]:
    told = [
        f"{name} {'cannot be read' if held is None else format_number(held)}"
        for name, held in contact.credits.items()
    ]
    return (f"Credits: {', '.join(told)}.",) if told else ()
