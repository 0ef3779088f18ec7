"""What does a rounding mode do? One entry each, which decides for whole arrays and for Python integers alike.

Whatever rounds has counted units in the last place, and asks whether the count goes up by one. A mode looks at what
is to be discarded (`Discarded`); a stochastic one compares it with a random integer. Everything else that is true of
a mode follows from that, or stands in its entry; whoever knows a faster way for some modes
(`floatlab.rounding.kernels.counting`, `floatlab.operations.double_rounding`) takes this one for all others.

Sources: IEEE 754-2019, sections 4.3 (the directions), 6.3 (the sign of zero), 7.4 (overflow); IEEE P3109 interim
report (stochastic rounding A, B and C); S. Boldo and G. Melquiond, "Emulation of a FMA and correctly rounded sums:
proved algorithms using rounding to odd" (2008).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from floatlab.formats import FloatFormat

__all__ = [
    "MODES",
    "OTHER_WORDS",
    "Discarded",
    "Mode",
    "Ratio",
    "cancelled",
    "decides_by_code",
    "draws",
    "goes_up",
]


class Discarded(NamedTuple):
    """What a mode may look at, as numbers or as arrays."""

    half: Any  # what goes, compared with half a unit: negative below it, 0 at the tie, positive above
    inexact: Any  # whether anything goes at all
    odd: Any  # whether the count of units that stays is odd
    negative: Any


class Share(Protocol):
    """What goes, as a fraction v of a unit, in parts of 2^-n."""

    def floor(self, n: int) -> Any:
        """Return v * 2^n, rounded down."""

    def even(self, n: int) -> Any:
        """Return v * 2^n, rounded to nearest, ties to even."""


@dataclass(frozen=True)
class Mode:
    """One rounding mode.

    Attributes
    ----------
    name : str
        As in ``rounding=name``.
    sentence : str
        What `floatlab.explain` says of an inexact result, or of a tie; "{}" is "above" or "below".
    goes_up : callable or None
        Whether the count of units goes up: ``Discarded -> bool``, or an array of them. None where chance decides.
    carries : callable or None
        The same of a stochastic mode, from the fraction v, a random integer R and its number of bits N.
    nearest : bool
        Whether the nearer neighbour is chosen; an overflow then goes beyond the end, and only a tie is undecided.
    by_code : bool
        Whether at precision 1, where every count is 1, the parity is that of the code, in every format.
    cancels_to_minus : bool
        Whether x + (-x) is -0 (IEEE 754-2019, 6.3).
    variant : str or None
        P3109's letter of a stochastic mode.
    """

    name: str
    sentence: str = "the mode chooses the one {}"
    goes_up: Callable[[Discarded], Any] | None = None
    carries: Callable[[Share, Any, int], Any] | None = None
    nearest: bool = False
    by_code: bool = False
    cancels_to_minus: bool = False
    variant: str | None = None

    def stops(self, negative: bool, odd: bool = True) -> bool:
        """Whether a number beyond the last value stays there; `odd` is that value's parity.

        >>> MODES["toward_zero"].stops(negative=True), MODES["nearest_even"].stops(negative=True)
        (True, False)
        """
        if self.goes_up is None or self.nearest:
            return False
        return not self.goes_up(Discarded(-1, True, odd, negative))


MODES: dict[str, Mode] = {mode.name: mode for mode in (
    Mode("nearest_even", "the one whose code is even is {}",
         lambda d: (d.half > 0) | ((d.half == 0) & d.odd), nearest=True),
    Mode("nearest_away", "away from zero, {}", lambda d: d.half >= 0, nearest=True),
    Mode("nearest_zero", "towards zero, {}", lambda d: d.half > 0, nearest=True),
    Mode("toward_zero", "towards zero is {}", lambda d: d.inexact & False),
    Mode("toward_positive", "towards +infinity is {}", lambda d: d.inexact & (d.negative ^ True)),
    Mode("toward_negative", "towards -infinity is {}", lambda d: d.inexact & d.negative, cancels_to_minus=True),
    Mode("to_odd", "the one whose code is odd is {}", lambda d: d.inexact & (d.odd ^ True), by_code=True),
    Mode("stochastic", carries=lambda v, R, N: v.floor(N) + R >= 2**N, variant="a"),
    Mode("stochastic_b", carries=lambda v, R, N: v.floor(N + 1) + 2 * R + 1 >= 2 ** (N + 1), variant="b"),
    Mode("stochastic_c", carries=lambda v, R, N: v.even(N) + R >= 2**N, variant="c"),
)}  # fmt: skip

# What others call the modes: IEEE 754, MPFR, RISC-V, CUDA, MATLAB's chop, NumPy. Not names here: they mislead, since
# "nearest" leaves open what a tie does, and "floor" and "round" belong to integers.
OTHER_WORDS = {
    **dict.fromkeys(
        ("nearest", "rne", "rn", "rndn", "round_half_even", "half_even", "half_to_even", "tonearest", "to_nearest",
         "roundtiestoeven", "ties_to_even", "bankers", "round", "rint", "even", "roundtonearest"), "nearest_even"),
    **dict.fromkeys(
        ("rna", "rmm", "rndna", "round_half_up", "half_up", "half_away", "half_away_from_zero", "roundtiestoaway",
         "ties_to_away", "away"), "nearest_away"),
    **dict.fromkeys(("round_half_down", "half_down", "half_to_zero", "roundtiestozero"), "nearest_zero"),
    **dict.fromkeys(
        ("rtz", "rz", "rndz", "truncate", "trunc", "truncation", "chop", "fix", "zero", "to_zero", "down_to_zero",
         "roundtowardzero", "towards_zero"), "toward_zero"),
    **dict.fromkeys(
        ("rtp", "rup", "ru", "rndu", "ceil", "ceiling", "up", "roundtowardpositive", "towards_positive",
         "toward_infinity", "positive"), "toward_positive"),
    **dict.fromkeys(
        ("rtn", "rdn", "rd", "rndd", "floor", "down", "roundtowardnegative", "towards_negative", "negative"),
        "toward_negative"),
    **dict.fromkeys(("rto", "odd", "round_to_odd", "sticky", "jamming", "von_neumann"), "to_odd"),
    **dict.fromkeys(("sr", "stochastic_a", "random", "rs", "stochastic_rounding"), "stochastic"),
}  # fmt: skip


def draws(rounding: str) -> bool:
    """Whether a mode of this name draws random integers.

    >>> draws("stochastic_b"), draws("to_odd")
    (True, False)
    """
    return MODES[rounding].variant is not None


def cancelled(rounding: str) -> float:
    """Return the zero that x + (-x) is in a mode: -0 in "toward_negative" (IEEE 754-2019, 6.3), else 0.

    >>> cancelled("toward_negative")
    -0.0
    """
    return -0.0 if MODES[rounding].cancels_to_minus else 0.0


class Ratio(NamedTuple):
    """The fraction rest / gap of a unit, on Python integers."""

    rest: int
    gap: int

    def floor(self, n: int) -> int:
        """Return rest / gap * 2^n, rounded down."""
        return (self.rest << n) // self.gap

    def even(self, n: int) -> int:
        """Return rest / gap * 2^n, rounded to nearest, ties to even."""
        whole, rest = divmod(self.rest << n, self.gap)
        return whole + (2 * rest > self.gap or (2 * rest == self.gap and whole & 1 == 1))


def goes_up(v: Ratio, odd: bool, negative: bool, mode: Mode, random_integer: int = 0, bits: int = 0) -> bool:
    """Say whether a count of units goes up by one, given the fraction `v` that is discarded.

    >>> goes_up(Ratio(1, 2), True, False, MODES["nearest_even"])
    True
    """
    if not v.rest:
        return False
    if mode.goes_up is not None:
        return bool(mode.goes_up(Discarded(2 * v.rest - v.gap, True, odd, negative)))
    assert mode.carries is not None
    return bool(mode.carries(v, random_integer, bits))


def decides_by_code(mode: Mode, fmt: FloatFormat) -> bool:
    """Whether parity is that of the code, which is the exponent field, and not that of the count.

    At precision 1 every count is 1. P3109 lets the code decide, and so does rounding to odd; IEEE 754 (4.3.1) lets the
    count.
    """
    return fmt.mantissa_bits == 0 and (mode.by_code or fmt.is_p3109)
