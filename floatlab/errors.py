"""What can go wrong in floatlab, and how it is said.

An error names the rule, the value, and the way out, in that order, one sentence each::

    OverflowPolicyError: float4_e2m1fn has no NaN to mark an overflow. Got overflow="nan". Use "saturate".

Every class also derives from the built-in exception that a NumPy user would expect to catch.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

import numpy as np

__all__ = [
    "AutogradError",
    "DataError",
    "DtypeError",
    "ExperimentError",
    "FloatEnvironmentError",
    "FloatlabError",
    "FormatError",
    "FormatMismatchError",
    "OptionError",
    "OverflowPolicyError",
    "ScalerError",
    "ShapeError",
    "StateError",
    "check_option",
    "check_switch",
    "nearest_name",
]


class FloatlabError(Exception):
    """The base of every error that floatlab raises on purpose."""


class FormatError(FloatlabError, ValueError):
    """A format is unknown, or its description is not one that a float format can have."""


class OptionError(FloatlabError, ValueError):
    """An option (a rounding mode, a policy, an accumulator ...) has a value that it cannot take."""


class OverflowPolicyError(OptionError):
    """A format cannot do what the overflow policy asks, or has no code for a NaN or an infinity."""


class DtypeError(FloatlabError, TypeError):
    """An input is not an array of real numbers."""


class FormatMismatchError(FloatlabError, TypeError):
    """One operation was given values of two different formats."""


class ShapeError(FloatlabError, ValueError):
    """Shapes do not fit together; the message prints them all."""


class AutogradError(FloatlabError, RuntimeError):
    """The graph cannot do what was asked: backward, a missing derivative, an in-place change."""


class FloatEnvironmentError(FloatlabError, RuntimeError):
    """The processor was told not to compute as IEEE 754 says: it flushes to zero, or rounds in another direction."""


class ScalerError(FloatlabError, RuntimeError):
    """A gradient scaler was called out of order."""


class StateError(FloatlabError, ValueError):
    """A saved state does not fit the object that it is loaded into."""


class DataError(FloatlabError, ValueError):
    """A data file is missing, damaged, or not of the kind that was asked for."""


class ExperimentError(FloatlabError, RuntimeError):
    """An experiment cannot start or go on."""


def nearest_name(name: str, names: Iterable[str]) -> str | None:
    """Return the entry of `names` that `name` most resembles, or None where nothing is close.

    >>> nearest_name("float8_e4m3fm", ["float16", "float8_e4m3fn"])
    'float8_e4m3fn'
    """
    names = list(names)
    found = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.5)
    return found[0] if found else None


def check_option(
    option: str,
    value: object,
    choices: Iterable[str],
    error: type[FloatlabError] = OptionError,
    meanings: Mapping[str, str] | None = None,
) -> None:
    """Raise `error` if `value` is not one of `choices`, and suggest what `meanings` says of it, or the nearest.

    >>> check_option("rounding", "nearest_evn", ["nearest_even", "to_odd"])
    Traceback (most recent call last):
    ...
    floatlab.errors.OptionError: rounding must be one of: nearest_even, to_odd. Got 'nearest_evn'. Use \
"nearest_even".
    """
    choices = list(choices)
    if isinstance(value, str | None) and value in choices:  # an array would be compared element by element
        return
    guess = choices[0] if len(choices) == 1 else None
    if isinstance(value, str) and guess is None:
        guess = (meanings or {}).get(value.lower().replace("-", "_"))
        guess = guess if guess in choices else nearest_name(value, choices)
    way_out = f'Use "{guess}".' if guess else "Use one of these names."
    raise error(f"{option} must be one of: {', '.join(choices)}. Got {value!r}. {way_out}")


def check_switch(option: str, value: object) -> bool:
    """Return `value` as True or False, which it is, or a number that equals one; else raise.

    >>> check_switch("return_flags", 1)
    True
    >>> check_switch("return_flags", "no")
    Traceback (most recent call last):
    ...
    floatlab.errors.OptionError: return_flags is True or False. Got 'no'. Use one of them.
    """
    if isinstance(value, bool | int | float | np.bool_ | np.number) and value in (0, 1):
        return bool(value)
    raise OptionError(f"{option} is True or False. Got {value!r}. Use one of them.")
