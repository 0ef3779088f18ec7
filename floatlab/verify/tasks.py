"""What is one piece of the proof? A task, and what it found.

A proof is many small tasks that need nothing from each other, so that they can run on every core, be
written down one by one as they finish, and be left out when an interrupted proof goes on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]

__all__ = ["EXAMPLES", "Array", "Outcome", "Tally", "Task", "missing_peer"]

EXAMPLES = 5  # how many disagreements a task describes; it counts all of them


@dataclass(frozen=True)
class Task:
    """One piece of a section of the proof.

    Attributes
    ----------
    section : str
        The section: "conversions", "rounding", "arithmetic", "softfloat", "functions", "sums", "units"
        or "blas".
    part : str
        What is compared with what; tasks of one part and format make one line of the report.
    subject : str
        The format's name.
    peers : tuple of str
        The packages that the oracle needs.
    seconds : float
        A rough estimate of the time on one core.
    piece, pieces : int
        Which piece of the part's inputs, of how many.
    full : bool
        Whether this is the long form.
    detail : str
        What else tells this task from others of its part: a mode, a function.
    """

    section: str
    part: str
    subject: str
    peers: tuple[str, ...] = ()
    seconds: float = 1.0
    piece: int = 0
    pieces: int = 1
    full: bool = False
    detail: str = ""

    @property
    def id(self) -> str:
        """A name that is the same in every run, by which the journal knows a finished task."""
        form = "full" if self.full else "short"
        return "/".join(
            (form, self.section, self.part, self.subject, self.detail, f"{self.piece}.{self.pieces}")
        )


@dataclass(frozen=True)
class Outcome:
    """What a task found.

    Attributes
    ----------
    comparisons : int
        How many results were compared.
    excluded : dict of str to int
        How many inputs were left out, by the reason why.
    disagreements : int
        How many results differed.
    examples : list of str
        The first few of these.
    digest : str
        The SHA-256 of floatlab's results, the same on every machine.
    skipped : str
        Why the task did not run, or "".
    seconds : float
        How long it took.
    """

    comparisons: int = 0
    excluded: dict[str, int] = field(default_factory=dict)
    disagreements: int = 0
    examples: list[str] = field(default_factory=list)
    digest: str = ""
    skipped: str = ""
    seconds: float = 0.0


class Tally:
    """Counts comparisons and disagreements while a task runs, and feeds the digest."""

    def __init__(self) -> None:
        self.comparisons = self.disagreements = 0
        self.excluded: dict[str, int] = {}
        self.examples: list[str] = []
        self.hash = hashlib.sha256()

    def compare(self, got: Array, expected: Array, describe: Any) -> None:
        """Compare two arrays of integers, or of floats bit by bit.

        `describe(i)` says what element i is; it is called only for the first few that differ.
        """
        if got.shape != expected.shape:
            raise AssertionError(f"shapes {got.shape} and {expected.shape}")
        self.digest(got)
        self.comparisons += got.size
        differ = got.view(f"u{got.itemsize}") != expected.view(f"u{expected.itemsize}")
        if differ.any():
            places = np.flatnonzero(differ)
            self.disagreements += places.size
            for i in places[: EXAMPLES - len(self.examples)].tolist():
                self.examples.append(f"{describe(i)}: got {got.flat[i]!r}, not {expected.flat[i]!r}")

    def note(self, ok: bool, description: str) -> None:
        """Count one comparison that was made elsewhere."""
        self.comparisons += 1
        if not ok:
            self.disagreements += 1
            if len(self.examples) < EXAMPLES:
                self.examples.append(description)

    def exclude(self, reason: str, count: int) -> None:
        """Count inputs that are left out, with the reason."""
        if count:
            self.excluded[reason] = self.excluded.get(reason, 0) + count

    def digest(self, results: Array) -> None:
        """Add results to the digest, as little-endian bytes."""
        little = np.ascontiguousarray(results).astype(results.dtype.newbyteorder("<"), copy=False)
        self.hash.update(little.data.cast("B") if little.size else b"")

    def outcome(self) -> Outcome:
        """Return what was found."""
        return Outcome(
            comparisons=self.comparisons,
            excluded=self.excluded,
            disagreements=self.disagreements,
            examples=self.examples,
            digest=self.hash.hexdigest(),
        )


def missing_peer(peers: Iterable[str]) -> str:
    """Return the first of these packages that is not installed, or ""."""
    return next((name for name in peers if find_spec(name) is None), "")
