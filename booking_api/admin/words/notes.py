"""A note as a student's adviser sees it on HubSpot's timeline.

Notes are HTML of ours: bold, italics and line ends, with what people typed escaped. Only those
stay; whatever else a row may hold is shown as the text it is.
"""

from __future__ import annotations

import html
import re
from typing import Final

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

_TAG: Final = re.compile(r"(</?[bi]>|<br>)")


def render_note(body: str) -> SafeString:
    """Return a note's HTML, fit for a page of ours."""
    parts = _TAG.split(body)
    if not _is_balanced(parts[1::2]):
        return escape(body)
    rendered = [
        part if number % 2 == 1 else escape(html.unescape(part))
        for number, part in enumerate(parts)
    ]
    return mark_safe("".join(rendered))  # noqa: S308 - tags of the pattern, and escaped texts


def _is_balanced(tags: list[str]) -> bool:
    """Whether each tag that begins ends, in order."""
    begun: list[str] = []
    for tag in tags:
        if tag.startswith("</"):
            if len(begun) == 0 or begun.pop() != tag.replace("/", ""):
                return False
        elif tag != "<br>":
            begun.append(tag)
    return len(begun) == 0
