"""Values into bytes and back, by a schema: data with named fields, never code.

A codec is made of a value's type. What it writes is MessagePack, in which a dataclass or a struct
is a map by the names of its fields. What it reads is only what it would have written itself: a
field more or less, another type, a byte behind the end or another spelling of the same is no value.
Its version follows from the type and all types within: releases that disagree about one of them
never read each other's values.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import inspect

from cache_layer.errors import ConfigurationError, UnfitValue, UnreadableEntry, UnreadableReason

V = TypeVar("V")

VERSION_LENGTH = 16
_DESCRIBED_BY_NAME = (
    inspect.NoneType,
    inspect.BoolType,
    inspect.IntType,
    inspect.FloatType,
    inspect.StrType,
    inspect.BytesType,
    inspect.DecimalType,
    inspect.DateTimeType,
    inspect.DateType,
    inspect.TimeType,
    inspect.TimeDeltaType,
    inspect.UUIDType,
)
_SETS = (inspect.SetType, inspect.FrozenSetType)


class ValueCodec(Generic[V]):
    """Writes and reads the values of one type.

    `made_of` are further types that show in a value without being its own: those a page was
    rendered from. Raises ConfigurationError for a type that cannot be read back by names alone.
    """

    def __init__(self, value_type: type[V], *, made_of: tuple[type, ...] = ()) -> None:
        described = [_describe_type(known) for known in (value_type, *made_of)]
        digest = hashlib.sha256("\n".join(text for text, _ in described).encode())
        self.value_type = value_type
        self.version = digest.hexdigest()[:VERSION_LENGTH]
        # A set has no order of its own, and is written in one, so that it is always spelt alike.
        self._encoder = msgspec.msgpack.Encoder(
            enc_hook=_to_plain,
            order="deterministic" if any(has_sets for _, has_sets in described) else None,
        )
        self._decoder = msgspec.msgpack.Decoder(value_type)

    def encode(self, value: V) -> bytes:
        """Return a value's bytes; raises UnfitValue for one that would not come back equal."""
        try:
            back = self._decoder.decode(self._encoder.encode(value))
            comes_back = bool(back == value)
            payload = self._encoder.encode(back)
        except Exception as error:  # the value's own code runs, and may raise anything
            raise UnfitValue(_describe_misfit(value, error)) from error
        if not comes_back:
            raise UnfitValue(f"a {type(value).__name__} would not come back as it is.")
        return payload

    def decode(self, payload: bytes) -> V:
        """Return the value of these bytes; raises UnreadableEntry with the reason."""
        # Whoever can write to a shared store can put anything there. No value takes no bytes.
        if payload == b"" or not isinstance(payload, bytes):
            raise UnreadableEntry(UnreadableReason.NO_BYTES)
        try:
            value = self._decoder.decode(payload)
            is_ours = self._encoder.encode(value) == payload
        except msgspec.ValidationError as error:
            raise UnreadableEntry(UnreadableReason.OTHER_SHAPE) from error
        except (msgspec.DecodeError, RecursionError) as error:
            raise UnreadableEntry(UnreadableReason.MALFORMED) from error
        except Exception as error:  # a type's own checks may raise anything
            raise UnreadableEntry(UnreadableReason.OTHER_SHAPE) from error
        if not is_ours:
            raise UnreadableEntry(UnreadableReason.OTHER_SHAPE)
        return value


def _describe_misfit(value: object, error: Exception) -> str:
    """Return what is wrong with a value and where, but nothing of what it holds."""
    _, _, place = str(error).rpartition(" - at ")
    where = f" at {place}" if isinstance(error, msgspec.ValidationError) and place else ""
    return f"a {type(value).__name__} is not of the type to be kept{where}."


def _to_plain(value: object) -> object:
    """Return a mapping of another kind as a dict; raises NotImplementedError for the rest."""
    if isinstance(value, Mapping):
        return dict(value)
    raise NotImplementedError(f"{type(value).__name__} is no data.")


@cache
def _describe_type(value_type: Any) -> tuple[str, bool]:
    """Return a type in words, and whether there is a set in it."""
    description = _Description()
    return description.of_type(value_type), description.has_sets


class _Description:
    """Types in words that differ where a value of one could be taken for one of the other."""

    def __init__(self) -> None:
        self.has_sets = False
        self._within: list[inspect.Type] = []

    def of_type(self, value_type: Any) -> str:
        try:
            info = inspect.type_info(value_type)
            # What msgspec can describe, it cannot always read.
            msgspec.msgpack.Decoder(value_type)
        except (TypeError, NameError) as error:
            raise ConfigurationError(f"{value_type!r} cannot be kept: {error}") from error
        return self._describe(info)

    def _describe(self, info: inspect.Type) -> str:
        self.has_sets = self.has_sets or isinstance(info, _SETS)
        if isinstance(info, _DESCRIBED_BY_NAME):
            return repr(info)
        match info:
            case inspect.DataclassType() | inspect.StructType(array_like=False, tag=None):
                return self._describe_fields(info)
            case inspect.EnumType():
                members = ",".join(f"{member.name}={member.value!r}" for member in info.cls)
                return f"{info.cls.__qualname__}[{members}]"
            case inspect.LiteralType():
                return f"Literal{info.values!r}"
            case inspect.UnionType():
                return "|".join(map(self._describe, info.types))
            case inspect.TupleType():
                return f"Tuple({','.join(map(self._describe, info.item_types))})"
            case inspect.DictType():
                return f"Dict({self._describe(info.key_type)}:{self._describe(info.value_type)})"
            case inspect.CollectionType():
                return f"{type(info).__name__}({self._describe(info.item_type)})"
            case _:
                raise ConfigurationError(f"{_name(info)} is no type of which values can be kept.")

    def _describe_fields(self, info: inspect.DataclassType | inspect.StructType) -> str:
        name = info.cls.__qualname__
        if any(info is outer for outer in self._within):
            return name
        self._within.append(info)
        fields = [f"{field.encode_name}:{self._describe(field.type)}" for field in info.fields]
        self._within.pop()
        return f"{name}({','.join(fields)})"


def _name(info: inspect.Type) -> str:
    cls = getattr(info, "cls", None)
    return type(info).__name__ if cls is None else cls.__qualname__
