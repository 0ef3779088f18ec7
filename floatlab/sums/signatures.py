"""Which options does a function take by name, and what does it return with them? Declared once, for all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol, TypedDict, Unpack, overload

import numpy as np

from floatlab.formats import FloatFormat
from floatlab.rounding.flags import Flags
from floatlab.rounding.options import RoundingOptions
from floatlab.sums.accumulators import Accumulator

__all__ = [
    "AxisOptions",
    "OfOne",
    "OfTwo",
    "OperationOptions",
    "Product",
    "ProductOptions",
    "Reduction",
    "ReductionOptions",
    "Spread",
    "SpreadOptions",
    "SumOptions",
    "of_axes",
    "of_matrices",
    "of_one",
    "of_spread",
    "of_two",
]

# -- options ---------------------------------------------------------------------------------------------------


class SumOptions(TypedDict, total=False):
    """The options of everything that adds up.

    accumulator is "wide" by default, "exact", a format for sequential accumulation, or any other name or object that
    `get_accumulator` knows. formats are those that the operands are known to have, one each: they choose the
    instruction of a matrix unit; elsewhere they change no result, but "wide" is faster for formats of few bits, whose
    sums float64 often holds exactly. The others are those of `quantize`, and hold for every rounding on the way.
    Operands are taken as they are, and never flushed.
    """

    accumulator: str | FloatFormat | Accumulator
    formats: Sequence[str | FloatFormat]
    rounding: str
    overflow: str | None
    subnormals: str
    rng: np.random.Generator | int | None
    random_bits: int | None


class AxisOptions(SumOptions, total=False):
    """Those of a sum, and over what it is taken: `axis`, which may be several, and whether these are kept."""

    axis: Any
    keepdims: bool


class ProductOptions(SumOptions, total=False):
    """The options of a product of matrices, as `floatlab.sums.matmul.matmul` describes them.

    unit is a matrix unit, which may be said as the accumulator as well; bias_first whether its accumulator starts at
    the bias (see `floatlab.MatrixUnit`).
    """

    bias: Any
    product_format: str | FloatFormat | None
    unit: Any
    bias_first: bool


class OperationOptions(RoundingOptions, total=False):
    """The options of an operation on elements, or a function of them: those of `floatlab.quantize`, and return_flags.

    What is not given is taken from the context (`floatlab.arithmetic`). return_flags says whether to return the `Flags`
    as well.
    """

    return_flags: bool


class ReductionOptions(SumOptions, total=False):
    """The options of a sum, and of all that is made of sums, as `SumOptions` describes them.

    What is not given is taken from the context (`floatlab.arithmetic`). return_flags says whether to return the `Flags`
    as well; only with the accumulators "wide" and "exact", which round once.
    """

    random_integers: Any
    return_flags: bool


class SpreadOptions(AxisOptions, total=False):
    """Those of a variance: `ddof` is taken off the number of elements before dividing by it."""

    ddof: float


# -- types -----------------------------------------------------------------------------------------------------

# What is returned with ``return_flags=True`` is a tuple. A function cannot say so without writing its signature down
# twice; so each has one of these types, by a decorator that changes nothing else.


class OfOne(Protocol):
    """A function of one array."""

    @overload
    def __call__(
        self, x: Any, fmt: Any = ..., *, return_flags: Literal[True], **options: Unpack[RoundingOptions]
    ) -> tuple[Any, Flags]: ...
    @overload
    def __call__(
        self, x: Any, fmt: Any = ..., *, return_flags: bool = ..., **options: Unpack[RoundingOptions]
    ) -> Any: ...


class OfTwo(Protocol):
    """A function of two arrays."""

    @overload
    def __call__(
        self,
        a: Any,
        b: Any,
        /,
        fmt: Any = ...,
        *,
        return_flags: Literal[True],
        **options: Unpack[RoundingOptions],
    ) -> tuple[Any, Flags]: ...
    @overload
    def __call__(
        self,
        a: Any,
        b: Any,
        /,
        fmt: Any = ...,
        *,
        return_flags: bool = ...,
        **options: Unpack[RoundingOptions],
    ) -> Any: ...


class Reduction(Protocol):
    """A function of the elements along one axis, several or all."""

    @overload
    def __call__(
        self, x: Any, fmt: Any = ..., *, return_flags: Literal[True], **options: Unpack[AxisOptions]
    ) -> tuple[Any, Flags]: ...
    @overload
    def __call__(
        self, x: Any, fmt: Any = ..., *, return_flags: bool = ..., **options: Unpack[AxisOptions]
    ) -> Any: ...


class Spread(Protocol):
    """A variance or a standard deviation."""

    @overload
    def __call__(
        self, x: Any, fmt: Any = ..., *, return_flags: Literal[True], **options: Unpack[SpreadOptions]
    ) -> tuple[Any, Flags]: ...
    @overload
    def __call__(
        self, x: Any, fmt: Any = ..., *, return_flags: bool = ..., **options: Unpack[SpreadOptions]
    ) -> Any: ...


class Product(Protocol):
    """A product of matrices or vectors."""

    @overload
    def __call__(
        self,
        a: Any,
        b: Any,
        fmt: Any = ...,
        *,
        return_flags: Literal[True],
        **options: Unpack[ProductOptions],
    ) -> tuple[Any, Flags]: ...
    @overload
    def __call__(
        self, a: Any, b: Any, fmt: Any = ..., *, return_flags: bool = ..., **options: Unpack[ProductOptions]
    ) -> Any: ...


def _as_it_is(function: Callable[..., Any]) -> Any:
    return function


of_one: Callable[[Callable[..., Any]], OfOne] = _as_it_is
of_two: Callable[[Callable[..., Any]], OfTwo] = _as_it_is
of_axes: Callable[[Callable[..., Any]], Reduction] = _as_it_is
of_spread: Callable[[Callable[..., Any]], Spread] = _as_it_is
of_matrices: Callable[[Callable[..., Any]], Product] = _as_it_is
