"""`manage.py doctor` as an operator runs it, in this process."""

from __future__ import annotations

import json
from dataclasses import dataclass
from io import StringIO
from typing import Any

from django.core.management import call_command


@dataclass(frozen=True, slots=True)
class Report:
    """What a machine was told, and the exit code."""

    code: int
    body: dict[str, Any]

    def line(self, area: str, subject: str = "") -> dict[str, str]:
        """Return the one line about this; there is no other."""
        lines = [
            each
            for each in self.body["findings"]
            if (each["area"], each["subject"]) == (area, subject)
        ]
        assert len(lines) == 1, (area, subject, self.body["findings"])
        found: dict[str, str] = lines[0]
        return found

    def verdict(self, area: str, subject: str = "") -> str:
        return self.line(area, subject)["verdict"]

    def bad(self) -> set[tuple[str, str]]:
        """Return what is not well, by area and subject."""
        return {
            (each["area"], each["subject"])
            for each in self.body["findings"]
            if each["verdict"] != "ok"
        }


def printed(*arguments: str) -> tuple[int, str]:
    """Return the exit code and what was printed."""
    out = StringIO()
    try:
        call_command("doctor", *arguments, stdout=out)
    except SystemExit as ended:
        return int(str(ended.code)), out.getvalue()
    return 0, out.getvalue()


def examined(*arguments: str) -> Report:
    """Ask no server unless told to."""
    asked = arguments if "--url" in arguments else ("--no-server", *arguments)
    code, text = printed("--json", *asked)
    return Report(code, json.loads(text))
