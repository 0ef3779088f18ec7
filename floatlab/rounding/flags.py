"""What happened on the way, and who wants to know? The five exceptions of IEEE 754-2019, section 7, as boolean arrays.

An operation that a user calls hands its flags to every `FlagRecord` in force, once. What it calls in turn hands on
nothing, so that nothing is counted twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, TypeVar, cast

from floatlab.backend import Array
from floatlab.system.html import table

__all__ = ["FlagRecord", "Flags", "is_tracking", "note", "recorded", "track_flags"]


@dataclass(frozen=True)
class Flags:
    """The IEEE 754 exceptions of a conversion or an operation, one boolean array each.

    Attributes
    ----------
    invalid : array of bool
        No useful result exists: 0/0, inf - inf, the root of a negative number, and an infinity, a negative number
        or a zero in a format without such.
    divide_by_zero : array of bool
        An exact infinity from finite operands: 1/0, log(0).
    overflow : array of bool
        The rounded result, with an unbounded exponent, would lie beyond the largest finite value.
    underflow : array of bool
        The rounded result, with an unbounded exponent, is below the smallest normal value, and inexact; or it was
        flushed.
    inexact : array of bool
        The result differs from the exact one.
    """

    invalid: Array
    divide_by_zero: Array
    overflow: Array
    underflow: Array
    inexact: Array

    @property
    def counts(self) -> dict[str, int]:
        """How many elements raised each flag."""
        return {name: int(getattr(self, name).sum()) for name in self.__dataclass_fields__}

    def __or__(self, other: Flags) -> Flags:
        return Flags(*(getattr(self, n) | getattr(other, n) for n in self.__dataclass_fields__))

    def __str__(self) -> str:
        return ", ".join(f"{name} {n}" for name, n in self.counts.items() if n) or "no flags"

    def __repr__(self) -> str:
        return f"<Flags of {self.inexact.size} elements: {self}>"

    def _repr_html_(self) -> str:
        return table(
            f"Flags of {self.inexact.size} elements", self.counts.items(), head=("flag", "raised by")
        )


# -- who wants to know -----------------------------------------------------------------------------------


@dataclass
class FlagRecord:
    """The flags that were raised while `track_flags` was on.

    Attributes
    ----------
    by_operation : dict
        For each operation ("add", "array", "quantize", "exp" ...), how many elements raised each flag.
    last : Flags or None
        The flags of the last operation, element by element.
    last_operation : str or None
        Its name.
    """

    by_operation: dict[str, dict[str, int]] = field(default_factory=dict)
    last: Flags | None = None
    last_operation: str | None = None

    @property
    def counts(self) -> dict[str, int]:
        """How many elements raised each flag, in all operations together."""
        names = list(Flags.__dataclass_fields__)
        return {name: sum(counts[name] for counts in self.by_operation.values()) for name in names}

    def note(self, operation: str, flags: Flags) -> None:
        """Add the flags of one operation."""
        counts = self.by_operation.setdefault(operation, dict.fromkeys(Flags.__dataclass_fields__, 0))
        for name, n in flags.counts.items():
            counts[name] += n
        self.last, self.last_operation = flags, operation

    def __str__(self) -> str:
        return ", ".join(f"{name} {n}" for name, n in self.counts.items() if n) or "no flags"

    def __repr__(self) -> str:
        return f"<FlagRecord of {len(self.by_operation)} operations: {self}>"

    def _repr_html_(self) -> str:
        names = list(Flags.__dataclass_fields__)
        rows = [(op, *(counts[name] or "" for name in names)) for op, counts in self.by_operation.items()]
        total = ("all", *(self.counts[name] or "" for name in names))
        return table("Flags by operation", [*rows, total], head=("operation", *names))


_records: ContextVar[tuple[FlagRecord, ...]] = ContextVar("floatlab_flag_records", default=())


@contextmanager
def track_flags() -> Iterator[FlagRecord]:
    """Record the flags of everything that `quantize`, `encode` and FloatArrays do inside a ``with`` block.

    It covers conversions, ``+ - * /``, sqrt, fma and the elementary functions, and of the reductions those with the
    accumulators "wide" and "exact"; an accumulator with an order keeps no flags. Tracked operations are slower.

    Examples
    --------
    >>> import floatlab as fl
    >>> a = fl.array([1.0, 60000.0], "fp16")
    >>> with fl.track_flags() as flags:
    ...     b = a + a
    >>> flags.counts["overflow"], flags.last.overflow.tolist()
    (1, [False, True])
    >>> with fl.track_flags() as flags:
    ...     x = fl.quantize([1e-6, 1.0], "fp16", subnormals="flush")
    >>> print(flags)
    underflow 1, inexact 1
    """
    record = FlagRecord()
    token = _records.set((*_records.get(), record))
    try:
        yield record
    finally:
        _records.reset(token)


def is_tracking() -> bool:
    """Return whether anybody wants flags."""
    return bool(_records.get())


def note(operation: str, flags: Flags) -> None:
    """Hand the flags of an operation to all who track."""
    for record in _records.get():
        record.note(operation, flags)


F = TypeVar("F", bound=Callable[..., Any])


def recorded(conversion: F) -> F:
    """Return a conversion, `quantize` or `encode`, that hands its flags to all who track: the form that users call.

    The rest of floatlab calls the conversion itself, which no record sees.
    """

    @wraps(conversion)
    def convert(*args: Any, **options: Any) -> Any:
        if not _records.get():
            return conversion(*args, **options)
        wanted = options.pop("return_flags", False)
        result, flags = conversion(*args, **options, return_flags=True)
        note(conversion.__name__, flags)
        return (result, flags) if wanted else result

    convert.__module__ = "floatlab"
    return cast(F, convert)
