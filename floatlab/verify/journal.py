"""How does an interrupted proof go on? Every finished task is one line of a file, written at once.

A line holds the task's name and what it found. The first line holds a fingerprint of floatlab's numeric core and of
the packages that it is compared with: results that were found with other code, or against another NumPy, prove
nothing about this one. Such a journal is set aside under another name, and a new one is begun.
"""

from __future__ import annotations

import itertools
import os
import platform
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from floatlab.errors import DataError
from floatlab.system import journal, provenance
from floatlab.verify.tasks import Outcome, Task

__all__ = ["PEERS", "Fingerprint", "Journal", "fingerprint"]

PEERS = ("numpy", "ml_dtypes", "gmpy2", "softfloatpy")


@dataclass(frozen=True)
class Fingerprint:
    """What was compared with what.

    Attributes
    ----------
    source : str
        The SHA-256 of the source files of floatlab's numeric core, the proof included.
    packages : dict of str to str
        The versions of the packages that it was compared with; "not installed" where there is none.
    """

    source: str
    packages: dict[str, str]


def fingerprint() -> Fingerprint:
    """Return the fingerprint of what is installed here.

    >>> len(fingerprint().source)
    64
    """
    packages = {name: provenance.version(name) for name in PEERS}
    return Fingerprint(provenance.fingerprint(provenance.PROOF), packages)


def surroundings() -> dict[str, str]:
    """Return what else a reader of a report wants to know: the Python, the machine's kind, the commit."""
    found = {"python": platform.python_version(), "machine": f"{platform.system()} {platform.machine()}"}
    commit = provenance.commit()
    return found if commit is None else {**found, "commit": commit}


class Journal:
    """The finished tasks in a file, one JSON object a line.

    Parameters
    ----------
    path : Path or None
        The file; it is made where there is none. With None nothing is written.
    fresh : bool
        Whether to forget what it holds.

    Attributes
    ----------
    finished : dict of str to Outcome
        What was found, by the tasks' names.
    aside : Path or None
        Where the journal of another source lies now, if there was one.

    Raises
    ------
    DataError
        If the file cannot be read or written.
    """

    def __init__(self, path: Path | None, fresh: bool = False) -> None:
        self.path, self.finished = path, dict[str, Outcome]()
        self.aside: Path | None = None
        self.head: dict[str, Any] = asdict(fingerprint())
        if path is None:
            return
        try:
            head, *lines = ([] if fresh else journal.entries(path)) or [{}]
            if head == self.head:
                for entry in lines:
                    name = entry.pop("task")
                    self.finished[name] = Outcome(**entry)
            elif lines:  # it may have taken hours
                self.aside = _free_name(path)
                os.replace(path, self.aside)
            journal.begin(path, [self.head, *itertools.starmap(_entry, self.finished.items())])
        except (OSError, ValueError) as error:
            raise _not_writable(path, error) from None

    def add(self, task: Task, outcome: Outcome) -> None:
        """Write down what a task found."""
        self.finished[task.id] = outcome
        if self.path is None:
            return
        try:
            journal.append(self.path, _entry(task.id, outcome))
        except OSError as error:
            raise _not_writable(self.path, error) from None


def _free_name(path: Path) -> Path:
    """Return the first of journal-1.jsonl, journal-2.jsonl ... that is not there yet."""
    names = (path.with_name(f"{path.stem}-{k}{path.suffix}") for k in itertools.count(1))
    return next(name for name in names if not name.exists())


def _not_writable(path: Path, error: OSError | ValueError) -> DataError:
    reason = error.strerror if isinstance(error, OSError) else error
    return DataError(
        f"The journal of a proof is a file that can be written. Got {path} ({reason}). Name another folder."
    )


def _entry(name: str, outcome: Outcome) -> dict[str, Any]:
    return {"task": name, **asdict(outcome)}
