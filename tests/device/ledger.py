"""What a device would have had to do: readings of the host, launches of kernels, scatters, flushed numbers."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

__all__ = ["LEDGER", "Ledger", "place"]

_HERE = str(Path(__file__).parent)
_PACKAGE = str(Path(__file__).parents[2] / "floatlab")


class Ledger:
    """Counts, each with the line of floatlab (or of the test) that caused it.

    Attributes
    ----------
    readings : Counter of (kind, place)
        The host waited for the device: get, item, bool, or an array whose length depends on numbers.
    launches : Counter of str
        Kernels, by name.
    scatters : Counter of str
        Floating-point sums by atomics, in any order, by place.
    sendings : Counter of str
        NumPy arrays that were copied to the device, by place.
    flushed : Counter of str
        float32 subnormals that became zero, by place.
    """

    def __init__(self) -> None:
        self.readings: Counter[tuple[str, str]] = Counter()
        self.launches: Counter[str] = Counter()
        self.scatters: Counter[str] = Counter()
        self.sendings: Counter[str] = Counter()
        self.flushed: Counter[str] = Counter()

    def clear(self) -> None:
        """Begin again."""
        for counts in vars(self).values():
            counts.clear()

    def reading(self, kind: str) -> None:
        """Note that the host waits for a number of the device."""
        self.readings[kind, place()] += 1

    def launch(self, name: str) -> None:
        """Note that a kernel runs."""
        self.launches[name] += 1

    def sending(self) -> None:
        """Note that an array of the host is copied to the device."""
        self.sendings[place()] += 1


LEDGER = Ledger()


def place() -> str:
    """Return "file:line" of the innermost line of floatlab on the stack; without one, of whoever called."""
    frame, caller = sys._getframe(1), None
    while frame is not None:
        name = frame.f_code.co_filename
        if name.startswith(_PACKAGE):
            return f"floatlab{name[len(_PACKAGE) :]}:{frame.f_lineno}"
        if caller is None and not _is_ours(name):
            caller = f"{Path(name).name}:{frame.f_lineno}"
        frame = frame.f_back
    return caller or "?"


def _is_ours(name: str) -> bool:
    if "/numpy/" in name or name.startswith("<"):
        return True
    return name.startswith(_HERE) and not Path(name).name.startswith("test_")
