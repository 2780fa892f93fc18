"""Reading a TOML table strictly: each wrong key is noted with its dotted name, none stops the rest.

A `TomlReader` hands out typed values and writes what is wrong into a shared list of sentences; a
value that was wrong comes back empty, so that the reading goes on and a profile's author sees all
mistakes at once. It knows nothing of portals.
"""

from __future__ import annotations

import re
from collections.abc import Mapping


class TomlReader:
    """One table of a TOML file, with the dotted name it has there."""

    def __init__(self, values: Mapping[str, object], name: str, problems: list[str]) -> None:
        self._values = values
        self._name = name
        self._problems = problems
        self._known: list[str] = []

    def dotted(self, key: str) -> str:
        return f"{self._name}.{key}" if self._name else key

    def note_problem(self, key: str, sentence: str) -> None:
        self._problems.append(f"{self.dotted(key)} {sentence}")

    def text(self, key: str, wants: re.Pattern[str] | None = None, example: str = "") -> str:
        """Return a required, non-blank text that matches `wants`; "" where it is wrong."""
        value = self._take(key)
        if value is None:
            self.note_problem(key, f"is missing; it wants a text{_such_as(example)}.")
            return ""
        return self._check_text(key, value, wants, example)

    def optional_text(
        self, key: str, wants: re.Pattern[str] | None = None, example: str = ""
    ) -> str | None:
        """Return the same, or None where the key is absent."""
        value = self._take(key)
        return None if value is None else self._check_text(key, value, wants, example)

    def texts(self, key: str, *, required: bool = False) -> tuple[str, ...]:
        """Return a list of different, non-blank texts; empty where absent or wrong."""
        value = self._take(key)
        if value is None:
            if required:
                self.note_problem(key, "is missing; it wants a list of texts.")
            return ()
        if not isinstance(value, list) or not all(_is_text(item) for item in value):
            self.note_problem(key, f"wants a list of texts, not {value!r}.")
            return ()
        repeated = sorted({item for item in value if value.count(item) > 1})
        if repeated:
            self.note_problem(key, f"names {', '.join(repeated)} twice.")
        if required and value == []:
            self.note_problem(key, "is empty; it wants at least one text.")
        return tuple(dict.fromkeys(value))

    def whole_numbers(self) -> dict[str, int]:
        """Return every entry of this table, each a whole number above 0."""
        numbers = {}
        for key, value in self._values.items():
            self._known.append(key)
            if isinstance(value, int) and not isinstance(value, bool) and value > 0:
                numbers[key] = value
            else:
                self.note_problem(key, f"wants a whole number above 0, not {value!r}.")
        return numbers

    def table(self, key: str, *, required: bool = True) -> TomlReader:
        """Return the table under `key`, an empty one where it is absent or wrong."""
        value = self._take(key)
        if value is None and required:
            self.note_problem(key, f"is missing; it wants a table, [{self.dotted(key)}].")
        if value is not None and not isinstance(value, dict):
            self.note_problem(key, f"wants a table, not {value!r}.")
        values = value if isinstance(value, dict) else {}
        return TomlReader(values, self.dotted(key), self._problems)

    def tables(self, key: str) -> list[TomlReader]:
        """Return the tables of a required, non-empty array, named `key[0]` and so on."""
        value = self._take(key)
        if (
            not isinstance(value, list)
            or value == []
            or not all(isinstance(t, dict) for t in value)
        ):
            self.note_problem(key, f"wants at least one table, [[{self.dotted(key)}]].")
            return []
        return [
            TomlReader(table, f"{self.dotted(key)}[{index}]", self._problems)
            for index, table in enumerate(value)
        ]

    @property
    def names(self) -> tuple[str, ...]:
        """The keys this table has, whatever they are."""
        return tuple(self._values)

    def finish(self) -> None:
        """Note every key that nobody asked for."""
        for key in self._values:
            if key not in self._known:
                known = ", ".join(self._known) or "none"
                self.note_problem(key, f"is not a key of this table; known here: {known}.")

    def _take(self, key: str) -> object:
        self._known.append(key)
        return self._values.get(key)

    def _check_text(
        self, key: str, value: object, wants: re.Pattern[str] | None, example: str
    ) -> str:
        if not isinstance(value, str) or not _is_text(value):
            self.note_problem(key, f"wants a text{_such_as(example)}, not {value!r}.")
            return ""
        if wants is not None and wants.fullmatch(value) is None:
            self.note_problem(key, f"is {value!r}; it wants a text{_such_as(example)}.")
            return ""
        return value


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value.strip() != ""


def _such_as(example: str) -> str:
    return f' such as "{example}"' if example else ""
