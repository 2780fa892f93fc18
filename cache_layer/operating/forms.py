"""What can be asked on the cache page."""

from __future__ import annotations

from typing import Any

from django import forms

from cache_layer.operating.host import CacheHost
from cache_layer.operating.manual_invalidation import (
    EVERYTHING,
    KEYS,
    InvalidationRequest,
    list_scopes,
)
from cache_layer.operating.validation import DEFAULT_SAMPLE

MAX_SAMPLE = 1000


class LookUpForm(forms.Form):
    key = forms.CharField(
        label="Key",
        max_length=2000,
        widget=forms.TextInput(attrs={"placeholder": "mockexam:5000123:details"}),
    )


class ValidateForm(forms.Form):
    sample = forms.IntegerField(
        label="Entries of each family",
        min_value=1,
        max_value=MAX_SAMPLE,
        initial=DEFAULT_SAMPLE,
    )
    repair = forms.BooleanField(label="Repair what drifted", required=False, initial=True)


class InvalidateForm(forms.Form):
    """One of the ways to name what has to go; `confirmed` only once its preview was seen.
    `token` makes a form that is sent twice one deed."""

    scope = forms.ChoiceField()
    named = forms.CharField(max_length=100_000, required=False)
    reason = forms.CharField(max_length=200, required=False)
    confirmed = forms.BooleanField(required=False)
    token = forms.UUIDField(required=False)

    def __init__(self, host: CacheHost, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["scope"] = forms.ChoiceField(
            choices=[(scope, scope) for scope in list_scopes(host)],
            error_messages={"invalid_choice": "There is no such way to name entries."},
        )

    def to_request(self) -> InvalidationRequest:
        """Return what the valid form asks for; keys are named one a line."""
        scope, text = self.cleaned_data["scope"], self.cleaned_data["named"]
        if scope == EVERYTHING:
            return InvalidationRequest(scope=scope)
        if scope == KEYS:
            lines = (line.strip() for line in text.splitlines())
            return InvalidationRequest(scope=scope, named=tuple(line for line in lines if line))
        return InvalidationRequest(scope=scope, named=(text,))
