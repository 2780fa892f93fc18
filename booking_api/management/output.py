"""What commands print: tables that fit a terminal or a file."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.table import Table

FILE_WIDTH = 120


def render_table(table: Table) -> str:
    """Return the table as text, as wide as the terminal."""
    console = Console(width=None if sys.stdout.isatty() else FILE_WIDTH)
    with console.capture() as capture:
        console.print(table)
    return capture.get()
