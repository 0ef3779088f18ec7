"""What do `floatlab quantize` and `floatlab encode` print? How far they are, and what they have written."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from floatlab.conversion import convert
from floatlab.system.terminal import make_console

__all__ = ["convert_command"]


def convert_command(file: Path, fmt: str, out: Path, *, to: str, fresh: bool, **options: Any) -> None:
    """Convert an .npy file, with a progress bar on a terminal, and say what has been written.

    Parameters
    ----------
    file, out : Path
        What is read, and what is written.
    fmt : str
        The format.
    to, fresh, **options
        Those of `floatlab.conversion.convert`.
    """
    console = make_console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    clocks = (TimeElapsedColumn(), TextColumn("left:"), TimeRemainingColumn(compact=True))
    total = done = 0
    options = {name: value for name, value in options.items() if value is not None}
    with Progress(*columns, *clocks, console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task(f"to {fmt}", total=None)

        def start(before: int, size: int, is_other: bool) -> None:
            nonlocal total, done
            total, done = size, before
            progress.update(bar, total=size, completed=before)
            if before:
                say(f"{before:,} of {size:,} numbers were converted before.")
            elif is_other:
                say(f"What was begun with another {file}, or other options, is begun anew.")

        def say(text: str) -> None:
            console.print(text, highlight=False, soft_wrap=True, markup=False)

        def advance(now: int) -> None:
            nonlocal done
            done = now
            progress.update(bar, completed=now)

        try:
            written = convert(
                file, fmt, out, to=to, fresh=fresh, on_start=start, on_progress=advance, **options
            )
        except KeyboardInterrupt:
            progress.stop()
            say(f"{done:,} of {total:,} numbers are converted; the same command goes on from there.")
            raise
    count = f"{math.prod(written.shape):,} {to} of {fmt}"
    print(f"{out}: {count}, as {written.dtype}, of shape {written.shape}")
