"""What was asked for? The options of a conversion, checked against each other and against the format.

Source of the overflow policies: IEEE 754-2019, 7.4; IEEE P3109, 4.7.5 (SatFinite, SatPropagate, SatNone).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache, wraps
from typing import Any, TypedDict, TypeVar

import numpy as np

from floatlab.errors import OverflowPolicyError, check_option, check_switch
from floatlab.formats import FloatFormat
from floatlab.rounding.modes import MODES, OTHER_WORDS, Mode

__all__ = [
    "OVERFLOW_POLICIES",
    "ROUNDING_MODES",
    "SUBNORMAL_RULES",
    "RoundingOptions",
    "Rule",
    "check_names",
    "checks_names",
    "drawing",
    "make_rule",
    "rule_of",
    "settings",
]

ROUNDING_MODES = tuple(MODES)
# "propagate" and "saturate" are P3109's SatPropagate and SatFinite, "infinity" (or "nan") its SatNone.
OVERFLOW_POLICIES = ("infinity", "nan", "saturate", "propagate")
SUBNORMAL_RULES = ("gradual", "flush")


class RoundingOptions(TypedDict, total=False):
    """How a number is rounded: the options of everything that rounds. `floatlab.quantize` says what each of them means.

    What rounds to one format takes them as ``**options: Unpack[RoundingOptions]``, hands them on as they are, and
    leaves the names to `check_names` and the values to `make_rule`.
    """

    rounding: str
    overflow: str | None
    subnormals: str
    flush_inputs: bool
    rng: np.random.Generator | int | None
    random_bits: int | None
    random_integers: Any


T = TypeVar("T")
_NAMES = RoundingOptions.__annotations__.keys()


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
    def mode(self) -> Mode:
        """What the rounding mode does."""
        return MODES[self.rounding]

    @cached_property
    def variant(self) -> str | None:
        """Which stochastic rounding: "a", "b", "c", or None."""
        return self.mode.variant

    @cached_property
    def natural(self) -> bool:
        """Whether overflow and infinities become what IEEE 754 makes of them (7.4)."""
        return self.infinite == (np.inf, -np.inf) and self.over == _beyond(
            self.fmt, self.rounding, "infinity"
        )


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
    check_option("rounding", rounding, MODES, meanings=OTHER_WORDS)
    check_option("subnormals", subnormals, SUBNORMAL_RULES)
    flush_inputs = check_switch("flush_inputs", flush_inputs)
    if overflow is None:  # what the format does
        overflow = default_overflow(fmt)
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
    clamps = overflow in ("saturate", "propagate")
    over = (fmt.max, fmt.lowest) if clamps else _beyond(fmt, rounding, overflow)
    infinite = (fmt.max, fmt.lowest) if overflow == "saturate" else _infinities(fmt, overflow)
    zero = 0.0 if fmt.has_zero else fmt.lowest if clamps else np.nan
    return Rule(fmt, rounding, subnormals, flush_inputs, over, infinite, zero)


def _beyond(fmt: FloatFormat, rounding: str, overflow: str) -> tuple[float, float]:
    """Return what becomes of finite numbers beyond both ends where they are not clamped."""
    mark, mode = np.inf if overflow == "infinity" else np.nan, MODES[rounding]
    # The largest value is odd, its mantissa being full, but for P3109, where the code of infinity comes next.
    odd = not (fmt.specials == "p3109_extended" and fmt.signed)
    above = fmt.max if mode.stops(negative=False, odd=odd) else mark
    if fmt.signed:
        return above, -fmt.max if mode.stops(negative=True, odd=odd) else -mark
    # No negative number has a value near it. P3109 rounds it to 0, which is even, where the mode stops there; others
    # have a NaN.
    inward = fmt.is_p3109 and mode.stops(negative=True, odd=False)
    return above, 0.0 if inward else np.nan


def _infinities(fmt: FloatFormat, overflow: str) -> tuple[float, float]:
    """Return what becomes of the infinities where they are not clamped; the mode has no part in it."""
    above = np.inf if fmt.has_infinity else np.nan
    if overflow == "propagate" and not fmt.has_infinity and default_overflow(fmt) == "saturate":
        return fmt.max, fmt.lowest
    return above, -above if fmt.signed else np.nan


def default_overflow(fmt: FloatFormat) -> str:
    """Return the overflow policy that a format defines."""
    if fmt.specials == "p3109_finite":
        return "saturate"
    return "infinity" if fmt.has_infinity else "nan" if fmt.has_nan else "saturate"


# -- options by name ------------------------------------------------------------------------------------------


def check_names(function: str, options: Mapping[str, object], known: Iterable[str] = _NAMES) -> None:
    """Raise `OptionError` for the first of the options whose name a function does not know; suggest the nearest.

    >>> check_names("array", {"roundng": "to_odd"})
    Traceback (most recent call last):
    ...
    floatlab.errors.OptionError: An option of array must be one of: rounding, overflow, subnormals, flush_inputs, \
rng, random_bits, random_integers. Got 'roundng'. Use "rounding".
    """
    for name in options:
        if name not in known:
            check_option(f"An option of {function}", name, known)


def checks_names(kind: type[T]) -> type[T]:
    """Have a dataclass of options check the names that it is made with.

    >>> @checks_names
    ... @dataclass
    ... class Options:
    ...     rounding: str = "nearest_even"
    >>> Options(roundng="to_odd")
    Traceback (most recent call last):
    ...
    floatlab.errors.OptionError: An option of Options must be one of: rounding. Got 'roundng'. Use "rounding".
    """
    made: Any = kind.__init__

    @wraps(made)
    def init(self: T, *args: Any, **options: Any) -> None:
        check_names(kind.__name__, options, kind.__dataclass_fields__)  # type: ignore[attr-defined]
        made(self, *args, **options)

    kind.__init__ = init  # type: ignore[method-assign, assignment]
    return kind


def settings(options: Mapping[str, Any]) -> tuple[str, str | None, str, bool]:
    """Return rounding, overflow, subnormals and flush_inputs; what was not given is what it is by default.

    >>> settings({"overflow": "saturate"})
    ('nearest_even', 'saturate', 'gradual', False)
    """
    return (
        options.get("rounding", "nearest_even"),
        options.get("overflow"),
        options.get("subnormals", "gradual"),
        options.get("flush_inputs", False),
    )


def drawing(options: Mapping[str, Any]) -> tuple[np.random.Generator | int | None, int | None, Any]:
    """Return rng, random_bits and random_integers: what `RandomIntegers` is made of."""
    return options.get("rng"), options.get("random_bits"), options.get("random_integers")


def rule_of(function: str, fmt: FloatFormat, options: RoundingOptions) -> Rule:
    """Return the rule that the options of a function ask for, names and values checked.

    >>> from floatlab.formats import get_format
    >>> rule_of("add", get_format("fp16"), {"rounding": "to_odd"}).over
    (65504.0, -65504.0)
    """
    if not options.keys() <= _NAMES:
        check_names(function, options)
    return make_rule(fmt, *settings(options))
