"""What is an array of integers that stand for real numbers? Codes, and for each group of them a scale and a zero point.

A code q stands for (q - zero_point) * scale. For looking and for products of matrices, not for arithmetic: a sum of two
such arrays would need a scale of its own, and whoever adds them chooses it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Unpack

import numpy as np

from floatlab.backend import Array
from floatlab.block_formats.coded import Coded, refused
from floatlab.block_formats.groups import Groups
from floatlab.block_formats.integer_format import IntFormat
from floatlab.block_formats.integer_matmul import matmul
from floatlab.errors import DtypeError, ShapeError
from floatlab.operations.operate import operate
from floatlab.rounding.options import RoundingOptions
from floatlab.system.html import number, table

__all__ = ["IntArray"]


@dataclass(frozen=True, eq=False)
class IntArray(Coded):
    """Integers that stand for real numbers: what `floatlab.quantize_int` returns.

    Attributes
    ----------
    fmt : IntFormat
        The type of the codes.
    codes : array of int
        What is stored.
    scale : array of float32 or float64
        What one step of the codes is worth: of no dimension for one scale, else of the dimensions of `codes`, with one
        number for each group. For fixed point it is the format's step.
    zero_point : array of int
        The code of 0, in the shape of `scale`.
    groups : Groups
        Which elements share a scale.

    Examples
    --------
    >>> from floatlab.block_formats.integers import quantize_int
    >>> x = quantize_int([0.5, -1.0, 0.25], "int8")
    >>> x.codes, x.scale.item()
    (array([  64, -127,   32], dtype=int8), 0.007874015718698502)
    >>> x.decode()
    array([ 0.503937 , -1.       ,  0.2519685], dtype=float32)
    """

    fmt: IntFormat
    codes: Array
    scale: Array
    zero_point: Array
    groups: Groups

    @property
    def axis(self) -> int | None:
        """Along which axis the scales differ; None if there is one scale."""
        return self.groups.axis

    @property
    def nbytes(self) -> int:
        """What codes, scales and zero points take, the codes packed: an int4 half a byte."""
        parameters = 0 if self.fmt.frac_bits is not None else self.scale.nbytes
        affine = self.zero_point.size * self.codes.itemsize if self.zero_point.any() else 0
        return -(-self.size * self.fmt.bits // 8) + parameters + affine

    @property
    def bits_per_value(self) -> float:
        """The same, in bits, for one number.

        >>> from floatlab.block_formats.integers import quantize_int
        >>> quantize_int(np.ones(64), "int4", granularity=32).bits_per_value
        5.0
        """
        return 8 * self.nbytes / self.size if self.size else float(self.fmt.bits)

    def decode(self, fmt: Any = None, **options: Unpack[RoundingOptions]) -> Array:
        """Return the numbers, each rounded once from the exact (code - zero_point) * scale.

        Parameters
        ----------
        fmt : str or FloatFormat, optional
            What to round to. Default: "float32", as PyTorch does; "float64" for fixed point of more than 24 bits. In
            "float64" an int8 times a float32 scale is exact.
        **options
            Those of `floatlab.quantize`.
        """
        if fmt is None:
            fmt = "float64" if self.fmt.frac_bits is not None and self.fmt.bits > 24 else "float32"
        scale, zero = self.groups.spread(self.scale), self.groups.spread(self.zero_point)
        carrier = (
            np.float32 if self.fmt.bits <= 16 else np.float64
        )  # which holds every difference of two codes
        steps = self.codes.astype(carrier)
        if self.zero_point.any():
            steps = steps - zero.astype(carrier)
        return operate("multiply", (steps, scale), fmt, **options)

    def transpose(self, *axes: Any) -> IntArray:
        """Return the array with its axes in another order, or reversed; the scales go along."""
        given = axes[0] if len(axes) == 1 and isinstance(axes[0], tuple | list) else axes
        order = tuple(given) if given else tuple(range(self.ndim))[::-1]
        try:
            order = tuple(range(self.ndim)[i] for i in order)
            codes = self.codes.transpose(order)
        except (ValueError, TypeError, IndexError):
            raise ShapeError(
                f"transpose takes each of the {self.ndim} axes once. Got {axes} for shape {self.shape}. "
                "Leave them out to reverse the order."
            ) from None
        scale, zero = (of.transpose(order) if of.ndim else of for of in (self.scale, self.zero_point))
        return IntArray(self.fmt, codes, scale, zero, self.groups.moved(order))

    @property
    def T(self) -> IntArray:  # noqa: N802  (NumPy's name)
        """The array with its axes reversed."""
        return self.transpose()

    def __repr__(self) -> str:
        codes = np.array2string(self.codes, separator=", ", threshold=20, edgeitems=2, prefix="IntArray(")
        scale = number(self.scale.item()) if self.scale.ndim == 0 else f"{self.scale.size} of them"
        affine = ""
        if self.zero_point.any():
            affine = f", zero_point={self.zero_point.item() if self.zero_point.ndim == 0 else '...'}"
        return f"IntArray({codes}, format={self.fmt}, scale={scale}{affine})"

    def _repr_html_(self) -> str:
        """Show what the array is made of as a table in a notebook."""
        at_end = (self.codes == self.fmt.min) | (self.codes == self.fmt.max)
        rows = [
            ("shape", " × ".join(map(str, self.shape)) or "one number"),
            ("scales", _range(self.scale)),
            ("zero points", _range(self.zero_point)),
            ("groups", self.groups.kind if self.groups.block is None else f"blocks of {self.groups.block}"),
            ("codes at an end of the range", f"{np.count_nonzero(at_end)} of {self.size}"),
            ("bits for one number", number(self.bits_per_value)),
        ]
        return table(f"Numbers as {self.fmt}", rows)

    # -- what is no arithmetic ------------------------------------------------------------------------------------

    @staticmethod
    def answer_floatlab(name: str, operands: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """Return what one of floatlab's functions makes of arrays among which is one of these: a product, or an error.

        `floatlab.border` calls it.
        """
        everything = (*operands, *options.values())
        own = next(x for x in everything if isinstance(x, IntArray))
        if name != "matmul":
            raise own._refusal(f"{name} of its own")
        both = [*operands[:2], *(options[key] for key in ("x", "y") if key in options)]
        if not all(isinstance(x, IntArray) for x in both):
            raise DtypeError(
                "A product of integers has an IntArray on either side. "
                f"Got {' and '.join(type(x).__name__ for x in both)}. Quantize both, or decode the one."
            )
        return matmul(*operands, **options)

    def _refusal(self, what: str) -> Exception:
        return DtypeError(
            f"An IntArray stands for real numbers by scales of its own, and has no {what}. Got one of {self.fmt}. "
            "Use x.decode() for the numbers, x.codes for the integers, or floatlab.matmul for a product."
        )

    __array_function__ = refused("function of NumPy")
    __array__ = refused("numbers that NumPy could take")
    __len__ = refused("length but its shape")

    def __matmul__(self, other: Any) -> Array:
        return IntArray.answer_floatlab("matmul", (self, other), {})

    def __rmatmul__(self, other: Any) -> Array:
        return IntArray.answer_floatlab("matmul", (other, self), {})


def _range(of: Array) -> str:
    """Return the one number, or the least and the largest."""
    if not of.size:
        return "none"
    low, high = number(float(of.min())), number(float(of.max()))
    return low if low == high else f"{low} … {high}"
