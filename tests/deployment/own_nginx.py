"""An nginx of the test's own, with the configuration of `deploy/nginx/`; of it only ports, places
of files, and the servers behind it are changed."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.deployment.promises import require
from tests.manage import ROOT
from tests.server import Answer, free_port
from tests.waiting import eventually

PROMISE = "NGINX_PROMISED"
NAME = "booking.example.org"
CONFIGURATION = ROOT / "deploy" / "nginx"
ANSWER_TIMEOUT_S = 40
STOP_TIMEOUT_S = 40


def find_nginx() -> str:
    require("openssl", PROMISE)
    return require("nginx", PROMISE)


def make_certificate(folder: Path) -> None:
    """Make a certificate of NAME in `folder`, as an authority would."""
    folder.mkdir()
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    files = ["-keyout", str(folder / "privkey.pem"), "-out", str(folder / "fullchain.pem")]
    names = ["-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}"]
    subprocess.run(
        ["openssl", "req", "-x509", *kind, *files, *names], check=True, capture_output=True
    )


def replace_once(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text, f"{path.name} no longer says {old!r}"
    path.write_text(text.replace(old, new), encoding="utf-8")


@dataclass(slots=True)
class OwnNginx:
    """`folder` is its /etc/nginx. `name` is by which clients ask, `source` where they ask from."""

    binary: str
    folder: Path
    plain_port: int
    tls_port: int
    source: str = "127.0.0.1"
    process: subprocess.Popen[bytes] | None = None

    @property
    def access_log(self) -> str:
        return (self.folder / "access.log").read_text(encoding="utf-8")

    @property
    def error_log(self) -> str:
        return (self.folder / "error.log").read_text(encoding="utf-8")

    def command(self, *arguments: str) -> list[str]:
        owner = " user root;" if os.geteuid() == 0 else ""
        own = f"daemon off; pid {self.folder / 'nginx.pid'};{owner}"
        configuration = str(self.folder / "nginx.conf")
        return [self.binary, "-p", str(self.folder), "-c", configuration, "-g", own, *arguments]

    def start(self) -> None:
        self.process = subprocess.Popen(self.command(), stderr=subprocess.DEVNULL)
        # It listens at one after the other.
        eventually(lambda: connects(self.plain_port) and connects(self.tls_port))

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(timeout=STOP_TIMEOUT_S)
            self.process = None

    def name_servers(self, ports: Sequence[int], *, down: Sequence[int] = ()) -> None:
        """Write which servers are behind it, and which of them are taken out."""
        name = Path("deployment", "upstream.conf")
        text = (CONFIGURATION / name).read_text(encoding="utf-8")
        turn = iter(ports)

        def name_server(match: re.Match[str]) -> str:
            port = next(turn)
            return f"server 127.0.0.1:{port}{match[1]}{' down' if port in down else ''};"

        named = re.sub(r"server [\w.-]+:\d+([^;]*);", name_server, text)
        (self.folder / name).write_text(named, encoding="utf-8")

    def reload(self) -> None:
        """Have it read its configuration anew; return once nobody is served by the old one."""
        before = self._workers()
        subprocess.run(self.command("-s", "reload"), check=True, capture_output=True)
        # The list of children may leave one out while others come and go: proc(5).
        eventually(
            lambda: (
                not any(Path(f"/proc/{worker}").exists() for worker in before)
                and bool(self._workers() - before)
            )
        )

    def connect(self, name: str = NAME) -> ssl.SSLSocket:
        """Return a connection that asks for `name`, its certificate verified."""
        context = ssl.create_default_context(cafile=str(self.folder / "tls" / "fullchain.pem"))
        context.set_alpn_protocols(["http/1.1"])
        raw = socket.create_connection(
            ("127.0.0.1", self.tls_port), timeout=ANSWER_TIMEOUT_S, source_address=(self.source, 0)
        )
        return context.wrap_socket(raw, server_hostname=name)

    def send(
        self,
        method: str,
        target: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        connection = http.client.HTTPConnection(NAME, timeout=ANSWER_TIMEOUT_S)
        connection.sock = self.connect()
        try:
            connection.request(method, target, body, dict(headers or {}))
            response = connection.getresponse()
            content = response.read()
        finally:
            connection.close()
        is_json = response.headers.get_content_type() == "application/json"
        return Answer(
            status=response.status,
            headers={name.lower(): value for name, value in response.getheaders()},
            body=json.loads(content) if is_json else content,
        )

    def _workers(self) -> set[str]:
        assert self.process is not None
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return set(children.read_text().split())


def connects(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def prepare_nginx(folder: Path, ports: Sequence[int]) -> OwnNginx:
    """Return one that has not been started, for servers at these two ports."""
    binary = find_nginx()
    shutil.copytree(CONFIGURATION, folder)
    make_certificate(folder / "tls")
    nginx = OwnNginx(binary, folder, plain_port=free_port(), tls_port=free_port())
    nginx.name_servers(ports)
    site = folder / "booking" / "site.conf"
    replace_once(site, "listen 80", f"listen 127.0.0.1:{nginx.plain_port}")
    replace_once(site, "listen 443", f"listen 127.0.0.1:{nginx.tls_port}")
    replace_once(folder / "nginx.conf", "/var/log/nginx", str(folder))
    replace_once(folder / "booking" / "log.conf", "/var/log/nginx", str(folder))
    kinds = ("client_body", "proxy", "fastcgi", "scgi", "uwsgi")
    places = "".join(f"{kind}_temp_path {folder}/temp_{kind};\n" for kind in kinds)
    (folder / "booking" / "places.conf").write_text(places)
    return nginx


@contextmanager
def running_nginx(folder: Path, ports: Sequence[int]) -> Iterator[OwnNginx]:
    nginx = prepare_nginx(folder, ports)
    nginx.start()
    try:
        yield nginx
    finally:
        nginx.stop()
