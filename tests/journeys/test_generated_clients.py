"""Clients that generators make of our schema, used against the API over a socket."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.builders import Portal
from tests.desk import create_body
from tests.published_schema import ACCEPT
from tests.server import Server

PACKAGE = "generated_booking_client"
TYPESCRIPT = Path(__file__).resolve().parents[1] / "typescript"
TOOLS = TYPESCRIPT / "node_modules" / ".bin"
PROMISED = "TYPESCRIPT_PROMISED" in os.environ
NODE = shutil.which("node")


@pytest.fixture(scope="module")
def schema_file(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The schema as a user downloads it."""
    path = tmp_path_factory.mktemp("schema") / "schema.json"
    path.write_bytes(server.send("GET", "/api/schema", **ACCEPT).body)
    return path


def run(*command: str | Path, cwd: Path) -> str:
    ran = subprocess.run(
        command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout
    return ran.stdout


@pytest.fixture
def generated(schema_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Python client in a folder that Python imports from."""
    (tmp_path / "generator.yml").write_text("post_hooks: []\n", encoding="utf-8")
    said = run(
        *(sys.executable, "-m", "openapi_python_client", "generate", "--meta", "none"),
        *("--path", schema_file, "--output-path", tmp_path / PACKAGE),
        *("--config", tmp_path / "generator.yml", "--fail-on-warning"),
        cwd=tmp_path,
    )
    assert "WARNING" not in said.upper()
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path / PACKAGE


def imported(path: str) -> Any:
    return importlib.import_module(f"{PACKAGE}.{path}")


@pytest.fixture
def ask(generated: Path, server: Server) -> Iterator[Callable[..., Any]]:
    """Calls an operation by the name of its group and its own, through the generated client."""
    with imported("client").Client(base_url=server.base_url) as client:

        def ask(operation: str, *arguments: Any, **options: Any) -> Any:
            return imported(f"api.{operation}").sync(*arguments, client=client, **options)

        yield ask


def test_a_generated_python_client_books_changes_and_cancels(
    ask: Callable[..., Any], portal: Portal
) -> None:
    alice, exam = portal.student("alice"), portal.exam()
    models = imported("models")

    mock_type = models.ListAvailableExamsMockType(exam.mock_type)
    offered = ask("mock_exams.list_available_exams", mock_type=mock_type).data
    assert [(one.mock_exam_id, one.available_slots) for one in offered] == [(exam.id, 20)]
    asked = {**alice.pair, "mock_type": exam.mock_type}
    credits_ = ask("mock_exams.validate_credits", body=models.CreditsRequest.from_dict(asked)).data
    assert (credits_.eligible, credits_.contact_id) == (True, alice.id)

    body = models.CreateRequest.from_dict(create_body(alice, exam))
    booked = ask("bookings.create_booking", body=body, idempotency_key="a-key").data
    again = ask("bookings.create_booking", body=body, idempotency_key="a-key").data
    assert again.booking_record_id == booked.booking_record_id
    assert again.idempotent_request is True
    record_id = booked.booking_record_id
    listed = ask("bookings.list_bookings", **alice.pair).data
    assert [(one.id, one.status) for one in listed.bookings] == [(record_id, "scheduled")]

    change = models.UpdateRequest.from_dict({**alice.pair, "attending_location": "Room 7"})
    assert ask("bookings.update_booking", record_id, body=change).data.booking.id == record_id
    seen = ask("bookings.get_booking", record_id, **alice.pair).data.booking
    assert seen.attending_location == "Room 7"

    by_body = models.CancelRequest.from_dict({**alice.pair, "reason": "ill"})
    canceled = ask("bookings.cancel_booking", record_id, body=by_body).data
    assert (canceled.status, canceled.reason) == ("cancelled", "ill")
    refused = ask("bookings.cancel_booking", record_id, **alice.pair)
    assert isinstance(refused, models.AlreadyCanceledError)
    assert refused.code == models.AlreadyCanceledErrorCode.ALREADY_CANCELED
    second = ask("bookings.create_booking", body=body, idempotency_key="b-key").data
    gone = ask("bookings.cancel_booking", second.booking_record_id, **alice.pair).data
    assert gone.credit_restoration.new_balance == 5
    nobody = ask("bookings.list_bookings", student_id="S9999", email=alice.email)
    assert nobody.code == "AUTH_FAILED"


@pytest.mark.skipif(
    (NODE is None or not TOOLS.is_dir()) and not PROMISED,
    reason="no openapi-typescript here; npm ci --prefix tests/typescript",
)
def test_generated_typescript_types_fit_a_client(schema_file: Path, tmp_path: Path) -> None:
    run(TOOLS / "openapi-typescript", schema_file, "-o", tmp_path / "schema.ts", cwd=tmp_path)
    shutil.copy(TYPESCRIPT / "client.ts", tmp_path)

    # With `@ts-expect-error` it says itself what must not fit.
    options = ("--noEmit", "--strict", "--skipLibCheck", "--target", "es2022")
    run(TOOLS / "tsc", *options, "client.ts", cwd=tmp_path)
