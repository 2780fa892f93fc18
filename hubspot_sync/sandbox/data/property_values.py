"""Which property values HubSpot takes by its API, and the form it keeps them in.

What is in a portal already is another matter: people, imports and HubSpot's own machinery put
values there that no check below would let pass, so whatever reads a stored value survives any text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any

from hubspot_sync.sandbox.config import ValidationRule
from hubspot_sync.sandbox.data.schemas import CONTACTS, ObjectType, Property
from hubspot_sync.sandbox.messages import Refusal, invalid

RULES_SINCE = "2026-09"
# By `[0-9]`, and not by what Python takes: `1_000`, `nan` and other scripts' digits are no numbers.
_NUMBER = re.compile(r"\s*[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?\s*")
# Longer ones are no times, and Python refuses to read a number of more than 4 300 digits.
_EPOCH_MS = re.compile(r"-?[0-9]{1,19}")


def parse_properties(object_type: ObjectType, raw: object) -> dict[str, str | None]:
    """Given properties as they are kept; raises Refusal naming each property that is wrong."""
    if not isinstance(raw, Mapping):
        raise invalid("Invalid input JSON: properties must be an object")
    kept = {
        str(name): normalize_value(object_type, str(name), value) for name, value in raw.items()
    }
    wrong = [problem for item in kept.items() if (problem := _find_problem(object_type, *item))]
    if wrong:
        details = ", ".join(f"{each['name']}: {each['message']}" for each in wrong)
        raise invalid(f"Property values were not valid: {details}", errors=wrong)
    return kept


def normalize_value(object_type: ObjectType, name: str, value: object) -> str | None:
    """One value as HubSpot keeps it: text, lower-cased if an e-mail, None for an empty one."""
    if value is None or value == "":
        return None
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if object_type.type_id == CONTACTS and name == "email":
        return text.strip().lower()
    return text


def check_rules(
    rules: Iterable[ValidationRule],
    family: str,
    type_id: str,
    properties: Mapping[str, str | None],
    *,
    new: bool,
) -> None:
    """Raise Refusal where an administrator's rule is broken; older families know no rules."""
    if family != RULES_SINCE:
        return
    for rule in rules:
        if rule.object_type != type_id or (not new and rule.property not in properties):
            continue
        value = properties.get(rule.property)
        if value is None and rule.required:
            raise _rule_refusal(rule, "is required")
        if value is not None and rule.pattern is not None and not re.fullmatch(rule.pattern, value):
            raise _rule_refusal(rule, "does not have the required format")


def keep_as_given(raw: Mapping[str, object]) -> dict[str, str | None]:
    """Values of any kind, as somebody's portal holds them; raises ValueError for what is no text.

    An empty text stays one, an e-mail its capitals, and half an emoji or NUL are texts like others.
    """
    kept = {name: value for name, value in raw.items() if value is None or isinstance(value, str)}
    if len(kept) < len(raw):
        message = f"as_is takes texts and null, not {sorted(raw.keys() - kept.keys())}"
        raise ValueError(message)
    return kept


def is_number(value: str) -> bool:
    """Whether HubSpot would take this text for a number."""
    return _NUMBER.fullmatch(value) is not None


def instant_ms(value: str) -> float | None:
    """Milliseconds of a date, an ISO instant or an epoch time; None if it is none of them."""
    if _EPOCH_MS.fullmatch(value):
        return float(value)
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.timestamp() * 1000


def _rule_refusal(rule: ValidationRule, why: str) -> Refusal:
    name = rule.property
    detail = {"message": f"{name} {why}", "code": "VALIDATION_RULE", "name": name}
    return invalid(f"Property {name} {why}", context={"propertyName": [name]}, errors=[detail])


def _find_problem(object_type: ObjectType, name: str, value: str | None) -> dict[str, Any] | None:
    definition = object_type.properties.get(name)
    if definition is None:
        return _detail(name, f'Property "{name}" does not exist', "PROPERTY_DOESNT_EXIST")
    if definition.read_only:
        return _detail(name, f'"{name}" is a read only property', "READ_ONLY_VALUE")
    if value is not None and not _fits(definition, value):
        return _detail(name, f"{value} was not a valid {definition.type}", _CODES[definition.type])
    return None


def _detail(name: str, message: str, code: str) -> dict[str, Any]:
    return {"message": message, "code": code, "name": name, "context": {"propertyName": [name]}}


def _fits(definition: Property, value: str) -> bool:
    if definition.type == "enumeration" and definition.options:
        return all(each in definition.options for each in value.split(";"))
    check = _CHECKS.get(definition.type)
    return check is None or check(value)


def _is_date(value: str) -> bool:
    """A day, or an epoch time at a midnight in UTC."""
    if _EPOCH_MS.fullmatch(value):
        return int(value) % 86_400_000 == 0
    try:
        date.fromisoformat(value)
    except ValueError:
        return False
    return True


_CHECKS: dict[str, Callable[[str], bool]] = {
    "number": is_number,
    "bool": lambda value: value in ("true", "false"),
    "date": _is_date,
    "datetime": lambda value: instant_ms(value) is not None,
}
_CODES = {
    "number": "INVALID_NUMBER",
    "bool": "INVALID_OPTION",
    "enumeration": "INVALID_OPTION",
    "date": "INVALID_DATE",
    "datetime": "INVALID_DATE",
}
