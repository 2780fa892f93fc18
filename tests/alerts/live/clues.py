"""What the looks that an alert's page names show, while the alert fires."""

from __future__ import annotations

import json
from collections.abc import Iterator

from tests.alerts.live.prometheus import OwnPrometheus, shorten
from tests.alerts.live.school import School
from tests.alerts.live.trials import Trial
from tests.server import Server

MAX_SHOWN = 4
FIELDS = ("error", "reason", "job", "status", "category", "what")
"""What a log line says besides; none of these names a person."""


def look_for_cause(school: School, prometheus: OwnPrometheus, trial: Trial) -> list[str]:
    """Return what each look of the trial shows, "" where it shows nothing."""
    clues = []
    if trial.query:
        clues.append(show_query(prometheus, trial.query))
    if trial.silent:
        clues.append(show_silent_part(school, trial.silent))
    if trial.logged:
        clues.append(show_log(school, trial.logged))
    if trial.rows:
        clues.append(show_rows(school, trial.rows))
    return clues


def show_query(prometheus: OwnPrometheus, query: str) -> str:
    """The largest results, as `labels value`."""
    found = prometheus.ask("query", query=shorten(query))["result"]
    values = [(float(one["value"][1]), _without_name(one["metric"])) for one in found]
    values.sort(key=lambda pair: pair[0], reverse=True)
    return ", ".join(f"{labels} {value:.3g}".strip() for value, labels in values[:MAX_SHOWN])


def _without_name(labels: dict[str, str]) -> str:
    return " ".join(text for name, text in sorted(labels.items()) if name != "__name__")


def show_silent_part(school: School, part: str) -> str:
    """The part, where /api/ready of a server says that it does not answer."""
    for server in school.world.servers:
        if server.away_since_s is None:
            answer = Server(server.url).get("/api/ready")
            if answer.status == 503 and part in json.dumps(answer.body):
                return f"/api/ready: {part}"
    return ""


def show_log(school: School, event: str) -> str:
    """The latest line of this event, as far as it names nobody."""
    latest = ""
    for line in _lines(school):
        if line.get("event") == event:
            said = {name: line[name] for name in FIELDS if line.get(name) not in (None, "")}
            latest = f"{event} {' '.join(f'{name}={text}' for name, text in said.items())}".strip()
    return latest


def _lines(school: School) -> Iterator[dict[str, object]]:
    for server in school.world.servers:
        for line in server.log.read_text(encoding="utf-8").splitlines():
            if line.startswith("{"):
                yield json.loads(line)


def show_rows(school: School, sql: str) -> str:
    """The one column of these rows, which a page of the admin shows as well."""
    rows = school.world.postgres.ask(sql)
    return "; ".join(bytes(text).decode() for (text,) in rows if isinstance(text, bytes))
