"""What can be asked of the exams' pages. Whatever is sent is bounded before it is used."""

from __future__ import annotations

from collections.abc import Iterable

from django import forms
from django.core.validators import RegexValidator

from booking_api.desk.counts.models import MAX_REASON_CHARS
from hubspot_sync.portal.mock_types import MockType
from hubspot_sync.portal.record_names import RECORD_ID_PATTERN

MAX_DAY_CHARS = 10
IS_RECORD_ID = RegexValidator(
    rf"\A{RECORD_ID_PATTERN}\Z", "An exam's id is a number, as HubSpot shows it."
)


class FindForm(forms.Form):
    """Which exams are listed. An id finds any exam, a past one and one that is switched off too."""

    exam_id = forms.CharField(
        label="Id",
        required=False,
        max_length=18,
        validators=[IS_RECORD_ID],
        widget=forms.TextInput(attrs={"inputmode": "numeric", "size": "12"}),
    )
    type = forms.ChoiceField(label="Type", required=False)
    day = forms.DateField(
        label="Day",
        required=False,
        input_formats=["%Y-%m-%d"],
        widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"}),
        error_messages={"invalid": "A day is written 2026-11-30."},
    )

    def __init__(self, mock_types: Iterable[MockType], *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type]  # the data, as Django's form takes it
        choices = [(mock_type.value, mock_type.value) for mock_type in mock_types]
        self.fields["type"] = forms.ChoiceField(
            label="Type",
            required=False,
            choices=[("", "All types"), *choices],
            error_messages={"invalid_choice": "The portal has no such type."},
        )


class DeedForm(forms.Form):
    """Why something is done to an exam. `token` makes a form that is sent twice one deed."""

    reason = forms.CharField(
        label="Why, for the record",
        max_length=MAX_REASON_CHARS,
        error_messages={"required": "Say why: it stays on record."},
        widget=forms.TextInput(attrs={"autocomplete": "off", "class": "c-long"}),
    )
    token = forms.UUIDField(widget=forms.HiddenInput())
