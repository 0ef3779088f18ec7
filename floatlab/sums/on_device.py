"""What does a product of a GPU's arrays round to? Its float64 product, one look at what is certain, and the rest."""

from __future__ import annotations

from typing import Any

from floatlab.backend import Array, array_module
from floatlab.sums.certified import error_factor, norms, product_and_roundings, settle
from floatlab.sums.device import NO_NUMBER, OPEN, verdict
from floatlab.sums.operands import MatrixProduct, fixed_quanta

__all__ = ["certified_on_device"]

_EXACT_UNIT = 2.0 * 1.01 * 2.0**-53  # a sum below 1 / _EXACT_UNIT quanta has no partial sum of 2^53 quanta


def certified_on_device(product: MatrixProduct, grid_bits: int, to_minus: bool) -> tuple[Array, bool] | None:
    """Return what `floatlab.sums.certified.certified_matmul` does, and whether some zero may have the wrong sign.

    None where the product cannot be trusted at all. It asks the device once; again only if some element is open.
    """
    a, b, addend = product.a, product.b, product.addend
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
        places = array_module(codes).flatnonzero(codes & OPEN)
        if places.size:
            sizes = norms(a, b)
            quanta = product.quanta(product.largest(sizes))
            settle(total, places, grid_bits, a, b, addend, sizes, quanta)
            total += 0.0
    return total, code != 0
