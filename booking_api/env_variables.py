"""Variables of the environment: each declared once, with the kind of its value and its default.

`VARIABLES` has them all, and `.env.example` lists the same. `settings.py` alone declares them.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, get_type_hints
from urllib.parse import unquote, urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured
from environ.fileaware_mapping import FileAwareMapping
from typing_extensions import override

from booking_api.desk.config import DeskConfig
from booking_api.env_types import boolean, csv, integer, largest, number
from booking_api.ops.redaction import Redaction
from cache_layer.config import CacheConfig
from cache_layer.errors import ConfigurationError as CacheConfigurationError
from hubspot_sync.config import HubSpotConfig, JournalConfig
from hubspot_sync.errors import ConfigurationError

BASE_DIR = Path(__file__).resolve().parent.parent
MAX_FILE_BYTES = 65_536


class EnvironmentOrFiles(FileAwareMapping):  # type: ignore[misc]  # it has no types
    """The environment, in which `NAME_FILE` may stand instead of NAME and names a file that holds
    the value; a line's end after it is no part of it. Reading raises ImproperlyConfigured where
    there is no such file, or one that is too large for a value; one that is none, as a pipe, may
    never end."""

    @override
    def __getitem__(self, name: str) -> str:
        file = self.env.get(f"{name}_FILE")
        try:
            if file:
                _check_file(name, Path(file))
            text: str = super().__getitem__(name)
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text"
            raise ImproperlyConfigured(
                f"{name}_FILE must name a file that can be read: {reason}."
            ) from error
        return text.rstrip("\r\n") if file else text


def _check_file(name: str, file: Path) -> None:
    found = file.stat()
    if not stat.S_ISREG(found.st_mode):
        raise ImproperlyConfigured(f"{name}_FILE must name a file, no folder, pipe or device.")
    if found.st_size > MAX_FILE_BYTES:
        raise ImproperlyConfigured(
            f"{name}_FILE must name a file of a value, of {MAX_FILE_BYTES} bytes at most."
        )


environment = environ.Env()
environment.ENVIRON = EnvironmentOrFiles()
# An empty ENV_FILE means none: the tests must not depend on a developer's own.
env_file = os.environ.get("ENV_FILE", str(BASE_DIR / ".env"))
if env_file and Path(env_file).is_file():
    environ.Env.read_env(env_file)


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable of the environment. `parse` makes its value of its text, or raises ValueError with
    what is wanted; the default is a value already. A number is `largest` at most, where no other
    `maximum` is given."""

    name: str
    parse: Callable[[str], Any]
    default: Any
    minimum: int | None = None
    maximum: int | None = None

    def read(self) -> Any:
        """Return the value; raise ImproperlyConfigured with a sentence naming the variable."""
        value = self.take()
        self.refuse_extreme(value)
        return value

    def take(self) -> Any:
        """Return the value, whatever its size; raise ImproperlyConfigured."""
        try:
            return environment(self.name, cast=self.parse, default=self.default)
        except ValueError as error:
            given = Redaction().text(repr(environment.ENVIRON.get(self.name)))
            raise ImproperlyConfigured(f"{self.name} must be {error}, not {given}.") from error

    def refuse_extreme(self, value: Any) -> None:
        """Raise ImproperlyConfigured where a value is too small or too large."""
        if self.minimum is not None and value < self.minimum:
            raise ImproperlyConfigured(f"{self.name} must be at least {self.minimum}, not {value}.")
        if self.parse in (integer, number) and value > self.most:
            raise ImproperlyConfigured(f"{self.name} must be at most {self.most}, not {value}.")

    @property
    def most(self) -> int:
        return largest(self.name) if self.maximum is None else self.maximum


VARIABLES: dict[str, Variable] = {}
SECRET_NAME = re.compile(r"(^|_)(SECRET|TOKEN|KEY|PASSWORD)S?(_|$)")

Config = TypeVar("Config", HubSpotConfig, JournalConfig, CacheConfig, DeskConfig)
PARSERS: dict[Any, Callable[[str], Any]] = {bool: boolean, int: integer, float: number}


def declare(
    name: str,
    parse: Callable[[str], Any],
    default: Any,
    *,
    minimum: int | None = None,
    maximum: int | None = None,
) -> Variable:
    """Return a variable that is to be read only where its value matters."""
    variable = VARIABLES[name] = Variable(name, parse, default, minimum, maximum)
    return variable


def read(
    name: str,
    parse: Callable[[str], Any],
    default: Any,
    *,
    minimum: int | None = None,
    maximum: int | None = None,
) -> Any:
    """Declare a variable and return its value; raise ImproperlyConfigured."""
    return declare(name, parse, default, minimum=minimum, maximum=maximum).read()


def read_config(config: type[Config], variables: dict[str, str], **others: Any) -> Config:
    """Return a configuration whose fields are read from variables, `{field: variable}`, and which
    has `others` besides. A field's type and default are the variable's. Raises
    ImproperlyConfigured."""
    types, defaults = get_type_hints(config), config()
    declared = {
        field: declare(name, PARSERS.get(types[field], str), getattr(defaults, field))
        for field, name in variables.items()
    }
    values = {field: variable.take() for field, variable in declared.items()}
    try:
        read_all = config(**values, **others)
    except (ConfigurationError, CacheConfigurationError) as error:
        raise ImproperlyConfigured(str(error)) from error
    # After it: what it says of its own bounds is nearer to the point.
    for field, variable in declared.items():
        variable.refuse_extreme(values[field])
    return read_all


def configured_secrets() -> list[str]:
    """Return the values of the variables that are secret by their names, and the passwords in those
    that are addresses: what nothing may show."""
    secrets: list[Any] = []
    for variable in VARIABLES.values():
        if SECRET_NAME.search(variable.name) is not None:
            value = variable.read()
            # Some may be several, while one replaces another.
            secrets += value if isinstance(value, list) else [value, *csv(str(value))]
        else:
            secrets.append(find_password(environment.ENVIRON.get(variable.name, "")))
    # A rate of wrong secrets is named after them, and is none.
    return [secret for secret in secrets if isinstance(secret, str) and secret != ""]


def find_password(address: str) -> str:
    """Return the password in an address; nothing where there is none, or no address."""
    try:
        credentials = urlsplit(address).netloc.rpartition("@")[0]
    except ValueError:
        return ""
    return unquote(credentials.partition(":")[2])
