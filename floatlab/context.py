"""How is it computed? The options in force for FloatArrays and for Tensors, in one place.

Operators have no room for options, so these come from the context, as in Python's `decimal`::

    with arithmetic(rounding="toward_zero", accumulator="fp16"):
        c = a + b               # FloatArrays or Tensors
        loss = cost(model(x))   # every operation of a network
    loss.backward()             # with the arithmetic of its forward pass, wherever it runs

Contexts nest, are local to a thread (and to an asynchronous task), and end with their block.

What obeys
----------
- FloatArrays: conversions (`floatlab.array`, ``astype``, assignment), operations, functions and reductions.
- Tensors: conversions (``Tensor(...)``, ``x.to``, ``copy_``, ``fill_``) and every operation. An operation remembers the
  arithmetic of its forward pass; its derivatives, and the sums of the gradients that they hand on, follow it.
  Operations of several steps (var, softmax, losses, normalization, pooling ...) are taken in float64, and their result
  is rounded as the context says.
- A number beside an array or a tensor that has to become a value of its format is rounded to nearest, always; only the
  overflow policy of the context holds for it.

What does not
-------------
`quantize`, `encode` and the other functions on plain arrays take their options as arguments, and so do products of
block and integer arrays, the unit among them. So does what is around a training step but no operation of its graph:
optimizers, loss scaling, clipping, the scales of fp8 recipes, the first weights. What is loaded from a file is what was
saved.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np

from floatlab.errors import OptionError, OverflowPolicyError, check_option, check_switch
from floatlab.formats import FloatFormat
from floatlab.matrix_units import MatrixUnit, get_unit
from floatlab.rounding.modes import MODES
from floatlab.rounding.options import OVERFLOW_POLICIES, SUBNORMAL_RULES, checks_names
from floatlab.rounding.random_integers import generator
from floatlab.sums.accumulators import Accumulator, Exact, Wide
from floatlab.sums.names import get_accumulator

__all__ = ["DEFAULT", "Arithmetic", "accumulator", "arithmetic", "current", "using"]


@checks_names
@dataclass(frozen=True)
class Arithmetic:
    """The options with which FloatArrays and Tensors compute.

    Parameters
    ----------
    rounding, overflow, subnormals, rng, random_bits
        As in `quantize`. A seed given as rng is one generator for all operations.
    flush_inputs : bool
        Whether an operand below its format's smallest normal value counts as a zero of its sign. Sums and products of
        matrices, which take their operands as they are, refuse it.
    accumulator : str, FloatFormat or Accumulator
        How sums, means, products of matrices and convolutions add up: "wide", "exact", a format's name for sequential
        accumulation, or another of `floatlab.sums.accumulators`.
    unit : str or MatrixUnit, optional
        The matrix unit that forms products of matrices and convolutions instead, forward and backward: "h100", or any
        other that `floatlab.get_unit` knows. Sums and means keep their accumulator, as chips do.

    Raises
    ------
    OptionError, OverflowPolicyError, FormatError
        If an option has a value that it cannot have; the message suggests the nearest.
    """

    rounding: str = "nearest_even"
    overflow: str | None = None
    subnormals: str = "gradual"
    flush_inputs: bool = False
    accumulator: str | FloatFormat | Accumulator = "wide"
    unit: str | MatrixUnit | None = None
    rng: np.random.Generator | int | None = None
    random_bits: int | None = None

    def __post_init__(self) -> None:
        check_option("rounding", self.rounding, MODES)
        if self.overflow is not None:
            check_option("overflow", self.overflow, OVERFLOW_POLICIES, OverflowPolicyError)
        check_option("subnormals", self.subnormals, SUBNORMAL_RULES)
        check_switch("flush_inputs", self.flush_inputs)
        if get_accumulator(self.accumulator).forms_products:
            raise OptionError(
                f"Sums have no matrix unit. Got accumulator={str(self.accumulator)!r}. "
                f'Use unit="{self.accumulator}".'
            )
        if self.unit is not None:
            get_unit(self.unit)
        generator(self.rng)

    @cached_property
    def is_native(self) -> bool:
        """Whether it rounds as NumPy's own float32 and float64 do, whatever the accumulator."""
        rounds = (self.rounding, self.overflow, self.subnormals, self.flush_inputs)
        return rounds == ("nearest_even", None, "gradual", False)

    @cached_property
    def adds_exactly(self) -> bool:
        """Whether the accumulator returns the exact sum, rounded once."""
        return isinstance(self.for_rounded_sums["accumulator"], Wide | Exact)

    @cached_property
    def for_results(self) -> dict[str, Any]:
        """The options of the rounding of a result, and of anything else that has no operands to flush."""
        names = ("rounding", "overflow", "subnormals", "random_bits")
        return {name: getattr(self, name) for name in names} | {"rng": generator(self.rng)}

    @cached_property
    def for_rounded_sums(self) -> dict[str, Any]:
        """The options of a sum of what was computed before, and flushed before."""
        return self.for_results | {"accumulator": get_accumulator(self.accumulator)}

    @cached_property
    def for_operations(self) -> dict[str, Any]:
        """The options of an operation on elements."""
        return self.for_results | {"flush_inputs": self.flush_inputs}

    @cached_property
    def for_sums(self) -> dict[str, Any]:
        """The options of a sum."""
        self.check_sums()
        return self.for_rounded_sums

    @cached_property
    def for_products(self) -> dict[str, Any]:
        """The options of a product of matrices."""
        return self.for_sums if self.unit is None else self.for_sums | {"accumulator": get_unit(self.unit)}

    def check_sums(self) -> None:
        """Refuse to flush the operands of a sum or a product of matrices."""
        if self.flush_inputs:
            raise OptionError(
                "Sums and matrix products take their operands as they are. Got flush_inputs=True. "
                'Flush them first: fl.array(x, fmt, subnormals="flush").'
            )

    def of_operation(self, **given: Any) -> dict[str, Any]:
        """Return the options that an operation on elements takes; those that are given replace the context's."""
        return _with_generator(self.for_operations | given)

    def of_reduction(self, **given: Any) -> dict[str, Any]:
        """Return the options that a sum takes; those that are given replace the context's."""
        if "accumulator" in given and get_accumulator(given["accumulator"]).forms_products:
            raise OptionError(
                f"A matrix unit adds up products of matrices alone. Got {str(given['accumulator'])!r} for a sum. "
                'Use accumulator="fp32", or leave it out.'
            )
        return _with_generator(self.for_sums | given)

    def of_product(self, **given: Any) -> dict[str, Any]:
        """Return the options that a product of matrices takes; those that are given replace the context's.

        `unit` becomes the accumulator, and `bias_first` a field of it.
        """
        if "accumulator" in given:
            given = _with_unit(given)
        bias_first = given.pop("bias_first", None)
        options = self.for_products
        if "unit" in given:
            unit = given.pop("unit")
            if unit is not None and "accumulator" in given:
                raise OptionError(
                    f"A product is added up by an accumulator or by a unit. Got accumulator={given['accumulator']!r} "
                    f"and unit={str(unit)!r}. Use one of them."
                )
            options = self.for_sums if unit is None else options | {"accumulator": get_unit(unit)}
        options = options | given
        if bias_first is not None:
            how = get_accumulator(options["accumulator"])
            if not isinstance(how, MatrixUnit):
                raise OptionError(
                    f"bias_first says where a matrix unit adds the bias. Got accumulator={str(how)!r}. "
                    'Name a unit, unit="h100", or leave bias_first out.'
                )
            options["accumulator"] = replace(how, bias_first=bias_first)
        return _with_generator(options)


def _with_unit(options: dict[str, Any]) -> dict[str, Any]:
    """Return options in which a unit that was given as the accumulator is called by its name."""
    if not get_accumulator(options["accumulator"]).forms_products:
        return {"unit": None} | options
    options = dict(options)
    unit = options.pop("accumulator")
    if get_unit(options.setdefault("unit", unit)) != get_unit(unit):
        raise OptionError(
            f"Products have one unit. Got accumulator={str(unit)!r} and unit={str(options['unit'])!r}. Use one of them."
        )
    return options


def _with_generator(options: dict[str, Any]) -> dict[str, Any]:
    """Turn a seed into one generator for all that is drawn with these options."""
    if options["rng"] is not None:
        options["rng"] = generator(options["rng"])
    return options


DEFAULT = Arithmetic()
_NAMES = [field.name for field in fields(Arithmetic)]
_current: ContextVar[Arithmetic] = ContextVar("floatlab_arithmetic", default=DEFAULT)


def current() -> Arithmetic:
    """Return the options in force."""
    return _current.get()


@contextmanager
def using(rules: Arithmetic) -> Iterator[Arithmetic]:
    """Compute with these options, all of them, inside a ``with`` block."""
    token = _current.set(rules)
    try:
        yield rules
    finally:
        _current.reset(token)


@contextmanager
def arithmetic(**options: Any) -> Iterator[Arithmetic]:
    """Compute with other options inside a ``with`` block: FloatArrays and Tensors alike.

    Parameters
    ----------
    **options
        Those of `Arithmetic`: rounding, overflow, subnormals, flush_inputs, accumulator, unit, rng, random_bits. A
        seed given as rng becomes one generator for the whole block. What is not given stays as it is outside. An
        accumulator ends a unit that is in force; ``accumulator="h100"`` is ``unit="h100"``.

    Raises
    ------
    OptionError
        If there is no such option; the message suggests the nearest.

    Notes
    -----
    A ``with`` block inside a generator function is in force for its caller too while the function is suspended, as
    everywhere in Python (PEP 568 was deferred).

    Examples
    --------
    >>> import floatlab as fl
    >>> a = fl.array([1.0, 2.0], "e4m3")
    >>> with fl.arithmetic(rounding="toward_positive"):
    ...     print(a / 3)
    [0.34375 0.6875 ]

    A training step obeys as well, its backward pass wherever it runs:

    >>> x = fl.autograd.Tensor([30000.0, 30000.0, 30000.0], format="fp16", requires_grad=True)
    >>> with fl.arithmetic(overflow="saturate"):
    ...     y = x.sum()
    >>> y.item()
    65504.0
    """
    for name in options:
        check_option("an option of arithmetic", name, _NAMES)
    if "rng" in options:
        options["rng"] = generator(options["rng"])  # or each nested block would begin again with a seed
    if "accumulator" in options:
        options = _with_unit(options)
    with using(replace(_current.get(), **options)) as rules:
        yield rules


def accumulator(kind: str | FloatFormat | Accumulator) -> AbstractContextManager[Arithmetic]:
    """Take sums and products of matrices with this accumulator inside a ``with`` block.

    Examples
    --------
    >>> from floatlab.autograd import Tensor
    >>> with accumulator("fp16"):
    ...     print(Tensor([1.0] * 3000, format="fp16").sum().item())
    2048.0
    """
    return arithmetic(accumulator=kind)
