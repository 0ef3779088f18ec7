"""How are the arrays of a GPU operated on? By one kernel; what a kernel cannot settle visits the host.

Nothing does for operands of at most 24 bits, as float32 holds them. float64 operands that lie near float64's ends are
looked at here, if there are any, and formats of more than 51 bits are computed by integers.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from floatlab.backend import Array, array_module, asnumpy, beside, widened
from floatlab.operations.device import exact_results, exact_results_and_extremes
from floatlab.operations.double_rounding import Route
from floatlab.operations.full_width import ended, full_width, odd_integer
from floatlab.rounding.flags import Flags
from floatlab.rounding.options import Rule
from floatlab.rounding.random_integers import RandomIntegers

__all__ = ["exact_on_device", "full_width_on_device"]


def exact_on_device(name: str, xs: list[Array], route: Route, rule: Rule) -> Array:
    """Return what `_exact` does, by one kernel; only float64 operands near its ends are looked at here."""
    way = "direct" if route.name == "direct" else "to_odd"
    if route.narrow:
        return exact_results(name, xs, way, rule.mode.cancels_to_minus)
    result, beyond, _ = exact_results_and_extremes(name, xs, way, rule.mode.cancels_to_minus)
    flat = result.reshape(-1)  # a view: results are contiguous
    places = array_module(flat).flatnonzero(beyond)
    if places.size:
        at = [asnumpy(x.reshape(-1)[places]) for x in xs]
        odd = [odd_integer(name, row) for row in zip(*(x.tolist() for x in at), strict=True)]
        flat[places] = beside(np.array(odd), flat)
    return result


def full_width_on_device(
    name: str,
    xs: list[Array],
    rule: Rule,
    route: str,
    draw: RandomIntegers | None,
    overflow: str | None,
    return_flags: bool,
) -> Any:
    """Return what `full_width` does; results by integers, and operands near float64's ends, visit the host."""
    like = xs[0]
    if route == "steps":
        exact = exact_results_and_extremes(name, xs, rule.rounding, rule.mode.cancels_to_minus)
        result, beyond, inexact = (part.reshape(-1) for part in exact)
        if not bool(beyond.any()):
            kept = {"rounding": rule.rounding, "overflow": overflow, "subnormals": rule.subnormals}
            xs = [widened(x).reshape(-1) for x in xs]
            return ended(name, xs, rule.fmt, (result, inexact, {}), kept, return_flags)
    found = full_width(name, [asnumpy(x) for x in xs], rule, route, draw, overflow, return_flags)
    if not return_flags:
        return beside(found, like)
    values, flags = found
    return beside(values, like), Flags(*(beside(getattr(flags, n), like) for n in flags.__dataclass_fields__))
