"""How is a file written that takes long? Beside its place, a part at a time, so that it goes on where it stopped.

While it grows it has another name, and a journal says what it will be and how much of it is on the disk. Who finds both
goes on from there. When it is whole, it takes its place in one step.
"""

from __future__ import annotations

import errno
import os
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from floatlab.errors import DataError
from floatlab.system import journal
from floatlab.system.files import cannot_write, sync_folder

__all__ = ["PartialFile"]

_SECONDS = 1.0  # between two lines of the journal: what a crash may cost


class PartialFile:
    """A file that is not whole yet.

    Parameters
    ----------
    place : Path
        Where it will be.
    head : dict
        What it is made from, as JSON has it. A part with another head is not gone on with.
    fresh : bool
        Whether to begin anew even so.

    Attributes
    ----------
    done : int
        How many bytes there are.
    is_other : bool
        Whether a part that was begun with another head has been given up.

    Raises
    ------
    DataError
        If it cannot be written, or another process is writing it.

    Examples
    --------
    >>> import tempfile
    >>> place = Path(tempfile.mkdtemp()) / "x"
    >>> with PartialFile(place, {"of": 1}) as part:
    ...     part.write(b"abc")
    >>> with PartialFile(place, {"of": 1}) as part:
    ...     print(part.done)
    ...     part.write(b"def")
    ...     part.finish()
    3
    >>> place.read_bytes()
    b'abcdef'
    """

    def __init__(self, place: Path, head: dict[str, Any], fresh: bool = False) -> None:
        self.given, self.place = place, Path(os.path.realpath(place))
        self.path = self.place.with_name(f".{self.place.name}.floatlab-part")
        self.journal = self.path.with_suffix(".floatlab-journal")
        self.head, self.fresh = head, fresh
        self.done, self.is_other, self._kept, self._clock = 0, False, -1, 0.0

    def __enter__(self) -> Self:
        try:
            if self.place.is_dir():
                raise IsADirectoryError(errno.EISDIR, "Is a directory")
            self._file = self._opened()
        except OSError as problem:
            raise DataError(cannot_write(self.given, 0, problem)) from problem
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        if not self._file.closed:
            with suppress(OSError):  # a full disk has been said already
                self.keep()
            with suppress(OSError):
                self._file.close()

    def _opened(self) -> IO[bytes]:
        """Open the part, where there is one of this head, at its end; or begin it."""
        file = open(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666), "r+b")  # noqa: SIM115
        try:
            if not _locked(file):
                raise DataError(
                    f"A file is written by one process at a time. Got {self.given}, which another one is "
                    "writing. Wait for it, or use another name."
                )
            head, *lines = journal.entries(self.journal) or [{}]
            kept = max((line["done"] for line in lines), default=0)
            there = os.fstat(file.fileno()).st_size
            if head == self.head and not self.fresh and there >= kept:
                self.done = kept
            else:
                self.is_other = bool(lines) and not self.fresh
                journal.begin(self.journal, [self.head])
            file.truncate(self.done)
            file.seek(self.done)
        except BaseException:
            file.close()
            raise
        self._kept, self._clock = self.done, time.monotonic()
        return file

    def write(self, content: Any) -> None:
        """Add bytes, or a contiguous array of bytes; they are on the disk some time later.

        Raises
        ------
        DataError
            If they cannot be written; what was kept before stays.
        """
        try:
            self._file.write(content)
            self.done += len(content)
            if time.monotonic() - self._clock > _SECONDS:
                self.keep()
        except OSError as problem:
            raise DataError(cannot_write(self.given, self.done + len(content), problem)) from problem

    def keep(self) -> None:
        """Have all that was written on the disk, and in the journal. Raises OSError where that cannot be."""
        self._file.flush()
        os.fsync(self._file.fileno())
        if self.done > self._kept:
            journal.append(self.journal, {"done": self.done})
        self._kept, self._clock = self.done, time.monotonic()

    def finish(self) -> None:
        """Move the file, which is whole, to its place.

        Raises
        ------
        DataError
            If it cannot be; the part stays.
        """
        try:
            self.keep()
            self._file.close()
            os.replace(self.path, self.place)
            sync_folder(self.place.parent)
        except OSError as problem:
            raise DataError(cannot_write(self.given, self.done, problem)) from problem
        self.journal.unlink(missing_ok=True)

    def give_up(self) -> None:
        """Remove what has been written: nobody can go on with it."""
        self._file.close()
        for path in (self.path, self.journal):
            with suppress(OSError):
                path.unlink(missing_ok=True)


def _locked(file: IO[bytes]) -> bool:
    """Lock a file until it is closed; return False where another process has. Some systems have no locks."""
    try:
        import fcntl
    except ImportError:  # Windows
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True
