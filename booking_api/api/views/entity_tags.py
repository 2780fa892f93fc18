"""Entity tags (RFC 9110, 8.8.3) of answers that are asked for again, and 304 for who holds one.

A tag is a hash of the bytes of an answer. The latest of each question is kept with what the bytes
were written of: who holds the answer to that is told so, and nothing is written, hashed or
compressed anew. Compared is what was found, by its values, so that nothing old is ever taken for
what is true now.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Final

from django.http import HttpResponse
from django.utils.http import parse_etags
from rest_framework.request import Request

from booking_api.api.envelope import NotModified, answer_written

DIGEST_BYTES: Final = 16
WEAK: Final = "W/"
REVALIDATED: Final = "no-cache"
"""For `Cache-Control`: keep it, and ask before each use whether it still holds."""


@dataclass(frozen=True, slots=True)
class EntityTag:
    """The strong tag of a body, and how many bytes that has."""

    text: str
    body_bytes: int


class EntityTags:
    """The tags of the latest answers of one process, one for each question."""

    def __init__(self) -> None:
        self._latest: dict[Hashable, tuple[object, EntityTag]] = {}

    def answer(
        self, request: Request, question: Hashable, found: object, write: Callable[[], bytes]
    ) -> HttpResponse:
        """Return what was found as `write` puts it, its envelope too, or 304 where the client
        holds just that. `question` is one of few."""
        tag = self._recall(question, found)
        body = None
        if tag is None:
            body = write()
            tag = self._keep(question, found, body)
        if names_tag(request.META.get("HTTP_IF_NONE_MATCH", ""), tag.text):
            response: HttpResponse = NotModified(tag.body_bytes)
        else:
            response = answer_written(write() if body is None else body)
        response["ETag"] = tag.text
        response["Cache-Control"] = REVALIDATED
        return response

    def _recall(self, question: Hashable, found: object) -> EntityTag | None:
        written_of, tag = self._latest.get(question, (None, None))
        return tag if written_of == found else None

    def _keep(self, question: Hashable, found: object, body: bytes) -> EntityTag:
        digest = hashlib.blake2b(body, digest_size=DIGEST_BYTES).hexdigest()
        tag = EntityTag(f'"{digest}"', len(body))
        self._latest[question] = (found, tag)
        return tag


def names_tag(if_none_match: str, tag: str) -> bool:
    """Return whether `If-None-Match` names the tag, or any there is. Weak tags name the same answer
    in other bytes (RFC 9110, 13.1.2); what is no tag names none."""
    if "" in (if_none_match, tag):
        return False
    named = parse_etags(if_none_match)
    return "*" in named or any(each.removeprefix(WEAK) == tag for each in named)
