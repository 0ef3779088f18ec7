"""How is a file written, so that it is there whole or not at all? And what went wrong where it is not?

A file is written beside its place, forced to the disk, and only then moved to where it belongs: whoever reads it, or
finds it after a crash, has the old content or the new one, never half of it. What the operating system says on the way
becomes one of floatlab's errors, with a way out.
"""

from __future__ import annotations

import errno
import os
import secrets
from contextlib import suppress
from pathlib import Path

from floatlab.errors import DataError, FloatlabError

__all__ = ["as_path", "cannot_read", "cannot_write", "read_all", "sync_folder", "write_whole"]

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NOT_ALLOWED = {errno.EACCES, errno.EPERM, errno.EROFS}


def as_path(path: object, error: type[FloatlabError] = DataError) -> Path:
    """Return `path` as a Path.

    Raises
    ------
    DataError, or `error`
        If it is no string and no path, or holds the character that no path may hold.

    Examples
    --------
    >>> as_path("runs/a.npz").name
    'a.npz'
    """
    try:
        text = os.fsdecode(path)  # type: ignore[arg-type]  # whatever it cannot take is a TypeError
    except TypeError:
        raise error(f"A path is a string or a pathlib.Path. Got {path!r}. Use one of them.") from None
    if "\0" in text:
        raise error(f"A path holds no NUL character. Got {text!r}. Leave it out.")
    return Path(text)


def write_whole(path: str | os.PathLike[str], content: bytes, error: type[FloatlabError] = DataError) -> Path:
    """Write a file so that its place holds the old content, or all of the new one; return its path.

    A symbolic link stays one: the file that it points to is replaced.

    Parameters
    ----------
    path : path
        The file; its folder exists.
    content : bytes
        All of it.
    error : class
        What is raised where it cannot be written.

    Raises
    ------
    DataError, or `error`
        If the folder is missing, a folder is in the file's place, the disk is full, or writing is not allowed. What was
        there before is untouched then.

    Examples
    --------
    >>> import tempfile
    >>> write_whole(Path(tempfile.mkdtemp()) / "x", b"abc").read_bytes()
    b'abc'
    """
    given = as_path(path, error)
    place = Path(os.path.realpath(given))
    beside = place.with_name(f".floatlab-{secrets.token_hex(8)}.part")
    try:
        if place.is_dir():
            raise IsADirectoryError(errno.EISDIR, "Is a directory")
        try:
            with beside.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, place)
        finally:
            with suppress(OSError):
                beside.unlink(missing_ok=True)
        sync_folder(place.parent)
    except OSError as problem:
        raise error(cannot_write(given, len(content), problem)) from problem
    return given


def read_all(path: Path, error: type[FloatlabError] = DataError) -> bytes:
    """Return the content of a file.

    Raises
    ------
    DataError, or `error`
        If it is not there, is a folder, or may not be read.

    Examples
    --------
    >>> read_all(Path("no/such/file"))
    Traceback (most recent call last):
    ...
    floatlab.errors.DataError: A file is read from where it is. Got no/such/file, which is not there. Name another file.
    """
    try:
        return path.read_bytes()
    except OSError as problem:
        raise error(cannot_read(path, problem)) from problem


def cannot_read(path: Path, problem: OSError) -> str:
    """Say why a file could not be read, and what to do."""
    if problem.errno in (errno.ENOENT, errno.ENOTDIR):
        return f"A file is read from where it is. Got {path}, which is not there. Name another file."
    if problem.errno == errno.EISDIR:
        return f"A file is read, not a folder. Got the folder {path}. Name a file in it."
    return f"A file must be readable. Got {path} ({problem.strerror or problem}). Name another, or allow it."


def cannot_write(path: Path, size: int, problem: OSError) -> str:
    """Say why a file of so many bytes could not be written, and what to do."""
    reason = problem.strerror or str(problem)
    if problem.errno == errno.ENOENT:
        return f"A file is written into a folder that exists. Got {path}. Make its folder first."
    if problem.errno == errno.EISDIR:
        return f"A file cannot take the place of a folder. Got {path}, which is one. Use another name."
    if problem.errno in _NO_ROOM:
        return (
            f"A file needs room on its disk. Got {path} of {size} bytes ({reason}). Free some, or use another "
            "disk; what was there before is untouched."
        )
    if problem.errno in _NOT_ALLOWED:
        return f"A file is written where writing is allowed. Got {path} ({reason}). Use another folder."
    return f"A file is written where one can be. Got {path} ({reason}). Use another name or folder."


def sync_folder(folder: Path) -> None:
    """Force the new name to the disk too, where the system lets a folder be opened (Windows does not)."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
