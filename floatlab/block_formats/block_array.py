"""What is an array of blocks? Codes of elements and of scales, and what can be done with them: look, decode, multiply.

OCP defines one operation on blocks, the dot product (Microscaling Formats (MX) Specification 1.0, section 6.2), and so
does this room: `matmul` of two arrays whose blocks lie along the axis that it sums.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from floatlab.backend import Array
from floatlab.block_formats.block_format import BlockFormat
from floatlab.block_formats.coded import Coded
from floatlab.block_formats.layout import Layout
from floatlab.codes.decode import decode
from floatlab.errors import DtypeError, FormatMismatchError, OptionError, ShapeError
from floatlab.formats import FloatFormat, get_format
from floatlab.matrix_units import MatrixUnit, get_unit
from floatlab.matrix_units.scaled import Scales
from floatlab.rounding.quantize import quantize
from floatlab.sums.matmul import matmul as matmul_of_numbers
from floatlab.sums.names import get_accumulator

__all__ = ["BlockArray", "matmul"]


class BlockArray(Coded):
    """Numbers of a block format: codes, and a scale for each block. Made by `floatlab.encode` and `floatlab.array`.

    It is there to be looked at, decoded and multiplied as a matrix. There is no other arithmetic on blocks.

    Attributes
    ----------
    format : BlockFormat
    codes : array of unsigned integers
        The codes of the elements, of the array's shape; integers in two's complement, in the low bits.
    scales : array of unsigned integers
        The codes of the scales, of the shape of the blocks.
    tensor_scale : numpy.float32 or None
        The scale of the whole tensor.
    axes : tuple of int
        Which axes blocks lie along.
    rule : str
        By which rule the scales were chosen.

    Examples
    --------
    >>> import floatlab as fl
    >>> a = fl.encode([1.0, 3.3, 100.0, 0.1], "mxfp4")
    >>> a
    BlockArray([ 0.,  0., 96.,  0.], format=mxfp4, scales=[2^4])
    >>> a.decode(), a.packed(), a.nbytes
    (array([ 0.,  0., 96.,  0.], dtype=float32), array([0, 7], dtype=uint8), 3)
    """

    __slots__ = ("axes", "codes", "format", "rule", "scales", "tensor_scale")

    def __init__(
        self,
        fmt: BlockFormat,
        codes: Array,
        scales: Array,
        tensor_scale: np.float32 | None,
        axes: tuple[int, ...],
        rule: str,
    ) -> None:
        codes, scales = np.asarray(codes), np.asarray(scales)
        where = Layout(codes.shape, axes, fmt.block)
        if scales.shape != where.scale_shape:
            raise ShapeError(
                f"There is a scale for each block. Got scales of shape {scales.shape} for codes of shape "
                f"{codes.shape}. Use {where.scale_shape}."
            )
        self.format, self.codes, self.scales = fmt, codes, scales
        self.tensor_scale, self.axes, self.rule = tensor_scale, axes, rule

    # -- what it looks like --------------------------------------------------------------------------------

    @property
    def axis(self) -> int | tuple[int, ...]:
        """The axis that blocks lie along; of tiles, both."""
        return self.axes[0] if len(self.axes) == 1 else self.axes

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def scale_values(self) -> Array:
        """The scales as numbers, without the tensor's."""
        return decode(self.scales, self.format.scale)

    @property
    def elements(self) -> Array:
        """The elements as numbers, before any scale."""
        return self.format.parts.decode(self.codes)

    @property
    def nbytes(self) -> int:
        """The bytes that elements, packed, and scales take, and the tensor's scale."""
        return self.format.nbytes(self.size, self.scales.size)

    @property
    def bits_per_value(self) -> float:
        """Bits that a number takes here, on average; shorter blocks at the end of an axis cost more."""
        bits = self.size * self.format.parts.bits + self.scales.size * self.format.scale.bits
        return (bits + (0 if self.tensor_scale is None else 32)) / self.size if self.size else 0.0

    def decode(self, dtype: Any = None) -> Array:
        """Return the numbers: element times scale, times the tensor's scale.

        Parameters
        ----------
        dtype : float32 or float64, optional
            float64 holds every product. Default: float32 where it does too, which is where scales are powers of two
            and nothing exceeds its range. To float32 each product is rounded once.

        Examples
        --------
        >>> import floatlab as fl
        >>> fl.encode([0.1, 0.2], "nvfp4").decode().tolist(), fl.encode([0.1, 0.2], "mxfp8_e4m3").decode().tolist()
        ([0.10000000381842256, 0.2000000076368451], [0.1015625, 0.203125])
        """
        with np.errstate(all="ignore"):
            values = self.elements.astype(np.float64) * self.spread_scales()
            if dtype is not None:
                return values.astype(_float_type(dtype))
            if not self.format.is_exact_in_float32:
                return values
            short = values.astype(np.float32)
        return values if np.isinf(short).any() else short

    def spread_scales(self) -> Array:
        """Return for each number the scale that its element is multiplied by, the tensor's included, in float64.

        >>> import floatlab as fl
        >>> fl.encode([1.0, 3.3, 100.0, 0.1], "mxfp4").spread_scales().tolist()
        [16.0, 16.0, 16.0, 16.0]
        """
        tensor = 1.0 if self.tensor_scale is None else float(self.tensor_scale)
        where = Layout(self.shape, self.axes, self.format.block)
        return where.spread(self.scale_values.astype(np.float64) * tensor)

    def packed(self) -> Array:
        """Return the codes of the elements without gaps: bytes along the last axis, the first code in the low bits.

        Two codes of 4 bits make a byte, that of the even index in its low half; four of 6 bits make three bytes. A
        row that does not fill its last byte is filled with zeros.

        >>> import floatlab as fl
        >>> fl.encode([0.5, 6.0, 1.0], "mxfp4").packed()
        array([113,   2], dtype=uint8)
        """
        bits = self.format.parts.bits
        if bits == 8:
            return self.codes.astype(np.uint8)
        if bits == 4:
            pairs = self.codes[..., 0::2].copy()
            pairs[..., : self.shape[-1] // 2] |= self.codes[..., 1::2] << 4
            return pairs
        octets = self.codes[..., None].astype("<u4").view(np.uint8)
        each = np.unpackbits(octets, axis=-1, count=bits, bitorder="little")
        return np.packbits(each.reshape(*self.shape[:-1], -1), axis=-1, bitorder="little")

    def transpose(self) -> BlockArray:
        """Return the transpose of an array of tiles. Other blocks have none: they would lie along the wrong axis.

        Raises
        ------
        OptionError
            If blocks lie along one axis, or tiles are not square.
        """
        sides = self.format.block
        if len(sides) == 1 or sides[0] != sides[1] or self.ndim != 2:
            raise OptionError(
                f"Only an array of square tiles in two dimensions has a transpose. Got {self.format} of shape "
                f"{self.shape}. Quantize the transpose of the original, along the axis that the product sums."
            )
        return BlockArray(
            self.format, self.codes.T.copy(), self.scales.T.copy(), self.tensor_scale, self.axes, self.rule
        )

    @property
    def T(self) -> BlockArray:  # noqa: N802 (NumPy's name)
        """The transpose, of tiles."""
        return self.transpose()

    def __repr__(self) -> str:
        values = np.array2string(self.decode(), separator=", ", threshold=20, prefix="BlockArray(")
        scales = _scales_shown(self.scale_values)
        tensor = "" if self.tensor_scale is None else f", tensor_scale={float(self.tensor_scale):g}"
        return f"BlockArray({values}, format={self.format}, scales={scales}{tensor})"

    # -- what it does not do -------------------------------------------------------------------------------

    def _refusal(self, what: str) -> Exception:
        return FormatMismatchError(
            f"There is no arithmetic on blocks but the product of matrices, and no {what}. Got one of {self.format}. "
            "Use a.decode(), or floatlab.matmul(a, b)."
        )

    def __matmul__(self, other: Any) -> Array:
        return matmul(self, other)

    def __rmatmul__(self, other: Any) -> Array:
        return matmul(other, self)

    def answer_floatlab(self, name: str, operands: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """Return what one of floatlab's functions is for blocks: `decode` and `matmul`; others are refused."""
        answers: dict[str, Any] = {"decode": BlockArray.decode, "matmul": matmul}
        if name not in answers:
            raise FormatMismatchError(
                f"{name} computes with numbers. Got a BlockArray of {self.format}. Use {name}(a.decode(), ...)."
            )
        return answers[name](*operands, **options)

    def __array__(self, dtype: Any = None, copy: Any = None) -> Array:
        """Return the numbers: what NumPy asks for."""
        if copy is False:
            raise ValueError(
                "The numbers of blocks are computed, which is a copy. Got copy=False. Leave it out."
            )
        values = self.decode()
        return values if dtype is None else values.astype(dtype)


def _scales_shown(scales: Array) -> str:
    def shown(x: float) -> str:
        mantissa, exponent = np.frexp(x)
        return f"2^{int(exponent) - 1}" if mantissa == 0.5 else f"{x:g}"

    flat = scales.reshape(-1)
    some = [shown(float(x)) for x in flat[:4]]
    return "[" + ", ".join(some) + (", ..." if flat.size > 4 else "") + "]"


def _float_type(dtype: Any) -> np.dtype[Any]:
    """Return float32 or float64, as which blocks are decoded."""
    try:
        found = np.dtype(dtype)
    except (TypeError, ValueError):
        found = None
    if found is None or found not in (np.dtype(np.float32), np.dtype(np.float64)):
        raise DtypeError(f"Blocks are decoded to float32 or float64. Got {dtype!r}. Use float64.")
    return found


def matmul(
    a: Any, b: Any, fmt: Any = "float32", *, accumulator: Any = "exact", unit: Any = None, **options: Any
) -> Array:
    """Return the product of two matrices of blocks: the sum of all products, rounded once.

    OCP leaves open how the sum over blocks is rounded; here it is exact by default. With a matrix unit that multiplies
    scaled blocks it is what the chip computes: elements and scales go to it as they are.

    Parameters
    ----------
    a, b : BlockArray
        Of shapes (..., m, k) and (..., k, n); blocks lie along k, or are tiles.
    fmt : str or FloatFormat
        The format of the result.
    accumulator, **options
        As of `floatlab.matmul`: how it adds up, and how the result is rounded.
    unit : str or MatrixUnit, optional
        A matrix unit, as "b200"; it may be named as the accumulator as well. A tensor's scales multiply the finished
        product in fp32, before the bias.

    Returns
    -------
    array
        Values of `fmt`.

    Raises
    ------
    FormatMismatchError
        If one of them is no BlockArray.
    ShapeError
        If blocks do not lie along the axis that is summed.

    Examples
    --------
    >>> import floatlab as fl
    >>> a = fl.encode([[1.0, 2.0]], "mxfp8_e4m3")
    >>> b = fl.encode([[3.0], [4.0]], "mxfp8_e4m3", axis=0)
    >>> matmul(a, b)
    array([[11.]], dtype=float32)
    """
    for x in (a, b):
        if not isinstance(x, BlockArray):
            raise FormatMismatchError(
                f"Both operands of a product of blocks are BlockArrays. Got {type(x).__name__}. "
                "Encode it too, or decode the other one."
            )
    for x, axis in ((a, a.ndim - 1), (b, max(b.ndim - 2, 0))):
        if axis not in x.axes:
            raise ShapeError(
                f"Blocks of a product lie along the axis that it sums. Got blocks along {x.axis} of shape {x.shape}. "
                f"Encode the original again, with axis={axis - x.ndim}."
            )
    how = get_accumulator(accumulator) if unit is None else get_unit(unit)
    if isinstance(how, MatrixUnit):
        return _by_unit(a, b, fmt, how, **options)
    return matmul_of_numbers(a.decode(np.float64), b.decode(np.float64), fmt, accumulator=how, **options)


def _by_unit(
    a: BlockArray,
    b: BlockArray,
    fmt: Any,
    unit: MatrixUnit,
    *,
    bias: Any = None,
    bias_first: bool | None = None,
    **options: Any,
) -> Array:
    """Return the product as a matrix unit forms it, of two matrices or vectors, rounded once more to the format."""
    if a.ndim > 2 or b.ndim > 2:
        raise ShapeError(
            f"A unit multiplies two matrices of blocks. Got shapes {a.shape} and {b.shape}. Multiply one by one."
        )
    element_a, element_b = a.format.element, b.format.element
    if not isinstance(element_a, FloatFormat) or not isinstance(element_b, FloatFormat):
        raise FormatMismatchError(
            f"{unit} multiplies floats that share scales. Got {a.format} and {b.format}. Leave the unit out, or use "
            "mxfp8_e4m3."
        )
    sizes = a.format.block[-1], b.format.block[0]
    if not a.format.scale.same_as(b.format.scale) or sizes[0] != sizes[1]:
        raise FormatMismatchError(
            f"A unit multiplies blocks whose scales have one format, and as many numbers each. Got {a.format} and "
            f"{b.format}. Use one block format for both, but for the elements."
        )
    if bias_first is not None:
        unit = replace(unit, bias_first=bias_first)
    left, right = (x.elements.astype(np.float64) for x in (a, b))
    of_a, of_b = (
        Layout(x.shape, x.axes, x.format.block).spread(x.scale_values.astype(np.float64)) for x in (a, b)
    )
    if a.ndim == 1:
        left, of_a = left[None], of_a[None]
    if b.ndim == 1:
        right, of_b = right[:, None], of_b[:, None]
    scales = Scales(of_a, of_b, a.format.scale, sizes[0])
    shape = (*a.shape[:-1], *b.shape[1:])
    addend = (
        None
        if bias is None
        else np.broadcast_to(np.asarray(bias, np.float64), shape).reshape(len(left), right.shape[1])
    )
    factor = float(np.prod([float(x.tensor_scale) for x in (a, b) if x.tensor_scale is not None]))
    factor = float(np.float32(factor))
    total = unit.multiply_scaled(left, right, addend, (element_a, element_b), scales, factor)
    target = get_format(fmt)
    return quantize(total.reshape(shape), target, **options).astype(target.value_dtype)
