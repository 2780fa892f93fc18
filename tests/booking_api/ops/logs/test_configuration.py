"""What a log line may never hold."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
from collections.abc import Iterator

import pytest
import stamina
import structlog
from django.conf import settings
from django.db import IntegrityError
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from booking_api.ops.logs.configuration import configure
from booking_api.ops.redaction import Redaction
from hubspot_sync.errors import Refused


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
    assert Redaction().text(line) == expected


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


class Unwilling:
    """Cannot be written."""

    def __str__(self) -> str:
        raise ValueError("ada@example.org")


@pytest.fixture
def others_lines(json_lines: None) -> Iterator[io.StringIO]:
    """What a handler that somebody added later is given, formatted in its own way."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(message)s %(args)s %(msg)s %(exc_info)s"))
    logging.getLogger().addHandler(handler)
    yield stream
    logging.getLogger().removeHandler(handler)


def test_every_handler_gets_what_is_masked(others_lines: io.StringIO) -> None:
    library = logging.getLogger("library")
    library.warning("for %s", "ada@example.org")
    library.warning({"email": "ada@example.org", "rows": [{"student_id": "S1001"}]})
    library.warning("%(email)s", {"email": "ada@example.org"})
    library.warning("%d of %s", "ada@example.org", "S1001")
    library.warning("%s ada@example.org", Unwilling())
    structlog.get_logger("ours").warning("stored", student_id="S1001", who="ada@example.org")
    try:
        fail("correct horse")
    except ValueError:
        library.exception("failed", stack_info=True)
        structlog.get_logger("ours").exception("failed")

    written = others_lines.getvalue()

    assert written.count("<e-mail>") >= 7
    assert "ValueError: no such user: <e-mail>" in written
    assert "ada@" not in written
    assert "S1001" not in written


def refuse() -> None:
    said = 'duplicate key "x"\nDETAIL:  Key (name)=(Ada\nLovelace) already exists.'
    cause = Refused("Ada Lovelace is no number", status=400, category="VALIDATION_ERROR")
    raise IntegrityError(said) from cause


def test_of_what_hubspot_and_the_database_say_only_what_quotes_no_value_is_logged(
    json_lines: None, capsys: pytest.CaptureFixture[str]
) -> None:
    configure({"level": "INFO", "format": "json"})
    try:
        refuse()
    except IntegrityError as error:
        structlog.get_logger("ours").exception("row_left_out")
        library = logging.getLogger("library")
        library.warning("failed: %s", error, exc_info=error)
        library.warning("failed", exc_info=ExceptionGroup("several", [error]))

    written = capsys.readouterr().err

    assert written.count("duplicate key") >= 4
    assert "HubSpot refused with 400" in written
    assert "Ada" not in written
    assert "Lovelace" not in written


@pytest.mark.parametrize("level", ["DEBUG", "INFO", "ERROR"])
def test_libraries_do_not_speak_below_info_whatever_the_level(
    level: str, json_lines: None, capsys: pytest.CaptureFixture[str]
) -> None:
    configure({"level": level, "format": "json"})
    names = ("django.db.backends", "django.template", "asyncio", "library", "urllib3")
    for name in (*names, "booking_api.x", "hubspot_sync.x", "cache_layer.x"):
        logging.getLogger(name).debug("speaks: %s", name)

    spoken = [json.loads(line)["logger"] for line in capsys.readouterr().err.splitlines()]

    own = ["booking_api.x", "hubspot_sync.x", "cache_layer.x"]
    assert spoken == (own if level == "DEBUG" else [])


def test_known_secrets_are_masked_in_every_line(
    json_lines: None, capsys: pytest.CaptureFixture[str]
) -> None:
    configure({"level": "INFO", "format": "console", "secrets": ["a-cron-secret"]})
    logging.getLogger("library").warning("went to /x/a-cron-secret/y")
    structlog.get_logger("ours").warning("went", to="xa-cron-secrety")

    assert "cron-secret" not in capsys.readouterr().err


SCRIPT = """
import threading, warnings
from booking_api.ops.logs.configuration import configure
configure({"level": "INFO", "format": "console"})
class Bad:
    def __del__(self):
        raise ValueError("ada@example.org 1")
def fail(n):
    raise ValueError(f"ada@example.org {n}")
Bad()
thread = threading.Thread(target=fail, args=(2,)); thread.start(); thread.join()
warnings.warn("ada@example.org 3")
fail(4)
"""


def test_what_python_itself_writes_of_exceptions_and_warnings_is_masked() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", SCRIPT], capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    for number in (1, 2, 3, 4):
        assert f"<e-mail> {number}" in done.stderr
    assert "ada@" not in done.stderr


ENDING_SCRIPT = """
import threading
from booking_api.ops.logs.configuration import configure
configure({"level": "INFO", "format": "console"})
class Bad:
    def __del__(self):
        raise ValueError("ada@example.org")
threading.kept = Bad()  # until that module is taken apart, after ours
"""


def test_an_exception_while_python_ends_is_named_without_its_message() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ENDING_SCRIPT], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0
    assert done.stderr == "Exception ignored while the process ended: ValueError\n"


WORDS = st.sampled_from(
    [
        *(
            "student_id",
            "email",
            "=",
            ": ",
            '"',
            "'",
            "\\",
            "@",
            "example.org",
            "S1001",
            "{",
            "[",
            "]",
        ),
        *(
            "\n",
            "DETAIL: ",
            "://",
            "Bearer ",
            "cookie: a=b; ",
            "/api/bookings/",
            "ü",
            "%40",
            ",",
            " ",
        ),
    ]
)


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.lists(WORDS, max_size=14).map("".join))
def test_a_json_line_stays_json_whatever_is_masked_in_it(
    text: str, json_lines: None, capsys: pytest.CaptureFixture[str]
) -> None:
    configure({"level": "INFO", "format": "json"})
    logging.getLogger("library").warning("%s", text)
    structlog.get_logger("ours").warning(text, said=text, email=text)

    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]

    assert [line["logger"] for line in lines] == ["library", "ours"]


def test_a_pool_that_tries_again_and_again_leaves_it_to_others_to_say_so(
    json_lines: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """Dozens of lines a second, for as long as the database is away."""
    configure({"level": "INFO", "format": "json"})
    logging.getLogger("psycopg.pool").warning("error connecting in %r: %s", "pool-1", "refused")
    logging.getLogger("psycopg.pool").error("speaks")

    assert [json.loads(line)["event"] for line in capsys.readouterr().err.splitlines()] == [
        "speaks"
    ]
