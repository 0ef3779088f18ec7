"""What does a recipe of blocks make of an operand? Blocks along the axis that its product sums.

A layer computes three products, each of two matrices, and each sums over another axis::

    forward   y  = x w'      sums over inputs     x: blocks along inputs      w: blocks along inputs
    dgrad     dx = dy w      sums over outputs    dy: blocks along outputs    w: blocks along outputs
    wgrad     dw = dy' x     sums over the batch  dy: blocks along the batch  x: blocks along the batch

A scale can be taken out of a sum only where all its terms share it. So the blocks of an operand lie along the axis that
its product sums, and a tensor that takes part in two products is quantized twice, both times from the numbers that it
had before: a value that was quantized along one axis and then along the other has been rounded twice. Only a square
tile serves both.

A recipe says of an operand what it becomes (`BlockRecipe.quantize`). The product of what becomes of two is exact,
however it is summed, up to the one rounding to the format of the result, if `accumulator` says nothing else.

What may be added, each where its source has it:

- The *random Hadamard transform* of both operands of wgrad, along the batch: it spreads an outlier over 16 numbers, and
  leaves the product as it is. What fills no 16 is filled up with zeros.
- *Stochastic rounding* of gradients, with 8 random bits. It is right on average where rounding to nearest loses every
  number below a quarter of its scale.
- *Square tiles* of weights, so that forward and backward see the same weight.

Source: OCP, "Microscaling Formats (MX) Specification 1.0", section 6.2 (blocks lie along the axis that is summed); for
what is added, those of `floatlab.amp.block_recipes`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from floatlab.amp.block_casts import is_watched, tell
from floatlab.block_formats.block_array import BlockArray
from floatlab.block_formats.block_format import BlockFormat, rule_of_scales
from floatlab.block_formats.catalogue import block_format
from floatlab.block_formats.hadamard import hadamard
from floatlab.block_formats.layout import layout
from floatlab.block_formats.quantize import encode_blocks, quantize_blocks
from floatlab.errors import OptionError, check_option, check_switch
from floatlab.optim.parameters import is_whole
from floatlab.rounding.options import checks_names
from floatlab.sums.names import get_accumulator

__all__ = ["BlockRecipe", "BlockScaling", "in_blocks", "quantized"]

Array = NDArray[Any]
_RANDOM_BITS = 8  # of Blackwell's stochastic conversions to four bits
_TRANSFORM = 16  # neighbours
_NEAR_THE_END = 2.0**120  # of float32


@checks_names
@dataclass(frozen=True, kw_only=True)
class BlockRecipe:
    """What all recipes of blocks share.

    One of one's own overrides `quantize`. Where a run is watched (`floatlab.telemetry`), the recipes here tell what
    became of each operand; one of one's own need not.

    Parameters
    ----------
    accumulator : str or Accumulator, optional
        How the products add up, as in `floatlab.matmul`. Default: as the context says, which is exactly, rounded once.
    keep : str or sequence of str
        The names of layers that are left alone, as "head" or "blocks.0"; what is in them too. `block_autocast` needs
        the model then.
    seed : int
        Of the random numbers. The same seed gives the same weights, bit for bit.
    """

    accumulator: Any = None
    keep: str | tuple[str, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        if self.accumulator is not None:
            get_accumulator(self.accumulator)  # an unknown one is an error now, not in the first product
        names = (self.keep,) if isinstance(self.keep, str) else self.keep
        if not isinstance(names, list | tuple | set | frozenset) or not all(
            isinstance(name, str) and name for name in names
        ):
            raise OptionError(
                f"keep holds names of layers. Got {self.keep!r:.80}. "
                'Use keep="head", or the names of model.named_modules().'
            )
        object.__setattr__(self, "keep", tuple(names))
        if not is_whole(self.seed) or self.seed < 0:
            raise OptionError(
                f"seed is a whole number that is not negative. Got {self.seed!r}. The default is 0."
            )

    def quantize(self, values: Array, axis: int, operand: str, rng: np.random.Generator) -> Array:
        """Return what an operand of a product becomes: numbers that float64 holds, of the same shape.

        Parameters
        ----------
        values : array of float32 or float64
            A matrix.
        axis : {0, 1}
            Which axis the product sums.
        operand : {"input", "weight", "gradient"}
            What it is.
        rng : numpy.random.Generator
            Where randomness comes from.
        """
        return values

    def operands(
        self, a: Array, b: Array, roles: tuple[str, str], rng: np.random.Generator
    ) -> tuple[Array, Array]:
        """Return what becomes of both operands of a product, which sums the second axis of a and the first of b."""
        return self.quantize(a, 1, roles[0], rng), self.quantize(b, 0, roles[1], rng)

    def blocks(
        self, a: Array, b: Array, roles: tuple[str, str], rng: np.random.Generator
    ) -> tuple[BlockArray, BlockArray]:
        """Return the same operands as arrays of blocks, which a matrix unit multiplies.

        Raises
        ------
        OptionError
            If the recipe makes something else.
        """
        raise OptionError(
            f"A matrix unit multiplies scaled blocks of floats. Got the recipe {type(self).__name__}, which makes "
            'none. Use MXFP8() or NVFP4() with it, or accumulator="exact".'
        )

    def kept(self, shape: tuple[int, int], operand: str) -> tuple[str, int] | None:
        """Return the format and the bytes of what a device keeps of an operand for the backward pass.

        That is the cast along the first axis: of inputs along the batch, for wgrad, and of a weight along outputs, for
        dgrad. None: the operand itself, as of a recipe that does not say what it makes of one.

        Parameters
        ----------
        shape : tuple of int
            (batch, inputs) of inputs, (outputs, inputs) of a weight.
        operand : {"input", "weight"}
            Which of them.
        """
        return None


def in_blocks(fmt: BlockFormat, shape: tuple[int, int]) -> tuple[str, int]:
    """Return the name of a format, and the bytes of a matrix whose blocks lie along the first axis."""
    scales = layout(shape, fmt.block, None if fmt.is_tile else 0, "short").scale_shape
    return fmt.name, fmt.nbytes(math.prod(shape), math.prod(scales))


def quantized(values: Array, fmt: BlockFormat, axis: int, operand: str, **options: Any) -> Array:
    """Return the values of a block format, blocks along an axis, or in tiles; tell who listens."""
    if fmt.is_exact_in_float32 and values.dtype == np.float32 and (np.abs(values) > _NEAR_THE_END).any():
        values = values.astype(np.float64)  # an element that is rounded up may leave the range of float32
    if not is_watched():
        return quantize_blocks(values, fmt, **_along(fmt, axis), **options)
    short = values.dtype == np.float32 and fmt.is_exact_in_float32
    return _encoded(values, fmt, axis, operand, **options).decode(np.float32 if short else np.float64)


def _encoded(values: Array, fmt: BlockFormat, axis: int, operand: str, **options: Any) -> BlockArray:
    """Return the same as an array of blocks; tell who listens."""
    blocks = encode_blocks(values, fmt, **_along(fmt, axis), **options)
    if is_watched():
        tell(
            fmt.name, operand, fmt.parts, values, blocks.elements, blocks.scale_values, blocks.spread_scales()
        )
    return blocks


def _along(fmt: BlockFormat, axis: int) -> dict[str, Any]:
    """Return the option that says along which axis blocks lie, which tiles have not."""
    return {} if fmt.is_tile else {"axis": axis}


@checks_names
@dataclass(frozen=True)
class BlockScaling(BlockRecipe):
    """Any block formats, for operands of the forward pass and for gradients.

    Parameters
    ----------
    forward, backward : str or BlockFormat
        The format of inputs and weights, and that of gradients (by default the same).
    rule : str, optional
        Which scale a block gets, of `floatlab.block_formats.RULES`. Default: that of the format.
    rht : bool
        Whether both operands of wgrad pass the random Hadamard transform first.
    stochastic : bool
        Whether gradients are rounded stochastically, with 8 random bits.
    accumulator, keep, seed
        As of `BlockRecipe`.

    Raises
    ------
    FormatError, OptionError
        If a name is unknown, or a rule and a format do not fit together.

    Examples
    --------
    >>> BlockScaling("mxint8").backward.name
    'mxint8'
    """

    forward: str | BlockFormat = "mxfp8_e4m3"
    backward: str | BlockFormat | None = None
    rule: str | None = None
    rht: bool = False
    stochastic: bool = False

    _names: ClassVar[tuple[str, ...]] = ()  # of the formats that go with the recipe's name; of none: any

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.backward is None:
            object.__setattr__(self, "backward", self.forward)
        for name in ("forward", "backward"):
            fmt = block_format(getattr(self, name))
            if self._names:
                check_option(f"{name} of {type(self).__name__}", fmt.name, self._names)
            rule_of_scales(fmt, self.rule)
            if fmt.is_tile and fmt.block[0] != fmt.block[1]:
                raise OptionError(
                    f"A tile that serves a product and its transpose is square. Got {name}={fmt}, with tiles of "
                    f"{fmt.block[0]} x {fmt.block[1]}. Use a square one, or blocks along an axis."
                )
            object.__setattr__(self, name, fmt)
        for name in ("rht", "stochastic"):
            object.__setattr__(self, name, check_switch(name, getattr(self, name)))

    def format_of(self, operand: str) -> BlockFormat:
        """Return the format of an operand: "input", "weight" or "gradient"."""
        fmt = self.backward if operand == "gradient" else self.forward
        assert isinstance(fmt, BlockFormat)
        return fmt

    def options_of(self, operand: str) -> dict[str, Any]:
        """Return the options with which an operand is quantized."""
        return {"rule": self.rule}

    def draws(self, operand: str) -> bool:
        """Return whether an operand is rounded stochastically."""
        return self.stochastic and operand == "gradient"

    def quantize(self, values: Array, axis: int, operand: str, rng: np.random.Generator) -> Array:
        """Return the values of an operand in its block format, blocks along `axis`."""
        return quantized(values, self.format_of(operand), axis, operand, **self._settings(operand, rng))

    def _settings(self, operand: str, rng: np.random.Generator) -> dict[str, Any]:
        random = {"rounding": "stochastic", "random_bits": _RANDOM_BITS, "rng": rng}
        return self.options_of(operand) | (random if self.draws(operand) else {})

    def operands(
        self, a: Array, b: Array, roles: tuple[str, str], rng: np.random.Generator
    ) -> tuple[Array, Array]:
        """Return what becomes of both operands; those of wgrad, which has no weight, are transformed if asked for."""
        return super().operands(*self._before(a, b, roles), roles, rng)

    def blocks(
        self, a: Array, b: Array, roles: tuple[str, str], rng: np.random.Generator
    ) -> tuple[BlockArray, BlockArray]:
        """Return the same operands as arrays of blocks."""
        a, b = self._before(a, b, roles)
        x, y = (
            _encoded(values, self.format_of(operand), axis, operand, **self._settings(operand, rng))
            for values, axis, operand in ((a, 1, roles[0]), (b, 0, roles[1]))
        )
        return x, y

    def _before(self, a: Array, b: Array, roles: tuple[str, str]) -> tuple[Array, Array]:
        if self.rht and "weight" not in roles:
            return _transformed(a, 1), _transformed(b, 0)
        return a, b

    def kept(self, shape: tuple[int, int], operand: str) -> tuple[str, int] | None:
        """Return the format and the bytes of what a device keeps of an operand; of inputs, transformed if asked for."""
        if self.rht and operand == "input":
            shape = -(-shape[0] // _TRANSFORM) * _TRANSFORM, shape[1]
        return in_blocks(self.format_of(operand), shape)


def _transformed(x: Array, axis: int) -> Array:
    """Return the transform of Transformer Engine along an axis, which is filled up with zeros to whole sixteens."""
    missing = -x.shape[axis] % _TRANSFORM
    if missing:
        x = np.pad(x, [(0, missing if i == axis else 0) for i in range(x.ndim)])
    return hadamard(x, _TRANSFORM, "transformer_engine", axis)
