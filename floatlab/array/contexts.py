"""How is it computed, and what happened? The options in force for all FloatArrays, and a record of their flags.

Operators have no room for options, so these come from the context, as in Python's `decimal`::

    with arithmetic(rounding="toward_zero"):
        c = a + b

Contexts nest, are local to a thread (and to an asynchronous task), and end with their block.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np

from floatlab.accumulators import Accumulator, get_accumulator
from floatlab.draws import generator
from floatlab.errors import OptionError, OverflowPolicyError, check_option
from floatlab.flags import Flags
from floatlab.formats import FloatFormat
from floatlab.rules import OVERFLOW_POLICIES, ROUNDING_MODES, SUBNORMAL_RULES

__all__ = ["Arithmetic", "FlagRecord", "arithmetic", "current", "is_tracking", "note", "track_flags"]


@dataclass(frozen=True)
class Arithmetic:
    """The options with which FloatArrays compute; those of `quantize`, and the accumulator of reductions."""

    rounding: str = "nearest_even"
    overflow: str | None = None
    subnormals: str = "gradual"
    flush_inputs: bool = False
    rng: np.random.Generator | int | None = None
    random_bits: int | None = None
    accumulator: str | FloatFormat | Accumulator = "wide"

    def __post_init__(self) -> None:
        check_option("rounding", self.rounding, ROUNDING_MODES)
        if self.overflow is not None:
            check_option("overflow", self.overflow, OVERFLOW_POLICIES, OverflowPolicyError)
        check_option("subnormals", self.subnormals, SUBNORMAL_RULES)
        get_accumulator(self.accumulator)
        object.__setattr__(self, "rng", generator(self.rng))  # one for all operations, not one for each

    def of_operation(self, **given: Any) -> dict[str, Any]:
        """Return the options that an operation on elements takes; those that are given replace the context's."""
        options = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "accumulator"}
        return _with_generator(options | given)

    def of_reduction(self, **given: Any) -> dict[str, Any]:
        """Return the options that a sum takes; operands are never flushed there."""
        if self.flush_inputs:
            raise OptionError(
                "Sums and matrix products take their operands as they are. Got flush_inputs=True. "
                'Flush them first: fl.array(x, fmt, subnormals="flush").'
            )
        options = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "flush_inputs"}
        return _with_generator(options | given)


def _with_generator(options: dict[str, Any]) -> dict[str, Any]:
    """Turn a seed into one generator for all that is drawn with these options."""
    if options["rng"] is not None:
        options["rng"] = generator(options["rng"])
    return options


_current: ContextVar[Arithmetic] = ContextVar("floatlab_arithmetic", default=Arithmetic())  # noqa: B039 (frozen)


def current() -> Arithmetic:
    """Return the options in force."""
    return _current.get()


@contextmanager
def arithmetic(**options: Any) -> Iterator[Arithmetic]:
    """Compute with other options inside a ``with`` block.

    Parameters
    ----------
    **options
        rounding, overflow, subnormals, flush_inputs, rng, random_bits: as in `quantize`; a seed given as rng becomes
        one generator for the whole block. accumulator: that of `sum`, `mean`, `dot` and `matmul`. What is not given
        stays as it is outside.

    Examples
    --------
    >>> import floatlab as fl
    >>> a = fl.array([1.0, 2.0], "e4m3")
    >>> with fl.arithmetic(rounding="toward_positive"):
    ...     print(a / 3)
    [0.34375 0.6875 ]
    """
    for name in options:
        check_option("an option of arithmetic", name, [f.name for f in fields(Arithmetic)])
    token = _current.set(replace(_current.get(), **options))
    try:
        yield _current.get()
    finally:
        _current.reset(token)


@dataclass
class FlagRecord:
    """The flags that were raised while `track_flags` was on.

    Attributes
    ----------
    by_operation : dict
        For each operation ("add", "array", "exp" ...), how many elements raised each flag.
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


_records: ContextVar[tuple[FlagRecord, ...]] = ContextVar("floatlab_flag_records", default=())


@contextmanager
def track_flags() -> Iterator[FlagRecord]:
    """Record the flags of everything that FloatArrays do inside a ``with`` block.

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
