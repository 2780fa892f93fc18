"""The image and its container without an engine: `python -m tests.deployment.container`.

To be run as root in a namespace of its own for mounts (`unshare --mount`).
Each stage of the Dockerfile is a root directory laid over this machine's, in which its COPY and RUN
steps are taken as they are written; the last one is made read-only, and its entry point runs as its
user with what compose.yaml lets it write. What is seen goes to the standard output, as JSON.

Without `--install` the packages are this Python's own; with it they are installed, as in an image.
"""

from __future__ import annotations

import ctypes
import fnmatch
import http.client
import json
import os
import shlex
import shutil
import signal
import site
import socket
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from dockerfile_parse import DockerfileParser

ROOT = Path(__file__).resolve().parents[2]
PORT = 8000
CLONE_NEWNET = 0x40000000
IP = shutil.which("ip", path="/usr/sbin:/usr/bin:/sbin:/bin") or "ip"
CHROOT = shutil.which("chroot", path="/usr/sbin:/usr/bin:/sbin:/bin") or "chroot"
TRIES, PAUSE_S = 600, 0.1
SILENT_HUBSPOT = ("127.0.0.1", 8999)
SECRETS = {
    "SECRET_KEY": "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "HS_PRIVATE_APP_TOKEN": "pat-eu1-00000000",
    "HUBSPOT_WEBHOOK_SECRET": "yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy",
    "CRON_SECRET": "a-secret-of-the-scheduler",
}
PLACES = ("/", "/app", "/opt/venv", "/etc", "/var", "/usr/local/bin", "/tmp")  # noqa: S108 - asked of


@dataclass(slots=True)
class Stage:
    """A stage's root, and what its steps have said so far of whoever runs in it."""

    root: Path
    environment: dict[str, str] = field(default_factory=dict)
    workdir: str = "/"
    user: str = "0:0"
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    healthcheck: list[str] = field(default_factory=list)

    def run(self, command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.wrap(command),
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            **options,
        )

    def wrap(self, command: list[str]) -> list[str]:
        """Return the command as this stage's user runs it, without any right."""
        uid, gid = self.user.split(":")
        there = f"cd {shlex.quote(self.workdir)} && exec {shlex.join(command)}"
        limits = [] if uid == "0" else ["--no-new-privs", "--bounding-set=-all"]
        as_user = ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups", *limits]
        return [CHROOT, str(self.root), *as_user, "sh", "-c", there]


def mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


def open_stage(folder: Path) -> Stage:
    """Return a stage whose root is this machine's, of which nothing will be changed."""
    root, upper, work = (folder / name for name in ("root", "upper", "work"))
    for path in (root, upper, work):
        path.mkdir(parents=True)
    mount(
        "-t", "overlay", "overlay", "-o", f"lowerdir=/,upperdir={upper},workdir={work}", str(root)
    )
    mount("--rbind", "/dev", str(root / "dev"))
    mount("-t", "proc", "proc", str(root / "proc"))
    # For steps that do not install any; under /tmp, it may be, nobody would find them later.
    (root / "packages").mkdir()
    mount("--bind", site.getsitepackages()[0], str(root / "packages"))
    # What the base image is: a Python that everybody may run.
    python = Path(sys.executable).resolve()
    stage = Stage(root, environment={"PATH": f"{python.parent}:/usr/local/bin:/usr/bin:/bin"})
    link = root / python.parent.relative_to("/") / "python"
    if not link.exists():
        link.symlink_to(python.name)
    for parent in python.parents:
        inside = root / parent.relative_to("/")
        inside.chmod(inside.stat().st_mode | 0o111)
    return stage


def copy_context(target: Path) -> None:
    """Copy what the repository has and `.dockerignore` lets through."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "-z"], cwd=ROOT, capture_output=True, check=True
    )
    rules = [
        line
        for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
    ]
    for name in listed.stdout.decode().split("\0"):
        if name and (ROOT / name).is_file() and is_sent(name, rules):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target / name)


def is_sent(name: str, rules: list[str]) -> bool:
    """Whether an engine is sent the file: the last rule for it or a folder of it decides."""
    parts = name.split("/")
    prefixes = ["/".join(parts[: end + 1]) for end in range(len(parts))]
    sent = True
    for rule in rules:
        pattern = rule.removeprefix("!").removeprefix("**/")
        candidates = [*prefixes, *(parts if "**/" in rule else [])]
        if any(fnmatch.fnmatchcase(candidate, pattern) for candidate in candidates):
            sent = rule.startswith("!")
    return sent


def take_steps(folder: Path, *, installs: bool) -> Stage:
    """Take all steps of the Dockerfile; return its last stage."""
    context = folder / "context"
    copy_context(context)
    parser = DockerfileParser(str(ROOT / "Dockerfile"))
    stages: dict[str, Stage] = {}
    stage = Stage(folder)
    for step in parser.structure:
        instruction, value = step["instruction"], step["value"]
        if instruction == "FROM":
            name = value.partition(" AS ")[2] or "last"
            stage = stages[name] = open_stage(folder / name)
        elif instruction != "COMMENT":
            take_step(stage, instruction, value, context, stages, installs=installs)
    return stage


def take_step(
    stage: Stage,
    instruction: str,
    value: str,
    context: Path,
    stages: dict[str, Stage],
    *,
    installs: bool,
) -> None:
    match instruction:
        case "ENV":
            pairs = (pair.partition("=") for pair in shlex.split(value))
            given = {
                name: text.replace("$PATH", stage.environment["PATH"]) for name, _, text in pairs
            }
            stage.environment |= given
        case "WORKDIR":
            stage.workdir = value
            (stage.root / value.lstrip("/")).mkdir(parents=True, exist_ok=True)
        case "COPY":
            copy(stage, value, context, stages)
        case "RUN":
            run_step(stage, value, installs=installs)
        case "USER":
            stage.user = value
        case "ENTRYPOINT":
            stage.entrypoint = json.loads(value)
        case "CMD":
            stage.command = json.loads(value)
        case "HEALTHCHECK":
            stage.healthcheck = json.loads(value[value.index("CMD") + 3 :])
        case "EXPOSE":
            assert int(value) == PORT
        case _:
            raise ValueError(f"{instruction} is not known here")


def copy(stage: Stage, value: str, context: Path, stages: dict[str, Stage]) -> None:
    words = value.split()
    source_root = context
    if words[0].startswith("--from="):
        source_root = stages[words.pop(0).removeprefix("--from=")].root
    source = source_root / words[0].lstrip("/")
    target = stage.root / (Path(stage.workdir) / words[1]).relative_to("/")
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
    else:
        target = target / source.name if words[1].endswith("/") else target
        shutil.copy(source, target)


def run_step(stage: Stage, value: str, *, installs: bool) -> None:
    if "-m pip " in value and not installs:
        place = "import sysconfig; print(sysconfig.get_path('purelib'))"
        found = stage.run(["/opt/venv/bin/python", "-c", place]).stdout.strip()
        (stage.root / found.lstrip("/") / "packages.pth").write_text("/packages")
        return
    done = stage.run(["sh", "-c", value])
    if done.returncode != 0:
        raise RuntimeError(f"RUN {value}: {done.stdout}{done.stderr}")


def restrict(stage: Stage) -> None:
    """Leave the container what compose.yaml leaves it: a tree to read, and its `tmpfs`."""
    service = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"][
        "api-1"
    ]
    assert service["read_only"] is True
    assert service["user"] == stage.user
    mount("-o", "remount,ro", str(stage.root))
    for line in service["tmpfs"]:
        place, _, options = line.partition(":")
        mount("-t", "tmpfs", "-o", options, "tmpfs", str(stage.root / place.lstrip("/")))


def leave_network() -> None:
    """Go on in a network of one's own, in which no port is taken, unshare(2)."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "no namespace for the network")
    subprocess.run([IP, "link", "set", "lo", "up"], check=True)


def observe(stage: Stage) -> dict[str, Any]:
    """Start the container, ask it, stop it amid a request; return what was seen."""
    listener = socket.create_server(SILENT_HUBSPOT, backlog=128)
    stage.environment |= SECRETS
    stage.environment |= {
        "ALLOWED_HOSTS": "127.0.0.1",
        "DATABASE_URL": "sqlite:////tmp/db.sqlite3",
        "HUBSPOT_BASE_URL": "http://{}:{}".format(*SILENT_HUBSPOT),
        "LOG_LEVEL": "ERROR",
    }
    probes = " ".join(f"touch {place}/probe && echo {place};" for place in PLACES)
    seen: dict[str, Any] = {
        "user": stage.run(["id", "-u"]).stdout.strip(),
        "writable": stage.run(["sh", "-c", probes]).stdout.split(),
        "app": sorted(path.name for path in (stage.root / "app").iterdir()),
        "static": sum(1 for _ in (stage.root / "app" / "static").rglob("*.css")),
        "healthy_before": stage.run(stage.healthcheck).returncode,
        "migrated": stage.run([*stage.entrypoint, "migrate", "--verbosity", "0"]).returncode,
    }
    process = subprocess.Popen(
        stage.wrap([*stage.entrypoint, *stage.command]),
        env=stage.environment,
        stdout=sys.stderr,
        start_new_session=True,
    )
    try:
        seen["starts"] = wait_until_it_answers(process)
        seen["healthy"] = stage.run(stage.healthcheck).returncode
        if seen["starts"]:
            seen |= stop_amid_a_request(process)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        listener.close()
    return seen


def stop_amid_a_request(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    """Stop it as an engine does, while HubSpot leaves a request without an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=60)
    connection.request("GET", "/api/bookings/list?student_id=S1001&email=a@example.org")
    while status_of("/api/ready") is None:  # it has been accepted by then
        continue
    process.terminate()
    response = connection.getresponse()
    answer = json.loads(response.read())
    service = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"][
        "api-1"
    ]
    grace_s = float(service["stop_grace_period"].removesuffix("s"))
    try:
        code: int | None = process.wait(timeout=grace_s)
    except subprocess.TimeoutExpired:
        code = None
    answered = {"status": response.status, "code": answer["code"], "error": answer["error"]}
    return {"answered": answered, "stopped": code}


def wait_until_it_answers(process: subprocess.Popen[bytes]) -> bool:
    pause = threading.Event()
    for _ in range(TRIES):
        if process.poll() is not None:
            return False
        if status_of("/api/health") == http.client.OK:
            return True
        pause.wait(PAUSE_S)
    return False


def status_of(path: str) -> int | None:
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=10)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except OSError:
        return None
    finally:
        connection.close()


def main() -> None:
    installs = "--install" in sys.argv[1:]
    folder = Path(tempfile.mkdtemp(prefix="container-"))
    try:
        # Of its own, since no layer can lie on the machine's; it goes with the namespace.
        mount("-t", "tmpfs", "tmpfs", str(folder))
        stage = take_steps(folder, installs=installs)
        restrict(stage)
        leave_network()
        print(json.dumps(observe(stage)))
    finally:
        subprocess.run(["umount", "--recursive", "--lazy", str(folder)], check=False)
        folder.rmdir()


if __name__ == "__main__":
    main()
