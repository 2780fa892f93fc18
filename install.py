"""Installs a file of requirements, and shows how far it is: pip itself is silent for a minute, or
prints hundreds of lines.

On a terminal one line moves; elsewhere a line is printed now and then. Where pip fails, all that it
said is shown. Needs nothing but Python and pip: it is what installs the rest.

    python install.py requirements.txt [pip's other options…]
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

LOCKED = re.compile(r"^[A-Za-z0-9][\w.\[\],-]*==", re.MULTILINE)
STEP = re.compile(r"(?:Collecting|Requirement already satisfied:|Ignoring) ([\w.\[\]-]+)")
SHOW_EVERY_S = {True: 0.2, False: 10.0}
"""On a terminal, and elsewhere."""
USUAL_COLUMNS = 80
"""Of a terminal that does not know how wide it is."""


class Progress:
    """How far pip is: which package of how many it looks at, then that it installs them all."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._began_s = time.monotonic()
        self._seen = 0
        self._doing = "asking pip"
        self._on_terminal = sys.stderr.isatty()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._show_until_over, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def read(self, line: str) -> None:
        """Take a line of pip's."""
        found = STEP.match(line)
        if found is not None:
            self._seen += 1
            self._doing = f"{min(self._seen, self._total)} of {self._total}: {found[1]}"
        elif line.startswith("Installing collected packages"):
            self._doing = f"unpacking {line.count(',') + 1} packages"

    def stop(self) -> None:
        self._over.set()
        self._thread.join()

    def end(self, sentence: str) -> None:
        self.stop()
        self._show(sentence, last=True)

    def _show_until_over(self) -> None:
        while not self._over.wait(SHOW_EVERY_S[self._on_terminal]):
            self._show(f"Installing (once), {self._doing}")

    def _show(self, sentence: str, *, last: bool = False) -> None:
        took_s = time.monotonic() - self._began_s
        text = f"{sentence} ({took_s:.0f} s)"
        if self._on_terminal:
            # A line as wide as the terminal, or wider, would not move but scroll.
            width = (os.get_terminal_size(sys.stderr.fileno()).columns or USUAL_COLUMNS) - 1
            sys.stderr.write(f"\r{text[:width]:<{width}}" + ("\n" if last else ""))
        else:
            sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


def install(requirements: str, *options: str) -> int:
    """Return pip's exit code."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "install"]
    progress = Progress(len(LOCKED.findall(Path(requirements).read_text(encoding="utf-8"))))
    progress.start()
    said: list[str] = []
    try:
        with subprocess.Popen(  # noqa: S603 - pip, with what the Makefile says
            [*command, "--progress-bar", "off", *options, "-r", requirements],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as pip:
            for line in pip.stdout or ():
                said.append(line)
                progress.read(line)
    finally:
        progress.stop()
    if pip.returncode == 0:
        progress.end(f"Installed what {requirements} names")
    else:
        progress.end("pip failed")
        sys.stderr.write("".join(said))
    return pip.returncode


if __name__ == "__main__":
    try:
        sys.exit(install(*sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit("\nNothing was started; make begins the installation again.")
