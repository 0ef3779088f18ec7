"""What was asked for? The options of a conversion, checked against each other and against the format."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from floatlab.errors import OverflowPolicyError, check_option, check_switch
from floatlab.formats import FloatFormat

__all__ = ["OVERFLOW_POLICIES", "ROUNDING_MODES", "SUBNORMAL_RULES", "Rule", "make_rule", "refuse_unknown"]

ROUNDING_MODES = (
    "nearest_even",
    "nearest_away",
    "nearest_zero",
    "toward_zero",
    "toward_positive",
    "toward_negative",
    "to_odd",
    "stochastic",  # P3109's variant A
    "stochastic_b",
    "stochastic_c",
)
OVERFLOW_POLICIES = ("infinity", "nan", "saturate")
SUBNORMAL_RULES = ("gradual", "flush")
OPTIONS = (
    "rounding",
    "overflow",
    "subnormals",
    "flush_inputs",
    "rng",
    "random_bits",
    "random_integers",
    "return_flags",
)

# The modes that never carry a positive (a negative) value beyond the largest finite one: IEEE 754-2019, 7.4.
_STOPS_AT_MAX = ("toward_zero", "to_odd", "toward_negative")
_STOPS_AT_LOWEST = ("toward_zero", "to_odd", "toward_positive")


@dataclass(frozen=True, eq=False)  # one object for each set of options, thanks to the cache of `make_rule`
class Rule:
    """Everything that decides one conversion, checked: what `quantize` was asked to do.

    `over` stands for a finite value beyond the ends and `infinite` for an infinity, each as a pair for the
    positive and the negative side.
    """

    fmt: FloatFormat
    rounding: str
    subnormals: str
    flush_inputs: bool
    over: tuple[float, float]
    infinite: tuple[float, float]
    zero: float  # what a zero becomes

    @cached_property
    def variant(self) -> str | None:
        """Which stochastic rounding: "a", "b", "c", or None."""
        return {"stochastic": "a", "stochastic_b": "b", "stochastic_c": "c"}.get(self.rounding)

    @cached_property
    def reads_twice(self) -> bool:
        """Whether a kernel comes back to its source after it has begun to write its result."""
        return self.variant is not None or self.rounding == "to_odd"


def make_rule(
    fmt: FloatFormat, rounding: str, overflow: str | None, subnormals: str, flush_inputs: bool
) -> Rule:
    """Check the options of a conversion against each other and against the format."""
    try:
        return _rule(fmt, rounding, overflow, subnormals, flush_inputs)
    except TypeError:  # a list, for instance, which no cache can look up, and which is no option either
        return _rule.__wrapped__(fmt, rounding, overflow, subnormals, flush_inputs)


@lru_cache(maxsize=1024)
def _rule(fmt: FloatFormat, rounding: str, overflow: str | None, subnormals: str, flush_inputs: bool) -> Rule:
    check_option("rounding", rounding, ROUNDING_MODES)
    check_option("subnormals", subnormals, SUBNORMAL_RULES)
    flush_inputs = check_switch("flush_inputs", flush_inputs)
    if overflow is None:  # what the format does
        overflow = "infinity" if fmt.has_infinity else "nan" if fmt.has_nan else "saturate"
        if fmt.specials == "p3109_finite":
            overflow = "saturate"
    check_option("overflow", overflow, OVERFLOW_POLICIES, OverflowPolicyError)
    if overflow == "infinity" and not fmt.has_infinity:
        others = '"nan" or "saturate"' if fmt.has_nan else '"saturate"'
        raise OverflowPolicyError(
            f'{fmt} has no infinity to mark an overflow. Got overflow="infinity". Use {others}.'
        )
    if overflow == "nan" and not fmt.has_nan:
        raise OverflowPolicyError(
            f'{fmt} has no NaN to mark an overflow. Got overflow="nan". Use "saturate".'
        )
    if overflow == "saturate":
        over = infinite = (fmt.max, fmt.lowest)
    else:
        mark = np.inf if overflow == "infinity" else np.nan
        over = (
            fmt.max if rounding in _STOPS_AT_MAX else mark,
            -fmt.max if rounding in _STOPS_AT_LOWEST else -mark,
        )
        infinite = (np.inf, -np.inf) if fmt.has_infinity else (np.nan, np.nan)
        if not fmt.signed:  # no negative number has a value near it; P3109 delivers 0, others have only a NaN
            below = 0.0 if fmt.specials.startswith("p3109") else np.nan
            over, infinite = (over[0], below), (infinite[0], below)
    zero = 0.0 if fmt.has_zero else fmt.lowest if overflow == "saturate" else np.nan
    return Rule(fmt, rounding, subnormals, flush_inputs, over, infinite, zero)


def refuse_unknown(function: str, unknown: Iterable[str], known: Iterable[str] = OPTIONS) -> None:
    """Raise `OptionError` for the first of the keyword arguments that a function does not know; name the nearest.

    >>> refuse_unknown("quantize", {"roundng": "to_odd"})
    Traceback (most recent call last):
    ...
    floatlab.errors.OptionError: An option of quantize must be one of: rounding, overflow, subnormals, flush_inputs, \
rng, random_bits, random_integers, return_flags. Got 'roundng'. Use "rounding".
    """
    for name in unknown:
        check_option(f"An option of {function}", name, known)
