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
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from floatlab.accumulators import Accumulator, get_accumulator
from floatlab.draws import generator
from floatlab.errors import OptionError, OverflowPolicyError, check_option
from floatlab.flags import FlagRecord, is_tracking, note, track_flags
from floatlab.formats import FloatFormat
from floatlab.modes import MODES
from floatlab.rules import OVERFLOW_POLICIES, SUBNORMAL_RULES, checks_names

__all__ = ["Arithmetic", "FlagRecord", "arithmetic", "current", "is_tracking", "note", "track_flags"]


@checks_names
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
        check_option("rounding", self.rounding, MODES)
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
