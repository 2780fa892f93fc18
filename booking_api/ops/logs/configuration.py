"""structlog over the standard library's logging: one line an event, on the console or as JSON.

What must never be logged is masked when a record is made, so that every handler there is or will be
gets it masked. What Python itself would write to stderr, of an
exception that nobody caught or a warning, goes the same way. Below INFO only this project's own
loggers speak: a library's debug lines are made of data, of statements with their parameters and
templates with their variables.
"""

from __future__ import annotations

import json
import logging
import logging.config
import os
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any, cast

import structlog
from django.db import Error as DatabaseFailure
from stamina.instrumentation import set_on_retry_hooks
from structlog.typing import EventDict, Processor, WrappedLogger
from typing_extensions import override

from booking_api.ops.logs.line_handler import LineHandler
from booking_api.ops.redaction import Redaction
from hubspot_sync.errors import HubSpotError

OWN_PACKAGES = ("booking_api", "hubspot_sync", "cache_layer")


def find_exceptions(error: BaseException) -> Iterator[BaseException]:
    """Yield it and all that a traceback shows with it."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        found = waiting.pop()
        if found is None or id(found) in seen:
            continue
        seen.add(id(found))
        yield found
        waiting += [found.__cause__, found.__context__]
        if isinstance(found, BaseExceptionGroup):
            waiting += found.exceptions


def describe_exception(error: BaseException) -> str:
    """Return its traceback, without local variables, and of what HubSpot and the database said only
    the part that quotes no value."""
    text = "".join(traceback.format_exception(error)).rstrip()
    for found in find_exceptions(error):
        said = shown = str(found)
        if isinstance(found, HubSpotError):
            shown = found.safe_text
        elif isinstance(found, DatabaseFailure):
            shown = said.partition("\n")[0]
        if said != shown:
            text = text.replace(said, shown)
    return text


def describe_exc_info(exc_info: tuple[Any, BaseException | None, Any] | tuple[Any, ...]) -> str:
    return "" if exc_info[1] is None else describe_exception(exc_info[1])


class RecordFactory:
    """Makes records whose text, traceback and event are masked, for whatever handler."""

    def __init__(self, redaction: Redaction) -> None:
        self.redaction = redaction

    def __call__(
        self,
        name: str,
        level: int,
        fn: str,
        lno: int,
        msg: Any,
        args: Any,
        exc_info: Any,
        func: str | None = None,
        sinfo: str | None = None,
    ) -> logging.LogRecord:
        record = logging.LogRecord(name, level, fn, lno, msg, args, None, func, sinfo)
        if isinstance(msg, Mapping):  # structlog's event
            record.msg = self.redaction.value(msg)
        elif msg != "":
            record.msg, record.args = self.redaction.text(write_message(record)), ()
        if exc_info:
            record.exc_text = self.redaction.text(describe_exc_info(exc_info)) or None
        if sinfo:
            record.stack_info = self.redaction.text(sinfo)
        return record


class WrittenRecord(logging.LogRecord):
    """structlog's event as a record, and as the JSON line that would be made of it. Whoever makes
    one has found nothing in it to mask."""

    def __init__(self, logger: str, level: int, event: Mapping[str, Any], json_line: str) -> None:
        super().__init__(logger, level, "", 0, event, (), None)
        self._name = logging.getLevelName(level).lower()
        self.json_line = json_line


def write_message(record: logging.LogRecord) -> str:
    """Return the record's text. One that cannot be written is told as that: logging would show the
    arguments instead."""
    try:
        return record.getMessage()
    except Exception as error:  # noqa: BLE001 - whatever an argument's own code raises
        return f"A message of {record.name} cannot be written: {type(error).__name__}"


def make_foreign_masker(redaction: Redaction) -> Processor:
    """Return a processor for records that are not structlog's: it shows their traceback, and masks
    what the processors before it have added, as a request's id that its sender chose."""

    def mask(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        record: logging.LogRecord = event["_record"]
        shown = {name: value for name, value in event.items() if not name.startswith("_")}
        if record.exc_text is not None:
            shown["exception"] = record.exc_text
        event.update(redaction.value(shown))
        return event

    return mask


class LineFormatter(structlog.stdlib.ProcessorFormatter):
    """structlog's, without its copy of the record for events of structlog's own, which `renderer`
    leaves as they are."""

    def __init__(self, *, renderer: Processor, foreign_pre_chain: list[Processor]) -> None:
        remove_meta = structlog.stdlib.ProcessorFormatter.remove_processors_meta
        super().__init__(processors=[remove_meta, renderer], foreign_pre_chain=foreign_pre_chain)
        self._renderer = renderer
        self._is_json = isinstance(renderer, structlog.processors.JSONRenderer)

    @override
    def format(self, record: logging.LogRecord) -> str:
        if self._is_json and isinstance(record, WrittenRecord):
            return record.json_line
        name = getattr(record, "_name", None)
        if name is None or record.exc_text or record.stack_info:
            return super().format(record)
        return str(self._renderer(None, name, dict(cast(Any, record.msg))))


# One for all lines: `json.dumps` makes another for each.
_encoder = json.JSONEncoder(default=repr)


def write_json(event: Any, **_: Any) -> str:
    return _encoder.encode(event)


class WithCause(logging.Filter):
    """Lets exceptions pass, and not Django's line for every 4xx and 5xx: each request has one."""

    @override
    def filter(self, record: logging.LogRecord) -> bool:
        return record.exc_text is not None


def report_uncaught(
    error_type: type[BaseException], error: BaseException, where: TracebackType | None
) -> None:
    if issubclass(error_type, KeyboardInterrupt):
        sys.__excepthook__(error_type, error, where)
        return
    logging.getLogger(__name__).critical("Uncaught exception", exc_info=error)


def report_uncaught_in_thread(what: threading.ExceptHookArgs) -> None:
    if what.exc_value is not None and not isinstance(what.exc_value, SystemExit):
        logging.getLogger(__name__).critical("Uncaught exception", exc_info=what.exc_value)


def report_unraisable(
    what: sys.UnraisableHookArgs,
    is_ending: Callable[[], bool] = sys.is_finalizing,
    write: Callable[[int, bytes], int] = os.write,
) -> None:
    # As Python ends it takes modules apart, this one too: nothing that is not held here is there
    # any more, nor what would mask the message.
    if is_ending():
        name = what.exc_type.__name__
        write(2, f"Exception ignored while the process ended: {name}\n".encode())
        return
    logging.getLogger(__name__).error("Exception ignored", exc_info=what.exc_value)


def take_over_stderr() -> None:
    """Log what Python would write there by itself. Whoever has set a hook of their own keeps it."""
    logging.captureWarnings(capture=True)
    if sys.excepthook is sys.__excepthook__:
        sys.excepthook = report_uncaught
    if threading.excepthook is threading.__excepthook__:
        threading.excepthook = report_uncaught_in_thread
    if sys.unraisablehook is sys.__unraisablehook__:
        sys.unraisablehook = report_unraisable


def configure(config: Mapping[str, Any]) -> None:
    """Set up logging as `config` says: its `level`; its `format`, console or json; and its
    `secrets`, texts that no line may have in it."""
    redaction = Redaction(config.get("secrets", ()))
    logging.setLogRecordFactory(RecordFactory(redaction))
    # No line shows them, and to find them out is a third of making a record.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    take_over_stderr()
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: Processor = structlog.dev.ConsoleRenderer(colors=False)
    if config["format"] == "json":
        renderer = structlog.processors.JSONRenderer(write_json)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.processors.ExceptionRenderer(describe_exc_info),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    # The ledger counts retries, and the transport logs each call: a line for each wait would say it
    # twice.
    set_on_retry_hooks(())
    lines = {
        "()": LineFormatter,
        "foreign_pre_chain": [*shared, make_foreign_masker(redaction)],
        "renderer": renderer,
    }
    logging.config.dictConfig(logging_config(config["level"], lines))


def logging_config(level: str, lines: dict[str, Any]) -> dict[str, Any]:
    others = "INFO" if level == "DEBUG" else level
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"lines": lines},
        "filters": {"with_cause": {"()": WithCause}},
        "handlers": {"stderr": {"()": LineHandler, "formatter": "lines"}},
        "root": {"handlers": ["stderr"], "level": others},
        "loggers": {
            **{package: {"level": level} for package in OWN_PACKAGES},
            # Its lines repeat every request's address, e-mails included.
            "urllib3": {"level": "WARNING"},
            # Several lines a second while the database is away; whoever needs it says so.
            "psycopg.pool": {"level": "ERROR"},
            **{
                name: {"handlers": [], "level": others, "propagate": True}
                for name in ("django", "django.db.backends", "django.server", "django.template")
            },
            "django.request": {"filters": ["with_cause"]},
        },
    }
