"""What a command tells a server of ours is seen by nobody else."""

from __future__ import annotations

import pytest

from booking_api.management.commands.run_demo import is_up
from cache_layer.operating.running_server import ServerUnavailable, validate_on_server
from tests.server import free_port
from tests.strangers import stranger


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_secret_is_not_sent_on(status: int) -> None:
    with (
        stranger() as other,
        stranger(status=status, location=f"{other.base_url}/x") as first,
        pytest.raises(ServerUnavailable),
    ):
        validate_on_server(first.base_url, "Bearer a-secret-of-ours", {})

    assert [headers["Authorization"] for _, _, headers in first.seen] == ["Bearer a-secret-of-ours"]
    assert other.seen == []


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy"])
def test_a_proxy_of_the_environment_hears_of_nothing(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    # urlopen reads the environment once in a process; a command's is new.
    monkeypatch.setattr("urllib.request._opener", None)
    for exempt in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(exempt, raising=False)
    with stranger(body=b'{"data": {}}') as proxy:
        monkeypatch.setenv(variable, proxy.base_url)
        with pytest.raises(ServerUnavailable):
            validate_on_server(f"http://127.0.0.1:{free_port()}", "Bearer a-secret-of-ours", {})
        assert not is_up(f"http://127.0.0.1:{free_port()}/api/health")

    assert proxy.seen == []
