"""structlog over the standard library's logging: one line an event, on the console or as JSON.

What must never be logged, e-mail addresses and tokens, is masked in the finished line, wherever in
it they came from: a query, a traceback, a library's own message.
"""

from __future__ import annotations

import logging.config
import re
from collections.abc import Mapping
from typing import Any

import structlog
from stamina.instrumentation import set_on_retry_hooks
from structlog.typing import Processor
from typing_extensions import override

# A JSON line stays JSON: the n of an escaped line end is no part of the address behind it, and the
# letters beyond ASCII of one are written as escapes. No address has more than 64 characters before
# its @, and without a bound a long word would be searched from each of its letters to its end.
LABEL = r"(?:[\w-]|\\u[0-9a-f]{4})+"
E_MAIL = re.compile(
    rf"(?<!\\)[\w+%!#*^{{|}}~][\w.+%!#*'^`{{|}}~-]{{0,63}}(?:@|%40){LABEL}(?:\.{LABEL})*"
)
SECRETS = (
    (E_MAIL, "<e-mail>"),
    (re.compile(r"(?i)\b(bearer|token)\s+[\w.~+/=-]{8,}"), r"\1 <secret>"),
    (re.compile(r"\bpat-[\w-]+"), "<secret>"),
)


def mask_secrets(line: str) -> str:
    """Return `line` without e-mail addresses and tokens."""
    for pattern, replacement in SECRETS:
        line = pattern.sub(replacement, line)
    return line


class MaskingFormatter(structlog.stdlib.ProcessorFormatter):
    @override
    def format(self, record: logging.LogRecord) -> str:
        return mask_secrets(super().format(record))


class WithCause(logging.Filter):
    """Lets exceptions pass, and not Django's line for every 4xx and 5xx: each request has one."""

    @override
    def filter(self, record: logging.LogRecord) -> bool:
        return record.exc_info is not None


def configure(config: Mapping[str, str]) -> None:
    """Set up logging as `config` says: its `level`, and its `format`, console or json."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    # The libraries' prettier tracebacks show local variables: tokens and e-mails, cut into lines.
    renderer: Processor = structlog.dev.ConsoleRenderer(
        colors=False, exception_formatter=structlog.dev.plain_traceback
    )
    if config["format"] == "json":
        shared.append(structlog.processors.format_exc_info)
        renderer = structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    # The ledger counts retries, and the transport logs each call: a line for each wait would say it
    # twice.
    set_on_retry_hooks(())
    logging.config.dictConfig(logging_config(config["level"], shared, renderer))


def logging_config(level: str, shared: list[Processor], renderer: Processor) -> dict[str, Any]:
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "lines": {
                "()": MaskingFormatter,
                "foreign_pre_chain": shared,
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    renderer,
                ],
            }
        },
        "filters": {"with_cause": {"()": WithCause}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "lines"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            # Their debug lines repeat every request's address, e-mails included.
            "urllib3": {"level": "WARNING"},
            "django": {"handlers": [], "level": level, "propagate": True},
            "django.server": {"handlers": [], "level": level, "propagate": True},
            "django.request": {"filters": ["with_cause"]},
        },
    }
