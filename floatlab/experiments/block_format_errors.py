"""How far off is a block format? Its relative error, predicted from a distribution, and measured.

The error is that of root mean squares: the norm of what rounding has changed, over the norm of the numbers. It is
measured on 512 x 1024 float32 numbers: Gaussian; Student's t with three degrees of freedom, whose tails are heavy; and
Gaussian with one channel in 128 thirty times larger, as activations of language models have them.

Prediction: no number is drawn. Of a block of n independent numbers the distribution of the largest is the n-th power of
that of one; it says the scale; the others are distributed as before, up to the largest; and an element's error is
integrated over them. The format's definition is written out here once more, so that a mistake in
`floatlab.block_formats` would show. "Four over six", which looks at all numbers of a block, has no prediction.

What surprises: the Hadamard transform, which spreads an outlier over sixteen numbers, takes MXFP4's error down and
NVFP4's *up*. NVFP4's scale has a mantissa, and takes the largest number of its block almost exactly: most of the energy
of a block with an outlier is the outlier. After the transform it is sixteen numbers of the same size, and each has the
error that Gaussian numbers have. MXFP4's power of two has no such gift to lose.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from floatlab.block_formats.hadamard import hadamard
from floatlab.block_formats.quantize import quantize_blocks
from floatlab.errors import check_option

__all__ = ["CASES", "DATA", "Case", "measured", "predicted", "sample"]

Array = NDArray[Any]
SHAPE = (512, 1024)
_EDGES = np.geomspace(1e-3, 1e4, 4001)  # of the cells over which magnitudes are integrated
_MIDDLES = np.sqrt(_EDGES[1:] * _EDGES[:-1])
_SEEN = 1e-6  # the probability below which a cell of the largest number is left out
_LARGE, _APART = 30.0, 128  # how large the outliers are, and how far apart their channels
_OUTLIERS = 90  # sizes of outliers over which the transform is integrated
DATA = ("gaussian", "student", "outliers")


@dataclass(frozen=True)
class Case:
    """A format with its rule, and what is done before.

    Attributes
    ----------
    format : str
        The name of the block format.
    rule : str
        That of its scales.
    rht : bool
        Whether the numbers are transformed first, and back afterwards.
    """

    format: str
    rule: str
    rht: bool = False


CASES: dict[str, Case] = {
    "MXFP8 e4m3, rceil": Case("mxfp8_e4m3", "rceil"),
    "MXFP6 e2m3, rceil": Case("mxfp6_e2m3", "rceil"),
    "MXFP4, floor": Case("mxfp4", "floor"),
    "MXFP4, even": Case("mxfp4", "even"),
    "MXFP4, rceil": Case("mxfp4", "rceil"),
    "MXFP4, rceil, transform": Case("mxfp4", "rceil", rht=True),
    "NVFP4": Case("nvfp4", "nvfp4"),
    "NVFP4, transform": Case("nvfp4", "nvfp4", rht=True),
    "NVFP4, four over six": Case("nvfp4", "nvfp4_4over6"),
    "NVFP4, 16 x 16": Case("nvfp4_16x16", "nvfp4"),
    "fp8 1 x 128": Case("fp8_1x128", "amax"),
    "int4 in groups of 32": Case("int4:32", "absmax"),
    "int8 in rows of 1024": Case("int8:1024", "absmax"),
}
#: Of each format: exponent bits, mantissa bits and the largest value of its elements; rows and columns of a block.
_ELEMENTS: dict[str, tuple[int, int, float, tuple[int, int]]] = {
    "mxfp8_e4m3": (4, 3, 448.0, (1, 32)),
    "mxfp6_e2m3": (2, 3, 7.5, (1, 32)),
    "mxfp4": (2, 1, 6.0, (1, 32)),
    "nvfp4": (2, 1, 6.0, (1, 16)),
    "nvfp4_16x16": (2, 1, 6.0, (16, 16)),
    "fp8_1x128": (4, 3, 448.0, (1, 128)),
    "int4:32": (0, 0, 7.0, (1, 32)),
    "int8:1024": (0, 0, 127.0, (1, 1024)),
}


# -- measured ------------------------------------------------------------------------------------------------


def sample(data: str, seed: int, shape: tuple[int, int] = SHAPE) -> Array:
    """Return numbers of one of the three kinds, in float32."""
    check_option("data", data, DATA)
    rng = np.random.default_rng(seed)
    x = rng.standard_t(3, shape) if data == "student" else rng.standard_normal(shape)
    if data == "outliers":
        x[:, ::_APART] *= _LARGE
    found: Array = x.astype(np.float32)
    return found


def measured(case: str, data: str, seed: int, shape: tuple[int, int] = SHAPE) -> float:
    """Return the relative error of a format on numbers of a kind.

    >>> 0.10 < measured("MXFP4, rceil", "gaussian", seed=0, shape=(64, 256)) < 0.13
    True
    """
    check_option("case", case, CASES)
    how, x = CASES[case], sample(data, seed, shape)
    inner = hadamard(x, 16, "transformer_engine") if how.rht else x
    values = quantize_blocks(inner, how.format, rule=how.rule)
    if how.rht:
        values = hadamard(values.astype(np.float64), 16, "transformer_engine", inverse=True)
    exact = x.astype(np.float64)
    return float(np.sqrt(np.square(values - exact).sum() / np.square(exact).sum()))


# -- predicted -----------------------------------------------------------------------------------------------


def _gaussian(x: Array, middle: float = 0.0, deviation: float = 1.0) -> Array:
    """Return how probable it is that the magnitude of a Gaussian number is at most x."""
    root = deviation * math.sqrt(2.0)
    return np.array([(math.erf((v - middle) / root) + math.erf((v + middle) / root)) / 2 for v in x])


def _student(x: Array) -> Array:
    """Return the same of Student's t with three degrees of freedom."""
    y: Array = x / math.sqrt(3.0)
    found: Array = 2 / math.pi * (y / (1 + y * y) + np.arctan(y))
    return found


@lru_cache(maxsize=256)
def _cells(kind: str, middle: float = 0.0, deviation: float = 1.0) -> Array:
    """Return the distribution of a magnitude at the edges of all cells."""
    return _student(_EDGES) if kind == "student" else _gaussian(_EDGES, middle, deviation)


Group = tuple[int, Array]  # how many numbers, and how each is distributed


def _blocks(data: str, block: tuple[int, int], rht: bool) -> Iterator[tuple[float, list[Group]]]:
    """Yield the kinds of blocks that there are beside each other in 128 channels: how many, and their numbers."""
    rows, columns = block
    plain = _cells("student" if data == "student" else "gaussian")
    if data != "outliers":
        yield 1.0, [(rows * columns, plain)]
        return
    if columns < _APART:
        yield _APART / columns - 1.0, [(rows * columns, plain)]
    if not rht:
        outliers = rows * max(1, columns // _APART)
        yield 1.0, [(outliers, _cells("gaussian", 0.0, _LARGE)), (rows * columns - outliers, plain)]
        return
    # Sixteen numbers with an outlier become sixteen of a quarter of it, with either sign, and what the others add.
    sizes = np.linspace(0.0, 4.5, _OUTLIERS + 1)
    for low, share in zip(sizes, np.diff(_gaussian(sizes)), strict=False):
        middle = float(low + sizes[1] / 2)
        spread = _cells("gaussian", _LARGE * middle / 4, math.sqrt(15 / 16))
        yield float(share), [(16, spread), (columns - 16, plain)]


def _scale(case: Case, amax: float, tensor: float) -> float:
    """Return the scale of a block with this largest magnitude, in a tensor with that."""
    _, mantissa_bits, largest, _ = _ELEMENTS[case.format]
    top = math.frexp(largest)[1] - 1
    match case.rule:
        case "floor":
            return 2.0 ** (math.frexp(amax)[1] - 1 - top)
        case "even":
            mantissa, exponent = math.frexp(amax)
            rounded = round(mantissa * 2 ** (mantissa_bits + 1)) / 2 ** (mantissa_bits + 1)
            return 2.0 ** (exponent - 1 - top + (rounded == 1.0))
        case "rceil":
            return 2.0 ** math.ceil(math.log2(amax / largest))
        case "nvfp4":
            unit = tensor / (448 * largest)
            mantissa, exponent = math.frexp(amax / (largest * unit))
            return round(mantissa * 16) / 16 * 2.0**exponent * unit
    return amax / largest


def _rounded(x: Array, case: Case) -> Array:
    """Return magnitudes over their scale as elements."""
    exponent_bits, mantissa_bits, largest, _ = _ELEMENTS[case.format]
    if not exponent_bits:
        return np.minimum(np.rint(x), largest)
    lowest = 2 - 2 ** (exponent_bits - 1)
    step = 2.0 ** (np.maximum(np.frexp(x)[1] - 1, lowest) - mantissa_bits)
    return np.minimum(np.rint(x / step) * step, largest)


def _error_of_block(case: Case, groups: list[Group], tensor: float) -> float:
    """Return the expected sum of squared errors of one block."""
    log_all = sum(count * np.log(np.maximum(cells, 1e-300)) for count, cells in groups)
    probable = np.diff(np.exp(log_all))
    total = 0.0
    for k in np.flatnonzero(probable > _SEEN):
        x = _MIDDLES[: k + 1]
        scale = _scale(case, float(x[-1]), tensor)
        errors = np.square(x - _rounded(x / scale, case) * scale)
        below = [max(float(cells[k + 1]), 1e-300) for _, cells in groups]
        holds = np.array([n * (c[k + 1] - c[k]) / b for (n, c), b in zip(groups, below, strict=True)])
        holds /= holds.sum()  # with which probability the largest number is one of this group
        expected = float(errors[-1])
        for (count, cells), b, held in zip(groups, below, holds, strict=True):
            expected += (count - held) * float((np.diff(cells[: k + 2]) * errors).sum()) / b
        total += float(probable[k]) * expected
    return total


@lru_cache(maxsize=64)
def predicted(case: str, data: str) -> float | None:
    """Return the relative error that the distribution of the numbers says; None where nothing is said.

    >>> round(predicted("int4 in groups of 32", "gaussian"), 3)
    0.097
    """
    check_option("case", case, CASES)
    check_option("data", data, DATA)
    how = CASES[case]
    if how.rule == "nvfp4_4over6" or (data == "student" and how.rht):  # what the transform makes of t is no t
        return None
    rht = how.rht and data == "outliers"  # Gaussian numbers stay what they are
    kinds = list(_blocks(data, _ELEMENTS[how.format][3], rht))
    largest = _largest_of_tensor(data, rht, math.prod(SHAPE))
    squares = sum(weight * _error_of_block(how, groups, largest) for weight, groups in kinds)
    return math.sqrt(squares / sum(weight * _energy(groups) for weight, groups in kinds))


def _energy(groups: list[Group]) -> float:
    """Return the expected sum of squares of a block."""
    return sum(count * float((np.diff(cells) * np.square(_MIDDLES)).sum()) for count, cells in groups)


def _largest_of_tensor(data: str, rht: bool, count: int) -> float:
    """Return the median of the largest magnitude of so many numbers."""
    scale = 1.0
    if data == "outliers":
        count, scale = count // _APART, _LARGE / (4 if rht else 1)
    cells = _cells("student" if data == "student" else "gaussian")
    return scale * float(np.interp(0.5 ** (1 / count), cells, _EDGES))
