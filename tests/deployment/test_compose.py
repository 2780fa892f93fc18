"""`compose.yaml`, by the published schema, and what its services are promised to be."""

from __future__ import annotations

import ipaddress
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from booking_api.env_variables import VARIABLES
from tests.manage import ROOT

FOLDER = ROOT / "deploy" / "compose"
SCHEMA = Path(__file__).parent / "compose_spec" / "compose-spec.json"
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
SERVERS = ("api-1", "api-2")


def test_it_is_what_the_schema_says() -> None:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))

    errors = [error.message for error in Draft202012Validator(schema).iter_errors(COMPOSE)]

    assert errors == []


def test_the_schema_would_tell() -> None:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    wrong = COMPOSE | {"services": {"api-1": {"image": "a", "read-only": True}}}

    assert list(Draft202012Validator(schema).iter_errors(wrong)) != []


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_as_little_as_it_needs(name: str) -> None:
    service = SERVICES[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert re.fullmatch(r"[1-9]\d*:\d+", service["user"])
    assert {"cpus", "memory"} <= set(service["deploy"]["resources"]["limits"])
    # The image has one for servers; migrations end.
    assert "build" in service or "test" in service["healthcheck"]
    if "build" not in service:
        assert re.search(r":v?\d+\.\d+(\.\d+)?(-\w+)?$", service["image"]), "pinned"


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_service_is_given_is_there(name: str) -> None:
    service = SERVICES[name]

    for volume in service.get("volumes", []):
        source, _, _ = volume.partition(":")
        # What a deployment adds is made by it, see deploy/compose/README.md.
        if source.startswith("./") and source != "./deploy/compose/tls":
            assert (ROOT / source).exists(), source
        elif not source.startswith("./"):
            assert source in COMPOSE["volumes"]
        if source.startswith("./"):
            assert volume.endswith(":ro")
    for secret in service.get("secrets", []):
        assert (secret if isinstance(secret, str) else secret["source"]) in COMPOSE["secrets"]
    for other in service.get("depends_on", {}):
        assert other in SERVICES
    assert set(service["networks"]) <= set(COMPOSE["networks"])


def test_only_nginx_is_reached_from_elsewhere() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}

    assert published.pop("nginx") == ["80:80", "443:443"]
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)
    for name in ("postgres", "redis"):
        assert SERVICES[name]["networks"] == ["backend"]
    assert COMPOSE["networks"]["backend"]["internal"] is True


def test_no_server_starts_before_its_database_is_migrated() -> None:
    for name in SERVERS:
        conditions = {key: each["condition"] for key, each in SERVICES[name]["depends_on"].items()}
        assert conditions == {
            "migrate": "service_completed_successfully",
            "postgres": "service_healthy",
            "redis": "service_healthy",
        }


@pytest.mark.parametrize("name", SERVERS)
def test_every_variable_is_one_of_ours_and_each_file_is_a_secret_that_is_handed_over(
    name: str,
) -> None:
    service = SERVICES[name]

    for variable, value in service["environment"].items():
        assert variable.removesuffix("_FILE") in VARIABLES
        if variable.endswith("_FILE"):
            assert value.removeprefix("/run/secrets/") in service["secrets"]


def test_the_addresses_that_are_believed_are_the_ones_that_services_have() -> None:
    networks = {
        name: ipaddress.ip_network(network["ipam"]["config"][0]["subnet"])
        for name, network in COMPOSE["networks"].items()
        if network and "ipam" in network
    }
    told = SERVICES["api-1"]["environment"]

    proxy = SERVICES["nginx"]["networks"]["edge"]["ipv4_address"]
    assert told["TRUSTED_PROXIES"] == proxy
    assert told["METRICS_NETWORKS"].split(",")[1] == str(networks["monitoring"])
    addresses = [proxy, *(SERVICES[name]["networks"]["edge"]["ipv4_address"] for name in SERVERS)]
    assert len(set(addresses)) == len(addresses)
    assert all(ipaddress.ip_address(address) in networks["edge"] for address in addresses)


def test_nginx_and_prometheus_know_each_server() -> None:
    upstream = (FOLDER / "nginx" / "upstream.conf").read_text(encoding="utf-8")
    prometheus = yaml.safe_load((FOLDER / "prometheus.yml").read_text(encoding="utf-8"))
    example = yaml.safe_load(
        (ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text(encoding="utf-8")
    )

    assert re.findall(r"^\s*server (\S+):8000", upstream, re.MULTILINE) == list(SERVERS)
    (job,) = prometheus["scrape_configs"]
    assert job["static_configs"] == [{"targets": [f"{name}:8000" for name in SERVERS]}]
    # But for addresses it is the one that `make alerts` tries.
    job["static_configs"] = example["scrape_configs"][0]["static_configs"]
    prometheus["alerting"] = example["alerting"]
    assert prometheus == example


def test_what_nginx_is_told_differs_from_the_example_by_its_servers_alone() -> None:
    for path in (ROOT / "deploy" / "nginx" / "deployment").iterdir():
        if path.name != "upstream.conf":
            assert (FOLDER / "nginx" / path.name).exists()
    mine, example = (
        re.sub(r"server \S+", "server", (folder / "upstream.conf").read_text(encoding="utf-8"))
        for folder in (FOLDER / "nginx", ROOT / "deploy" / "nginx" / "deployment")
    )
    assert mine == example


def made_secrets(folder: Path, answers: str) -> Iterator[tuple[str, str]]:
    script = FOLDER / "make_secrets.sh"
    done = subprocess.run(
        ["sh", script, folder], input=answers, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    for path in folder.iterdir():
        yield path.name, path.read_text(encoding="utf-8")


def test_the_script_keeps_no_empty_token(tmp_path: Path) -> None:
    """It would not ask again, and the servers would not start."""
    folder = tmp_path / "secrets"
    with pytest.raises(AssertionError, match=r"It is needed|Operation not permitted"):
        dict(made_secrets(folder, "\n"))

    assert not (folder / "hubspot-token").exists()


def test_the_script_makes_each_secret_once_and_for_its_reader_alone(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    try:
        made = dict(made_secrets(folder, "pat-eu1-1\nclient-secret\nkey\nhttps://chat\n"))
    except AssertionError as error:
        if "Operation not permitted" in str(error):
            pytest.skip("only root can give files away")
        raise

    assert set(made) == set(COMPOSE["secrets"])
    assert (made["hubspot-token"], made["chat-address"]) == ("pat-eu1-1", "https://chat")
    assert len(made["secret-key"]) >= 50
    assert (
        made["database-url"] == f"postgres://booking:{made['database-password']}@postgres/booking"
    )
    assert dict(made_secrets(folder, "another\n" * 4)) == made, "what is there stays"
    users = {
        (secret if isinstance(secret, str) else secret["source"]): service["user"].split(":")[0]
        for service in SERVICES.values()
        for secret in service.get("secrets", [])
    }
    for path in folder.iterdir():
        status = path.stat()
        assert (str(status.st_uid), status.st_mode & 0o777) == (users[path.name], 0o400), path.name
