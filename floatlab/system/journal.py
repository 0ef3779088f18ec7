"""How does a long job go on where it stopped? Every finished part is a line of a file, written at once.

A line is a JSON object. What was cut off, by a crash or a full disk, is no object, and is done again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from floatlab.system.files import write_whole

__all__ = ["append", "begin", "entries"]

Entry = dict[str, Any]


def entries(path: Path) -> list[Entry]:
    """Return the objects in a file, in order; none if it is not there. Raises OSError if it cannot be read.

    >>> entries(Path("nowhere.jsonl"))
    []
    """
    found = []
    for line in path.read_bytes().decode(errors="replace").splitlines() if path.exists() else ():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict):
            found.append(entry)
    return found


def begin(path: Path, lines: Iterable[Entry]) -> None:
    """Write a file anew, whole or not at all; its folder is made. Raises OSError or DataError if it cannot be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, b"".join(map(_line, lines)))


def append(path: Path, entry: Entry) -> None:
    """Write one more object, which is on the disk on return. Raises OSError if it cannot be."""
    line = _line(entry)
    with path.open("a+b") as file:
        if file.seek(0, os.SEEK_END):
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":  # the last line was cut off
                file.write(b"\n")
        file.write(line)
        file.flush()
        os.fsync(file.fileno())


def _line(entry: Entry) -> bytes:
    return json.dumps(entry, allow_nan=False).encode() + b"\n"
