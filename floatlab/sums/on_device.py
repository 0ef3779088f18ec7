"""What does a product of a GPU's arrays round to? Its float64 product, one look at what is certain, and the rest."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from floatlab.backend import Array, array_module, asnumpy
from floatlab.errors import FloatEnvironmentError
from floatlab.sums.certified import error_factor, norms, product_and_roundings, settle
from floatlab.sums.device import NO_NUMBER, OPEN, verdict
from floatlab.sums.exact import matmul_to_odd
from floatlab.sums.operands import MatrixProduct, fixed_quanta

__all__ = ["certified_on_device"]

_EXACT_UNIT = 2.0 * 1.01 * 2.0**-53  # a sum below 1 / _EXACT_UNIT quanta has no partial sum of 2^53 quanta


@lru_cache(maxsize=16)
def _try_products(xp: Any, device: int) -> None:
    """Form a product with a known answer, once on each device; refuse one whose error is beyond the bound."""
    rng = np.random.default_rng(device)
    a, b = rng.standard_normal((2, 64, 64)) * 2.0 ** rng.integers(-8, 9, (2, 64, 64))
    rows, columns = norms(a, b)
    bound = 2.0 * error_factor(a, a.shape[-1]) * rows[:, None] * columns
    off = float((abs(asnumpy(xp.matmul(xp.asarray(a), xp.asarray(b))) - matmul_to_odd(a, b)) / bound).max())
    if not off <= 1.0:
        raise FloatEnvironmentError(
            "Products of float64 matrices on this GPU are good to 53 bits. "
            f"Got an error of {off:.3g} times the bound that float64 has. "
            "Unset CUBLAS_EMULATE_DOUBLE_PRECISION, which has them formed of shorter numbers."
        )


def certified_on_device(product: MatrixProduct, grid_bits: int, to_minus: bool) -> tuple[Array, bool] | None:
    """Return what `floatlab.sums.certified.certified_matmul` does, and whether some zero may have the wrong sign.

    None where the product cannot be trusted at all. It asks the device once; again only if some element is open.
    """
    a, b, addend = product.a, product.b, product.addend
    xp: Any = array_module(a)
    _try_products(xp, int(getattr(a.device, "id", 0)))
    total, terms = product_and_roundings(a, b)
    if addend is not None:
        total += addend
        terms += 1
    numbers: dict[str, Any] = {
        "factor": error_factor(a, terms),
        "unit": _EXACT_UNIT,
        "quanta": fixed_quanta(product.formats),
        "cell": 1 << 53 - grid_bits,
    }
    total, codes, code = verdict(total, (a, b, addend), numbers, product.narrow, to_minus)
    if code >= NO_NUMBER:
        return None
    if code & OPEN or code > OPEN:  # the largest code does not say whether smaller ones occur
        places = xp.flatnonzero(codes & OPEN)
        if places.size:
            sizes = norms(a, b)
            quanta = product.quanta(product.largest(sizes))
            settle(total, places, grid_bits, a, b, addend, sizes, quanta)
            total += 0.0
    return total, code != 0
