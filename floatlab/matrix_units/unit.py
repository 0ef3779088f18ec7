"""What is a matrix unit? An accumulator for products of matrices that adds as a chip does: `MatrixUnit`.

A unit has an instruction for each kind of operands (`floatlab.matrix_units.instruction`), and the operands' formats
choose among them. Its results are those of the chip, bit for bit, wherever the chip is known
(`floatlab.matrix_units.catalogue`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import InitVar, dataclass, field
from typing import Any

import numpy as np

from floatlab.backend import Array
from floatlab.errors import FormatError, OptionError, check_switch
from floatlab.formats import FloatFormat
from floatlab.matrix_units.aligned import Aligned
from floatlab.matrix_units.instruction import FLOAT32, Formats, Instruction
from floatlab.matrix_units.operands import checked, cut
from floatlab.matrix_units.scaled import BlockScaled, Scales
from floatlab.matrix_units.shown import unit_in_html, unit_in_text
from floatlab.matrix_units.tiles import chain
from floatlab.matrix_units.whole_numbers import IntegerBlock
from floatlab.rounding.options import checks_names
from floatlab.rounding.quantize import quantize
from floatlab.sums.accumulators import Accumulator

__all__ = ["MatrixUnit"]

_ALONE = 1 << 12  # matrices with so many results are computed one by one, smaller ones together
_TOGETHER = 1 << 16  # so many results of small matrices


@checks_names
@dataclass(frozen=True, repr=False)
class MatrixUnit(Accumulator):
    """The accumulator of products of matrices and convolutions that a chip's matrix unit is.

    `floatlab.get_unit` returns those of real chips. One of your own has a name and one kind of addition::

        MatrixUnit("mine", fraction_bits=25, block=16, rounding="toward_zero")

    The accumulator starts at +0, or at the bias with `bias_first`; otherwise the bias is added to the finished fp32
    result, to nearest even, as the epilogue of a library's product does. The result is then rounded once to the format
    that is asked for.

    Parameters
    ----------
    name : str
        What it is called.
    instructions : sequence of Instruction
        What it multiplies, and how; the first that multiplies two formats is the one.
    fraction_bits, block, rounding, operands
        Those of one `Aligned` instruction, instead; by default it multiplies any formats of at most 24 bits.
    promote : int, optional
        Begin anew after so many products, and add up what they leave in fp32, to nearest even: 128 in DeepSeek-V3 and
        DeepGEMM. A multiple of the block.
    bias_first : bool
        Whether the bias is the c of the first block.

    Raises
    ------
    OptionError
        If there is neither an instruction nor what makes one, or a number has no meaning.

    Examples
    --------
    >>> import floatlab as fl
    >>> mine = MatrixUnit("mine", fraction_bits=4, block=4)
    >>> fl.matmul([[1.0, 2.0**-5]], [[1.0], [1.0]], "fp32", accumulator=mine, formats=("fp16", "fp16"))
    array([[1.]], dtype=float32)
    """

    name: str
    instructions: tuple[Instruction, ...] = ()
    fraction_bits: InitVar[int | None] = None
    block: InitVar[int | None] = None
    rounding: InitVar[str] = "toward_zero"
    operands: InitVar[Sequence[Any]] = ()
    promote: int | None = field(default=None, kw_only=True)
    bias_first: bool = field(default=False, kw_only=True)
    about: str = field(default="", kw_only=True, compare=False)
    sources: tuple[str, ...] = field(default=(), kw_only=True, compare=False)
    proven: tuple[str, ...] = field(default=(), kw_only=True, compare=False)

    def __post_init__(
        self, fraction_bits: int | None, block: int | None, rounding: str, operands: Sequence[Any]
    ) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise OptionError(f'A unit has a name. Got {self.name!r}. Use MatrixUnit("mine", ...).')
        made = (fraction_bits, block) != (None, None)
        if made == bool(self.instructions) or (made and None in (fraction_bits, block)):
            raise OptionError(
                "A unit is made of instructions, or of fraction_bits and block. "
                f"Got {self.name!r} with {'both' if made and self.instructions else 'neither, or one of two'}. "
                f'Use MatrixUnit("{self.name}", fraction_bits=25, block=16).'
            )
        if made:
            assert fraction_bits is not None and block is not None
            own = Aligned(tuple(operands), block, fraction_bits=fraction_bits, rounding=rounding)
            object.__setattr__(self, "instructions", (own,))
        object.__setattr__(self, "instructions", tuple(self.instructions))
        object.__setattr__(self, "bias_first", check_switch("bias_first", self.bias_first))
        if self.promote is not None:
            _check_promote(self.promote, self.instructions)

    def __str__(self) -> str:
        parts = [self.name]
        if self.promote is not None:
            parts.append(f"promote={self.promote}")
        if self.bias_first:
            parts.append("bias_first")
        return ":".join(parts)

    def __repr__(self) -> str:
        return unit_in_text(self)

    def _repr_html_(self) -> str:
        return unit_in_html(self)

    @property
    def forms_products(self) -> bool:
        """Whether it forms products of matrices as a whole: it does."""
        return True

    def formats(self) -> tuple[FloatFormat, ...]:
        """Return none: its partial sums are its own."""
        return ()

    def multiplied(self) -> tuple[FloatFormat, ...]:
        """Return the formats of operands that it multiplies, each once."""
        found: dict[FloatFormat, None] = {}
        for instruction in self.instructions:
            found.update(dict.fromkeys(instruction.operands))
        return tuple(found)

    def instruction(self, a: FloatFormat, b: FloatFormat) -> Instruction:
        """Return the instruction for operands of two formats.

        Raises
        ------
        FormatError
            If there is none; the message lists the formats that there are.
        """
        for instruction in self.instructions:
            if instruction.multiplies(a, b):
                return instruction
        known = ["/".join(fmt.name for fmt in one.operands) for one in self.instructions if one.operands]
        if not known:
            raise FormatError(
                f"{self.name} multiplies integers of 8 bits. Got {a} and {b}. Use fl.quantize_int(x)."
            )
        raise FormatError(
            f"{self.name} multiplies {', '.join(dict.fromkeys(known))}. Got {a} and {b}. "
            "Round the operands to one of these, or choose another unit (fl.units())."
        )

    def multiply_scaled(
        self, a: Array, b: Array, addend: Array | None, formats: Formats, scales: Scales, factor: float = 1.0
    ) -> Array:
        """Return the product of matrices whose numbers share scales, as the unit leaves it, in float64.

        Parameters
        ----------
        a, b : array
            Elements without their scales, (M, K) and (K, N), values of `formats`.
        addend : array, optional
            The bias, which broadcasts to (M, N).
        scales : Scales
            What they are multiplied by.
        factor : float
            What the finished product is multiplied by, in fp32: the scales of whole tensors.

        Raises
        ------
        FormatError
            If it has no instruction for such elements and scales; the message lists those it has.
        """
        how = next((one for one in self._scaled() if one.scales_as(formats, scales)), None)
        if how is None:
            known = [
                f"{'/'.join(fmt.name for fmt in one.operands)} with {'/'.join(fmt.name for fmt in one.scale_formats)} "
                f"for {' or '.join(map(str, one.scale_blocks))}"
                for one in self._scaled()
            ]
            raise FormatError(
                f"{self.name} multiplies scaled blocks of {', or of '.join(known) or 'no kind'}. "
                f"Got {formats[0]} and {formats[1]} with {scales.fmt} for {scales.block}. Use another block format, or "
                'another unit: "b200".'
            )
        chosen = how
        first = np.zeros((a.shape[0], b.shape[1]))
        if addend is not None:
            if self.bias_first and factor != 1.0:
                raise OptionError(
                    "The scales of whole tensors multiply the finished product, and a bias that comes first with it. "
                    "Got bias_first with such scales. Leave bias_first out."
                )
            addend = checked(addend, FLOAT32, "The bias")
            if self.bias_first:
                first = np.array(np.broadcast_to(addend, first.shape))

        def part(k: slice, c: Array) -> Array:
            return chosen.chain_scaled(a[:, k], b[k], c, formats, scales.part(k))

        with np.errstate(all="ignore"):
            total = self._promoted(part, a.shape[1], first)
            if factor != 1.0:
                total = quantize(total * factor, FLOAT32)
            if addend is not None and not self.bias_first:
                total = _added(total, addend)
        return total

    def integer_sums(self) -> str:
        """Return how it sums products of integers, as `floatlab.matmul` of these calls it.

        Raises
        ------
        FormatError
            If it multiplies none.
        """
        for one in self.instructions:
            if isinstance(one, IntegerBlock):
                return one.sums
        raise FormatError(
            f'{self.name} is no unit of integers here. Got it for a product of them. Use unit="avx512_vnni" or '
            '"maddubs".'
        )

    def _scaled(self) -> list[BlockScaled]:
        return [one for one in self.instructions if isinstance(one, BlockScaled)]

    def multiply(self, a: Array, b: Array, addend: Array | None, formats: Sequence[FloatFormat]) -> Array:
        """Return ``a @ b + addend`` as the unit leaves it, in float64; shapes as for `numpy.matmul`, of matrices.

        Raises
        ------
        FormatError, DtypeError
            If the formats of the operands are not known, not multiplied, or not those of the numbers.
        """
        if len(formats) < 2:
            raise FormatError(
                f"The formats of the operands choose the instruction of {self.name}. Got plain numbers. "
                'Say formats=("fp16", "fp16"), or use FloatArrays.'
            )
        two = formats[0], formats[1]
        how = self.instruction(*two)
        a = checked(a, how.carrier or two[0], "The first operand")
        b = checked(b, how.carrier or two[1], "The second operand")
        if how.carrier is not None:
            a, b = cut(a, two[0]), cut(b, two[1])
        shape = (*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1])
        first = np.zeros(shape)
        if addend is not None:
            addend = checked(addend, how.register if self.bias_first else FLOAT32, "The bias")
            if self.bias_first:
                first = np.array(np.broadcast_to(addend, shape))
        with np.errstate(all="ignore"):
            total = self._of_stack(how, a, b, first, two)
            if addend is not None and not self.bias_first:
                total = _added(total, addend)
        return total

    def _of_stack(self, how: Instruction, a: Array, b: Array, c: Array, formats: Formats) -> Array:
        """Return the accumulators of a stack of products: of large matrices one by one, of small ones together."""

        def one(a: Array, b: Array, c: Array) -> Array:
            return self._promoted(
                lambda k, c: chain(how, a[..., k], b[..., k, :], c, formats), a.shape[-1], c
            )

        if c.ndim == 2:
            return one(a, b, c)
        if b.ndim == 2:  # the rows of all matrices, one below the other
            rows = a.reshape(-1, a.shape[-1])
            return one(rows, b, c.reshape(len(rows), -1)).reshape(c.shape)
        size = c.shape[-2] * c.shape[-1]
        count = c.size // size if size else 0
        a = np.broadcast_to(a, (*c.shape[:-2], *a.shape[-2:])).reshape(count, *a.shape[-2:])
        b = np.broadcast_to(b, (*c.shape[:-2], *b.shape[-2:])).reshape(count, *b.shape[-2:])
        out = c.reshape(count, *c.shape[-2:])
        if size >= _ALONE:
            for i in range(count):
                out[i] = one(a[i], b[i], out[i])
        else:
            step = max(1, _TOGETHER // max(size, 1))
            for i in range(0, count, step):
                some = slice(i, i + step)
                out[some] = one(a[some], b[some], out[some])
        return out.reshape(c.shape)

    def _promoted(self, part: Callable[[slice, Array], Array], count: int, c: Array) -> Array:
        """Return the sum of `count` products; `part` adds those of a slice to an accumulator."""
        step = self.promote or max(count, 1)
        total = part(slice(0, step), c)
        for k in range(step, count, step):
            total = _added(total, part(slice(k, k + step), np.zeros(c.shape)))
        return total


def _check_promote(promote: Any, instructions: Sequence[Instruction]) -> None:
    longest = max(one.block for one in instructions)
    whole = isinstance(promote, int | np.integer) and not isinstance(promote, bool)
    if not whole or promote < 1 or any(promote % one.block for one in instructions):
        raise OptionError(
            f"promote is after how many products an accumulator begins anew: a multiple of its blocks, {longest} the "
            f"longest. Got {promote!r}. Use 128."
        )


def _added(x: Array, y: Array) -> Array:
    """Return x + y in fp32, to nearest even. (53 bits are more than twice 24 and two: rounding twice is harmless.)"""
    total = quantize(x + y, FLOAT32)
    return np.where(np.isnan(total), np.nan, total)
