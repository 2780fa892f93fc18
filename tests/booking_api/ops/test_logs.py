"""What a log line may never hold."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest
import stamina
import structlog
from django.conf import settings

from booking_api.ops.logs import configure, mask_secrets


@pytest.fixture
def json_lines() -> Iterator[None]:
    configure({"level": "INFO", "format": "json"})
    yield
    configure(settings.LOGGING)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("asked for ada.lovelace@example.org twice", "asked for <e-mail> twice"),
        ("GET /api?email=ada%40example.org&x=1", "GET /api?email=<e-mail>&x=1"),
        ("from o'brien!x@example.org, too", "from <e-mail>, too"),
        ("from root@localhost", "from <e-mail>"),
        (r'{"email": "ada@ex\u00e4mple.org"}', '{"email": "<e-mail>"}'),
        (
            r'{"event": "asked\nada@example.org\nsaid \"b@example.org\""}',
            r'{"event": "asked\n<e-mail>\nsaid \"<e-mail>\""}',
        ),
        ("Authorization: Bearer abcdefgh12345", "Authorization: Bearer <secret>"),
        ("Authorization: Token 0123456789abcdef", "Authorization: Token <secret>"),
        ("token pat-eu1-1234-5678 was refused", "token <secret> was refused"),
        ("nothing to hide", "nothing to hide"),
    ],
)
def test_e_mails_and_tokens_are_masked_wherever_they_stand(line: str, expected: str) -> None:
    assert mask_secrets(line) == expected


def test_a_line_is_json_and_carries_the_requests_id(
    json_lines: None, capsys: pytest.CaptureFixture[str]
) -> None:
    configure({"level": "INFO", "format": "json"})
    with structlog.contextvars.bound_contextvars(request_id="r-1"):
        structlog.get_logger("test").info("stored", booking="5", email="ada@example.org")

    line = json.loads(capsys.readouterr().err)

    assert line["event"] == "stored"
    assert line["request_id"] == "r-1"
    assert line["email"] == "<e-mail>"


def fail(password: str) -> None:
    raise ValueError("no such user: ada@example.org")


@pytest.mark.parametrize("format_", ["json", "console"])
def test_a_traceback_shows_neither_e_mails_nor_local_variables(
    format_: str, json_lines: None, capsys: pytest.CaptureFixture[str]
) -> None:
    configure({"level": "INFO", "format": format_})
    password = "correct horse"
    try:
        fail(password)
    except ValueError:
        logging.getLogger("library").exception("failed for %s", "ada@example.org")

    written = capsys.readouterr().err

    assert "no such user: <e-mail>" in written
    assert "ada@example.org" not in written
    assert "correct horse" not in written


def test_a_retry_is_not_announced_by_the_library_that_waits(
    json_lines: None, capsys: pytest.CaptureFixture[str]
) -> None:
    configure({"level": "DEBUG", "format": "json"})
    for attempt in stamina.retry_context(on=ValueError, attempts=2, wait_initial=0, wait_jitter=0):
        with attempt:
            if attempt.num == 1:
                raise ValueError

    assert "stamina" not in capsys.readouterr().err


def test_djangos_own_line_is_written_for_exceptions_alone(
    json_lines: None, capsys: pytest.CaptureFixture[str]
) -> None:
    configure({"level": "INFO", "format": "json"})
    logger = logging.getLogger("django.request")
    logger.error("Service Unavailable: /api/ready")
    logger.error("Internal Server Error: /", exc_info=ValueError("why"))

    written = capsys.readouterr().err

    assert "Service Unavailable" not in written
    assert "ValueError: why" in written
