"""Which source made this? Fingerprints of floatlab's rooms, and the commit that they are of.

A result that is kept in a file is worth something as long as the source is the one that made it. The lists below name
the rooms that a result depends on. They say what belongs to it, not what does not: a room that is forgotten here shows
in a test, which follows the import statements.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterable
from functools import lru_cache
from importlib import metadata
from pathlib import Path

__all__ = ["COMMON", "CONVERSION", "PROOF", "TRAINING", "commit", "fingerprint", "version"]

PACKAGE = Path(__file__).parent.parent

# What both depend on: the numbers, and how files are written.
COMMON = (
    "backend",
    "context",
    "errors",
    "formats",
    "functions",
    "interchange",
    "matrix_units",
    "operations",
    "rounding",
    "sums",
    "system",
)
#: What the results of `floatlab verify` depend on.
PROOF = (*COMMON, "array", "codes", "reference", "verify")
#: What the records of `floatlab demo` and `floatlab run` depend on.
TRAINING = (
    *COMMON,
    "amp",
    "autograd",
    "block_formats",
    "codes",
    "data",
    "experiments",
    "nn",
    "optim",
    "telemetry",
)
#: What the files of `floatlab quantize` and `floatlab encode` depend on.
CONVERSION = (
    "backend",
    "block_formats",
    "codes",
    "conversion",
    "errors",
    "formats",
    "inspection",
    "interchange",
    "matrix_units",
    "operations",
    "rounding",
    "sums",
    "system",
)


@lru_cache
def fingerprint(rooms: Iterable[str], package: Path = PACKAGE) -> str:
    """Return the SHA-256 of the names and contents of all source files of some rooms.

    Parameters
    ----------
    rooms : tuple of str
        Names of files (without ".py") and folders of floatlab.
    package : Path
        The folder that they lie in.

    Returns
    -------
    str
        64 hexadecimal digits.

    Examples
    --------
    >>> len(fingerprint(PROOF))
    64
    >>> fingerprint(PROOF) == fingerprint(TRAINING)
    False
    """
    digest = hashlib.sha256()
    for path in sorted(path for room in rooms for path in _sources(package, room)):
        digest.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _sources(package: Path, room: str) -> list[Path]:
    folder = package / room
    return [*folder.rglob("*.py"), *folder.rglob("*.cuh")] if folder.is_dir() else [folder.with_suffix(".py")]


def version(package: str) -> str:
    """Return the version of a package that is installed here, "not installed" where there is none.

    >>> version("no-such-package")
    'not installed'
    """
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def commit(package: Path = PACKAGE) -> str | None:
    """Return the commit that floatlab's source is of, or None where git does not keep it.

    An installed floatlab may lie in a folder of somebody else's repository, a virtual environment in a project for
    example; that repository's commit says nothing about floatlab, and is not returned.
    """
    # As in a hook of git, these could name another repository than the one around the source.
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}

    def git(*arguments: str) -> str | None:
        try:
            asked = subprocess.run(
                ["git", "-C", str(package), *arguments],
                capture_output=True,
                text=True,
                timeout=10,
                check=False,
                env=clean,
            )
        except (OSError, subprocess.SubprocessError):
            return None  # no git, or none that answers: the fingerprint says it all
        return asked.stdout.strip() if asked.returncode == 0 else None

    own = Path(__file__).relative_to(PACKAGE).as_posix()
    if git("ls-files", "--error-unmatch", "--", own) != own:
        return None
    return git("describe", "--always", "--dirty", "--abbrev=12")
