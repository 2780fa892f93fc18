"""Answers that are given again while the very entries they were made of are held.

Most questions were asked a moment ago. Where an answer was made of cached entries alone, it is kept
with their stamps; whoever asks the same gets it if one look into the cache finds these entries
there still. Then whatever would be read, decided and written would come to the same; else the
question goes its ordinary way, as it does where it may be refused. So nothing is served that the
cache does not hold, and a write that has made an entry go has made the answer go.

A view says by `Reuse` what its answer rests on besides entries: the time, and who asks. What is
counted of a request is counted each time: reads, hits, right pairs, and what the view itself does.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, Final, NamedTuple

from django.http import HttpRequest, HttpResponse, HttpResponseBase

from booking_api import composition
from booking_api.api.context import RequestContext, Reuse, context_of, count_items_of
from booking_api.api.envelope import NotModified
from booking_api.api.proxies import address_in
from booking_api.api.throttling import window_of
from booking_api.api.views.entity_tags import names_tag
from cache_layer import CacheStatus, Key, Stamp
from hubspot_sync.reading.provenance import Provenance

View = Callable[..., HttpResponseBase]

MAX_ANSWERS: Final = 1_500
MAX_BYTES: Final = 16_777_216
MAX_ANSWER_BYTES: Final = 65_536
MAX_COST: Final = MAX_BYTES // 4
"""One answer that takes more is not kept: it would leave no room for others."""
MAX_QUESTION_CHARS: Final = 512
"""Of each part of a question: ordinary ones have about a hundred."""
MAX_HEADS: Final = 4
"""Browsers of one kind, at one address, send the same; who asks may vary what they send."""
HEAD_BYTES: Final = 1_800
"""What a head takes, besides its circumstances' texts, that shares no circumstances with others."""
KEEP_S: Final = 300.0
"""Whatever the cache holds, an answer is made anew after so long: it is somebody's data."""
ENTRY_BYTES: Final = 1_300
"""What is kept of every answer beside its texts and stamps, about."""
STAMP_BYTES: Final = 800
"""What a stamp takes, with a key that no other answer has, and the key's arguments."""
PARSED_BYTES: Final = 25
"""What a byte of a question's body takes once it is parsed, at most."""
REFUSED_KEY: Final = "booking_api.not_given_again"
"""In the environ of a request that was looked at already and is to go its ordinary way."""
OK: Final = 200
NOT_MODIFIED: Final = 304
TOO_OFTEN: Final = 429
ALL_HELD: Final = Provenance(cache_statuses={CacheStatus.HIT})


class Question(NamedTuple):
    """What was asked, to the letter, as far as an answer depends on it."""

    method: str
    path: str
    query: str
    accepts: str
    sends: str
    body: bytes


class Head(NamedTuple):
    """The head of an answer as it was sent: in `headers` there is no X-Request-ID, whose place is
    `id_at`. `route` and `action` are what is recorded of the request."""

    status_line: str
    headers: tuple[tuple[str, str], ...]
    id_at: int
    route: str
    action: str


Circumstances = tuple[str | None, ...]
"""What the head of an answer depends on, of the request, besides the question."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WarmAnswer:
    """An answer, the entries it was made of, and what else it rests on. Of one that was 304 there
    is no body, but its size. `heads` are those it was sent with lately, at most `MAX_HEADS`."""

    body: bytes | None
    body_bytes: int
    content_type: str
    headers: tuple[tuple[str, str], ...]
    items: int
    said: Any
    stamps: Mapping[Key, Stamp]
    reuse: Reuse
    kept_at_s: float
    heads: dict[Circumstances, Head] = field(default_factory=dict)

    @property
    def tag(self) -> str:
        return next((value for name, value in self.headers if name == "ETag"), "")

    def add_headers(self, response: HttpResponse) -> HttpResponse:
        for name, value in self.headers:
            response.headers[name] = value
        return response


class WarmAnswers:
    """One process's, the oldest first; `clock` counts seconds and never goes back."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._made_by: composition.Services | None = None
        self._answers: OrderedDict[Question, WarmAnswer] = OrderedDict()
        self._bytes = 0

    def find(self, question: Question, services: composition.Services) -> WarmAnswer | None:
        """Return an answer of this process as it is put together now, which may be out of date."""
        found = self._answers.get(question)
        if found is None or self._made_by is not services:
            return None
        return found if self._clock() - found.kept_at_s < KEEP_S else None

    def keep(self, question: Question, answer: WarmAnswer, services: composition.Services) -> None:
        with self._lock:
            if self._made_by is not services:
                self._made_by = services
                self._answers.clear()
                self._bytes = 0
            self._drop(question)
            cost = count_bytes(question, answer)
            if cost > MAX_COST:
                return
            self._answers[question] = answer
            self._bytes += cost
            self._make_room()

    def keep_head(
        self, question: Question, answer: WarmAnswer, circumstances: Circumstances, head: Head
    ) -> None:
        """Keep with an answer the head that it was sent with; do nothing once it is kept no
        more."""
        with self._lock:
            if self._answers.get(question) is not answer:
                return
            before = count_bytes(question, answer)
            answer.heads.pop(circumstances, None)
            if len(answer.heads) >= MAX_HEADS:
                del answer.heads[next(iter(answer.heads))]
            answer.heads[circumstances] = head
            self._bytes += count_bytes(question, answer) - before
            self._make_room()

    def drop(self, question: Question) -> None:
        with self._lock:
            self._drop(question)

    def _make_room(self) -> None:
        while self._answers and self._is_full():
            self._drop(next(iter(self._answers)))

    def _is_full(self) -> bool:
        if len(self._answers) > MAX_ANSWERS or self._bytes > MAX_BYTES:
            return True
        oldest = next(iter(self._answers.values()))
        return self._clock() - oldest.kept_at_s >= KEEP_S

    def _drop(self, question: Question) -> None:
        dropped = self._answers.pop(question, None)
        if dropped is not None:
            self._bytes -= count_bytes(question, dropped)


def count_bytes(question: Question, answer: WarmAnswer) -> int:
    """Return how many bytes an answer takes in memory, about, and rather too many than too few."""
    of_stamps, of_parsed = STAMP_BYTES * len(answer.stamps), PARSED_BYTES * len(question.body)
    texts = sum(map(len, question)) + len(answer.body or b"")
    of_heads = sum(map(count_head_bytes, answer.heads))
    return ENTRY_BYTES + texts + of_stamps + of_parsed + of_heads


def count_head_bytes(circumstances: Circumstances) -> int:
    return HEAD_BYTES + sum(len(each or "") for each in circumstances)


warm_answers = WarmAnswers()
"""This process's."""


def given_again(view: View) -> View:
    """Return the view, whose answers are given again where they say that they may be."""

    @wraps(view)
    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        question = find_question(request)
        if question is None:
            return view(request, *args, **kwargs)
        services = composition.built_services()
        known = None if services is None else warm_answers.find(question, services)
        if services is not None and known is not None:
            decided = REFUSED_KEY in request.META
            again = None if decided else give_again(known, request, services)
            if again is not None:
                return again
        response = view(request, *args, **kwargs)
        # Who asks too often takes it from nobody else.
        if known is not None and response.status_code != TOO_OFTEN:
            warm_answers.drop(question)
        keep(question, request, response)
        return response

    return answer


def find_question(request: HttpRequest) -> Question | None:
    """Return what a request asks, None where its answer is not looked for here."""
    meta, body = request.META, b""
    if request.method == "POST":
        length = meta.get("CONTENT_LENGTH", "")
        if not length.isdecimal() or int(length) > MAX_QUESTION_CHARS:
            return None
        body = request.body
    elif request.method != "GET":
        return None
    return make_question(meta, request.method, request.path_info, body)


def make_question(meta: Mapping[str, Any], method: str, path: str, body: bytes) -> Question | None:
    """Return the question, from a request's environ; None where a part of it is too long."""
    question = Question(
        method,
        path,
        meta.get("QUERY_STRING", ""),
        # Who says nothing takes anything; who names nothing is refused.
        meta.get("HTTP_ACCEPT", "*/*"),
        meta.get("CONTENT_TYPE", ""),
        body,
    )
    return None if max(map(len, question)) > MAX_QUESTION_CHARS else question


def give_again(
    known: WarmAnswer, request: HttpRequest, services: composition.Services
) -> HttpResponse | None:
    """Return the answer, None where the question has to go its ordinary way: then nothing of it is
    counted."""
    status = count_again(known, request.META, services)
    if status is None:
        return None
    context = context_of(request)
    describe_to_log(known, context)
    context.again = known
    if status == NOT_MODIFIED or known.body is None:
        return known.add_headers(NotModified(known.body_bytes))
    return known.add_headers(HttpResponse(known.body, content_type=known.content_type))


def count_again(
    known: WarmAnswer, meta: Mapping[str, Any], services: composition.Services
) -> int | None:
    """Decide whether the answer is given again to the request with this environ, and if it is,
    count what its view would: return its status, 200 or 304, else None."""
    reuse, address = known.reuse, address_in(meta)
    pair, pairs = reuse.pair, services.pairs
    if_none_match = meta.get("HTTP_IF_NONE_MATCH", "")
    is_named = if_none_match != "" and names_tag(if_none_match, known.tag)
    if known.body is None and not is_named:
        return None
    if reuse.until is not None and services.clocks.now() >= reuse.until:
        return None
    if pair is not None and pairs.look_ups.is_suspected(address):
        return None
    # Before the cache is asked, which counts what it holds as read.
    taken = window_of("reads").take(f"{address} {reuse.reader}".rstrip())
    if not taken.granted:
        return None
    subject = None if pair is None else pair.email
    if not services.cached.cache.holds(known.stamps, subject):
        taken.give_back()
        return None
    if pair is not None:
        pairs.right.note(address, pair)
    reuse.count()
    return NOT_MODIFIED if is_named else OK


def describe_to_log(known: WarmAnswer, context: RequestContext) -> None:
    context.built_from = ALL_HELD
    context.items = known.items
    context.body = known.said


def keep(question: Question, request: HttpRequest, response: HttpResponseBase) -> None:
    """Keep an answer that may be given again."""
    context, services = context_of(request), composition.built_services()
    if context.reuse is None or context.built_from is None or services is None:
        return
    stamps = context.built_from.held_stamps()
    if not stamps or not isinstance(response, HttpResponse):
        return
    render = getattr(response, "render", None)
    if render is not None:
        render()
    is_not_modified = isinstance(response, NotModified)
    body = response.content
    if len(body) > MAX_ANSWER_BYTES or not (is_not_modified or response.status_code == OK):
        return
    answer = WarmAnswer(
        # A copy: what orjson writes holds some kilobytes more than it has.
        body=None if is_not_modified else memoryview(body).tobytes(),
        body_bytes=response.body_bytes if isinstance(response, NotModified) else len(body),
        content_type=response.headers.get("Content-Type", ""),
        headers=tuple(each for each in response.headers.items() if each[0] != "Content-Type"),
        items=count_items_of(response, context),
        said=context.body,
        stamps=stamps,
        reuse=context.reuse,
        kept_at_s=time.monotonic(),
    )
    warm_answers.keep(question, answer, services)
