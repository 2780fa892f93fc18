"""The way before Django: a warm answer that was sent just so before is sent again.

The head of an answer depends on little of a request besides its question: `CIRCUMSTANCES`. So where
Django has given an answer again (`views/warm_answers.py`), its head is kept with it as it was sent;
whoever asks the same in the same circumstances gets both, and no request and no response of
Django's is made. No header is decided on here, and nothing of what is counted, limited and logged
is left out: that is done by the same functions. What was never sent before, and whatever is unusual
about a request, goes Django's way. So does what fails here: Django answers failures as any other
answer, with a request id, the headers of all answers and a line.

A compressed answer is compressed anew each time, since its length is to be padded at random.
"""

from __future__ import annotations

import io
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import structlog

from booking_api import composition
from booking_api.api.context import (
    META_KEY,
    RequestContext,
    Serving,
    find_said_outside_forms,
    open_context,
    record,
)
from booking_api.api.middleware.refusals import REFUSAL_KEY
from booking_api.api.proxies import find_unbelieved
from booking_api.api.views.warm_answers import (
    MAX_QUESTION_CHARS,
    NOT_MODIFIED,
    REFUSED_KEY,
    Circumstances,
    Head,
    Question,
    WarmAnswer,
    count_again,
    describe_to_log,
    make_question,
    warm_answers,
)
from booking_api.ops.logs.request_line import ServedRequest

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

CIRCUMSTANCES: Final = (
    *("SCRIPT_NAME", "SERVER_NAME", "SERVER_PORT", "wsgi.url_scheme"),
    *("HTTP_HOST", "HTTP_X_FORWARDED_HOST", "HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_PORT"),
    *("HTTP_ORIGIN", "HTTP_ACCESS_CONTROL_REQUEST_PRIVATE_NETWORK"),
    *("HTTP_ACCEPT_ENCODING", "HTTP_IF_NONE_MATCH"),
)
MAX_CIRCUMSTANCES_CHARS: Final = 512
NOT_TO_KEEP: Final = frozenset({"Content-Encoding", "Set-Cookie"})
REQUEST_ID: Final = "X-Request-ID"
# Heads differ in little from each other: what they have in common is held once.
MAX_SHARED: Final = 512
share: Final[Any] = lru_cache(maxsize=MAX_SHARED)(lambda each: each)

log = structlog.get_logger(__name__)


class WarmWay:
    """A WSGI application: the one it is given, past which warm answers go. The environ's
    Content-Type has no charset any more (`leave_out_charset`)."""

    def __init__(self, application: WSGIApplication) -> None:
        self._application = application

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        services, question = composition.built_services(), read_question(environ)
        if services is None or question is None:
            return self._application(environ, start_response)
        known = warm_answers.find(question, services)
        if known is None or not is_usual(environ):
            return self._application(environ, start_response)
        circumstances = tuple(map(environ.get, CIRCUMSTANCES))
        head = known.heads.get(circumstances)
        if head is None:
            return self._ask_django(environ, start_response, question, circumstances)
        context = open_context(environ, question.path)
        status = send_again(known, head, environ, services, context)
        if status is None:
            environ[REFUSED_KEY] = True
            return self._application(environ, start_response)
        headers = list(head.headers)
        headers.insert(head.id_at, (REQUEST_ID, context.request_id))
        start_response(head.status_line, headers)
        return [b"" if status == NOT_MODIFIED or known.body is None else known.body]

    def _ask_django(
        self,
        environ: WSGIEnvironment,
        start_response: StartResponse,
        question: Question,
        circumstances: Circumstances,
    ) -> Iterable[bytes]:
        """Have Django answer, and keep the head if it gives a kept answer again."""

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            keep_head(question, circumstances, environ.get(META_KEY), status, headers)
            return start_response(status, headers, exc_info)

        return self._application(environ, start)


def read_question(environ: WSGIEnvironment) -> Question | None:
    """Return what a request asks as Django would see it, None where it is not looked for here: a
    body is read only from a server that has it in memory."""
    method, path, body = environ["REQUEST_METHOD"], environ.get("PATH_INFO", ""), b""
    if method == "POST":
        stream, length = environ["wsgi.input"], environ.get("CONTENT_LENGTH", "")
        if type(stream) is not io.BytesIO or not length.isdecimal():
            return None
        if int(length) > MAX_QUESTION_CHARS or stream.getbuffer().nbytes != int(length):
            return None
        body = stream.getvalue()
    elif method != "GET":
        return None
    return make_question(environ, method, path, body) if path.isascii() else None


def is_usual(environ: WSGIEnvironment) -> bool:
    """Return whether the middleware that a request would pass leaves it as it is and remarks
    nothing about it, but for what CIRCUMSTANCES say."""
    if environ.get("HTTP_COOKIE", "") != "" or REFUSAL_KEY in environ:
        return False
    if "HTTP_TRANSFER_ENCODING" in environ or find_unbelieved(environ)[0] is not None:
        return False
    path, query = environ["PATH_INFO"], environ.get("QUERY_STRING", "")
    if environ.get("RAW_URI", "") not in {"", f"{path}?{query}" if query else path}:
        return False
    sent = "".join([value for name, value in environ.items() if name.startswith("HTTP_")])
    return sent.isascii() and "\0" not in sent


def send_again(
    known: WarmAnswer,
    head: Head,
    environ: WSGIEnvironment,
    services: composition.Services,
    context: RequestContext,
) -> int | None:
    """Decide whether the answer may be given again, and count and record it; return its status,
    None where the question has to go its ordinary way, as it has, too, where that failed."""

    def find_said() -> Iterator[Any]:
        return find_said_outside_forms(environ, context)

    context.body = known.said
    with Serving(context, find_said):
        try:
            status = count_again(known, environ, services)
            if status is not None:
                describe_to_log(known, context)
                record(make_served(status, known, head, environ, context), environ["PATH_INFO"])
        except Exception:
            with suppress(Exception):  # the log may be what fails
                log.exception("warm_way_failed", route=head.route)
            return None
    return status


def make_served(
    status: int, known: WarmAnswer, head: Head, environ: WSGIEnvironment, context: RequestContext
) -> ServedRequest:
    return ServedRequest(
        request_id=context.request_id,
        method=environ["REQUEST_METHOD"],
        route=head.route,
        action=head.action,
        status=status,
        took_s=time.monotonic() - context.started_s,
        hubspot_calls=context.meter.calls,
        cache=context.cache_outcome,
        items=known.items,
    )


def keep_head(
    question: Question,
    circumstances: Circumstances,
    context: RequestContext | None,
    status: str,
    headers: list[tuple[str, str]],
) -> None:
    """Keep the head of an answer, where that is one that was given again."""
    if context is None or context.served is None or not isinstance(context.again, WarmAnswer):
        return
    known, served = context.again, context.served
    names = [name for name, _ in headers]
    if names.count(REQUEST_ID) != 1 or not NOT_TO_KEEP.isdisjoint(names):
        return
    if sum(len(each or "") for each in circumstances) > MAX_CIRCUMSTANCES_CHARS:
        return
    id_at = names.index(REQUEST_ID)
    kept = tuple(share(each) for each in headers if each[0] != REQUEST_ID)
    head = Head(share(status), kept, id_at, share(served.route), share(served.action))
    warm_answers.keep_head(question, known, share(circumstances), head)
