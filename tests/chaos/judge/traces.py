"""What a run leaves behind for whoever looks for a cause: each request, each call, each fault.

One JSON object a line, in the order of time, with the time of day as the servers' logs have it.
"""

from __future__ import annotations

import itertools
import json
import re
import time
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.chaos.trials.seeded import Outcome

Line = dict[str, Any]


def keep_trace(outcome: Outcome, folder: Path | None) -> None:
    """Write the trace of a run beside the servers' logs; nothing without a folder."""
    if folder is None or outcome.facts is None:
        return
    lines = sorted(_list_lines(outcome), key=lambda line: line["at"])
    name = re.sub(r"\W+", "-", outcome.title).strip("-")
    free = (folder / f"{name}-{number}.jsonl" for number in itertools.count(1))
    trace = next(path for path in free if not path.exists())
    trace.write_text("\n".join(json.dumps(line) for line in lines) + "\n")


def _list_lines(outcome: Outcome) -> Iterator[Line]:
    facts = outcome.facts
    if facts is None:
        return
    ahead_s = time.time() - time.monotonic()
    for happened in (each.happened for each in outcome.recoveries):
        yield {"at": _time(happened.begun_s + ahead_s), "fault": happened.name}
        yield {"at": _time(happened.lifted_s + ahead_s), "lifted": happened.name}
    for deed in facts.diary.deeds:
        yield {"at": _time(deed.begun_s + ahead_s), "took_s": round(deed.took_s, 3), **asdict(deed)}
    for call in facts.calls:
        yield {**call, "at": _time(float(call["at"]))}


def _time(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).isoformat()
