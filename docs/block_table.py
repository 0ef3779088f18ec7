"""The differences between the rules of block formats, computed for the table of docs/block-formats.md."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

import floatlab as fl

Row = tuple[str, str, str]


def _shown(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    mantissa, exponent = math.frexp(value)
    return f"{value:g}" if abs(exponent) < 20 or value == 0 else f"{2 * mantissa:g}·2^{exponent - 1}"


def _one(numbers: object, fmt: str, rule: str, **options: str) -> str:
    """Return the first scale, and what became of the first number."""
    found = fl.encode(numbers, fmt, rule=rule, **options)
    tensor = 1.0 if found.tensor_scale is None else float(found.tensor_scale)
    scale = float(found.scale_values.reshape(-1)[0]) * tensor
    return f"{_shown(float(found.decode(np.float64).reshape(-1)[0]))} (scale {_shown(scale)})"


def _just_below_powers_of_two() -> str:
    """Return how often a logarithm in float32 finds another exponent than the bits of the number have."""
    powers = np.exp2(np.r_[-57:-7, 8:58].astype(np.float32))
    below = np.nextafter(powers, np.float32(0), dtype=np.float32)
    exact = np.frexp(below)[1] - 1
    return (
        f"the logarithm in float32 is wrong for {np.count_nonzero(np.floor(np.log2(below)) != exact)} of 100"
    )


def _clamped() -> str:
    """Return how much differs where torchao clamps small block scales: rows of very different sizes."""
    rng = np.random.default_rng(0)
    x = (rng.standard_normal((1024, 1024)) * rng.lognormal(0, 2, (1024, 1))).astype(np.float32)
    ours, other = (fl.encode(x, "nvfp4", arithmetic=a) for a in ("exact", "torchao"))
    scales, codes = (np.mean(getattr(ours, n) != getattr(other, n)) for n in ("scales", "codes"))
    return f"{scales:.0%} of the scales and {codes:.0%} of the elements are other ones"


def rows() -> Iterator[Row]:
    """Yield what is quantized, by whom, and what it becomes."""
    f32 = np.float32
    for rule in ("floor", "nearest", "rceil"):
        yield "449 in `mxfp8_e4m3`", f"`{rule}`", _one(f32([449, 1]), "mxfp8_e4m3", rule)
    for rule in ("floor", "even", "rceil"):
        yield "448 in `mxfp4`", f"`{rule}`", _one(f32([448, 1]), "mxfp4", rule)
    yield "numbers just below a power of two", "microxcaling", _just_below_powers_of_two()
    yield (
        "an infinity in `mxfp8_e4m3`",
        'OCP: `nonfinite="nan"`',
        _one(f32([np.inf, 1]), "mxfp8_e4m3", "rceil"),
    )
    saturated = _one(f32([np.inf, 1]), "mxfp8_e4m3", "rceil", nonfinite="saturate")
    yield "an infinity in `mxfp8_e4m3`", 'Transformer Engine: `nonfinite="saturate"`', saturated
    for arithmetic, who in (("exact", "exact"), ("te", "Transformer Engine"), ("torchao", "torchao")):
        result = _one(np.zeros(16, f32), "nvfp4", "nvfp4", arithmetic=arithmetic)
        yield "zeros in `nvfp4`", f"{who}: `arithmetic={arithmetic!r}`".replace("'", '"'), result
    yield (
        "rows of lognormal(0, 2) size in `nvfp4`",
        'torchao, no scale below 2^-6: `arithmetic="torchao"`',
        _clamped(),
    )
