"""docs/tour.md: its commands, run as they stand there, show what it says that one sees."""

from __future__ import annotations

import html
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from http.cookiejar import CookieJar
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, build_opener

from tests.manage import ROOT
from tests.metrics import parse_metrics, value_of
from tests.server import Server
from tests.waiting import eventually

TOUR = ROOT / "docs" / "tour.md"
BLOCK = re.compile(r"```sh\n(?P<commands>.*?)```(?P<text>.*?)(?=```sh|\Z)", re.DOTALL)
PROMISE = re.compile(r"^You see (.*?)(?:\n\n|\Z)", re.DOTALL | re.MULTILINE)
QUOTED = re.compile(r"`([^`]+)`")
WARMED = "Loading into the cache"
CONSOLE = ("Everything is at work.", "HubSpot does not answer as it should")
STOP_TIMEOUT_S = 30


@dataclass(frozen=True, slots=True)
class Step:
    commands: str
    promised: tuple[str, ...]


def read_steps(text: str) -> Iterator[Step]:
    """Yield each block of commands with what is promised of it, before the next one."""
    for block in BLOCK.finditer(text):
        sentences = PROMISE.findall(block["text"])
        promised = [words for sentence in sentences for words in QUOTED.findall(sentence)]
        # What the console shows is looked for there.
        yield Step(
            block["commands"], tuple(words for words in promised if not words.startswith(CONSOLE))
        )


class Console:
    """The front page, as whoever is logged in sees it."""

    def __init__(self, address: str, password: str) -> None:
        self._address = address
        jar = CookieJar()
        self._browser = build_opener(HTTPCookieProcessor(jar))
        self._browser.open(f"{address}/admin/login/").close()
        token = next(cookie.value for cookie in jar if cookie.name == "csrftoken")
        form = {"csrfmiddlewaretoken": token, "username": "admin", "password": password}
        self._browser.open(f"{address}/admin/login/?next=/admin/", urlencode(form).encode()).close()

    def read(self) -> str:
        with self._browser.open(f"{self._address}/admin/") as page:
            text = re.sub(r"<[^>]*>", " ", page.read().decode())
        return re.sub(r"\s+", " ", html.unescape(text))


def follow_tour(api: str, sandbox: str, password: str) -> None:
    """Follow it with the addresses of a demo; ends with the sandbox killed."""
    text = TOUR.read_text(encoding="utf-8").replace("http://127.0.0.1:8000", api)
    steps = list(read_steps(text.replace("8900", sandbox.rpartition(":")[2])))
    console = Console(api, password)

    assert len(steps) == 6
    for step in steps:
        assert len(step.promised) > 0, step
        if "kill -9" in step.commands:
            # Whoever reads takes minutes: by then the cache has loaded what nobody has asked for.
            eventually(lambda: WARMED in console.read())
        check_promise(step)
        if "-X PATCH" in step.commands:
            wait_until_told(Server(base_url=api))
        if "/api/bookings/create" in step.commands:
            eventually(lambda: CONSOLE[0] in console.read())
            assert re.search(r"Made [1-9]", console.read())

    eventually(lambda: CONSOLE[1] in console.read())


def wait_until_told(api: Server) -> None:
    """Wait until the change journal has told all, too: it drops cached answers a second time."""

    def count(name: str, **labels: str) -> float:
        return value_of(parse_metrics(api.get("/metrics").body.decode()), name, **labels)

    # The reading that ended first may have begun before the change.
    enough = count("mocks_feed_total", what="nothing more") + 2
    eventually(lambda: count("mocks_feed_total", what="nothing more") >= enough)
    received = count("mocks_feed_events_total", outcome="received")
    eventually(lambda: count("mocks_feed_events_total", outcome="applied") >= received)


def check_promise(step: Step) -> None:
    seen: list[str] = []

    def keeps_its_promise() -> bool:
        ran = subprocess.run(
            ["bash", "-c", step.commands],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=STOP_TIMEOUT_S,
        )
        seen.append(ran.stdout)
        return all(words in ran.stdout for words in step.promised)

    try:
        eventually(keeps_its_promise)
    except AssertionError as error:
        raise AssertionError(f"{step} showed {seen[-1:]}") from error
