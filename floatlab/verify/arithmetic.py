"""Is every sum, difference, product, quotient and root right? All pairs of codes of the short formats.

Each of the 65,536 pairs of an 8-bit format (4,096 and 256 for 6 and 4 bits) goes through ``+ - * /``, each code
through sqrt, in every mode, and values and flags are compared with `floatlab.reference`. The exact results of finite
operands are fractions of integers, and there are far fewer of them than pairs; the oracle rounds each of them once.
In the default mode the operators of `FloatArray` are compared as well.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np

from floatlab import reference
from floatlab.array import from_codes
from floatlab.errors import OverflowPolicyError
from floatlab.formats import FloatFormat
from floatlab.operations.operate import operate
from floatlab.reference import Result
from floatlab.verify.critical import FLAGS
from floatlab.verify.oracle import DETERMINISTIC, STOCHASTIC, code_values, find, float_bits
from floatlab.verify.tasks import Array, Outcome, Tally, Task

__all__ = ["check", "tasks"]

# The formats of the short form
SHORT = ("float8_e5m2", "float8_e4m3fn", "float8_e4m3fnuz", "float6_e2m3fn", "float6_e3m2fn", "float4_e2m1fn")

RANDOM_BITS, RANDOM_INTEGER = 7, 45

Pair = tuple[int, int]


def tasks(full: bool, kinds: Sequence[FloatFormat]) -> list[Task]:
    """Return the tasks: one for each format. The short form takes a few formats, in two modes."""
    found = []
    for fmt in kinds:
        if fmt.bits > 8 or (not full and fmt.name not in SHORT):
            continue
        share = 4.0 ** (fmt.bits - 8)
        seconds = share * (14.0 if full else 3.5)
        found.append(Task("arithmetic", "all pairs, reference", fmt.name, (), seconds, full=full))
    return found


def check(task: Task) -> Outcome:
    """Run one task."""
    fmt, tally = find(task.subject), Tally()
    modes = (*DETERMINISTIC, *STOCHASTIC) if task.full else ("nearest_even", "toward_negative")
    values = code_values(fmt)
    for name in ("add", "subtract", "multiply", "divide"):
        pairs = _Pairs(name, fmt)
        for mode in modes:
            _compare(name, (values[pairs.left], values[pairs.right]), pairs.results(mode), fmt, mode, tally)
        tally.exclude("pairs whose result is NaN, which the format does not have", pairs.without_result)
    roots = _Roots(fmt)
    for mode in modes:
        _compare("sqrt", (values[roots.codes],), roots.results(mode), fmt, mode, tally)
    tally.exclude("codes whose root is NaN, which the format does not have", roots.without_result)
    return tally.outcome()


def _options(mode: str) -> dict[str, Any]:
    """Return the options of the oracle."""
    return {"rounding": mode} | (
        {"random_bits": RANDOM_BITS, "random_integer": RANDOM_INTEGER} if mode in STOCHASTIC else {}
    )


def _compare(
    name: str,
    operands: tuple[Array, ...],
    results: list[Result],
    fmt: FloatFormat,
    mode: str,
    tally: Tally,
) -> None:
    random: dict[str, Any] = (
        {"random_bits": RANDOM_BITS, "random_integers": np.int64(RANDOM_INTEGER)}
        if mode in STOCHASTIC
        else {}
    )
    x = tuple(operand.astype(fmt.value_dtype) for operand in operands)
    got, flags = operate(name, x, fmt, rounding=mode, return_flags=True, **random)
    known = {result: _value_bits(result.code, fmt) for result in set(results)}
    expected = np.array([known[result] for result in results], np.uint64)

    def describe(what: str) -> Callable[[int], str]:
        return lambda i: f"{what} of {tuple(float(one[i]) for one in x)} in {fmt.name}, {mode}"

    bits = float_bits(np.asarray(got).astype(np.float64), fmt)
    tally.compare(bits, expected, describe(f"{name}, as bits,"))
    for flag in FLAGS:
        raised = {result: flag in result.flags for result in known}
        wanted = np.array([raised[result] for result in results])
        tally.compare(np.asarray(getattr(flags, flag)), wanted, describe(f"flag {flag} of {name}"))
    plain = np.asarray(operate(name, x, fmt, rounding=mode, **random)).astype(np.float64)
    tally.compare(float_bits(plain, fmt), expected, describe(f"{name} without flags, as bits,"))
    if mode == "nearest_even":
        arrays = [from_codes(_codes(one, fmt), fmt) for one in operands]
        codes = np.asarray(getattr(np, name)(*arrays).codes)
        wanted = np.array([result.code for result in results], codes.dtype)
        tally.compare(codes, wanted, describe(f"FloatArray's {name}, as codes,"))


@lru_cache(maxsize=4096)
def _value_bits(code: int, fmt: FloatFormat) -> int:
    value = np.array([reference.to_float(reference.decode(code, fmt))])
    return int(float_bits(value, fmt)[0])


def _codes(values: Array, fmt: FloatFormat) -> Array:
    """Return the codes of values of the format, by looking for them."""
    table = code_values(fmt).view(np.uint64)
    order = np.argsort(table)
    return order[np.searchsorted(table[order], values.view(np.uint64))].astype(fmt.code_dtype)


class _Pairs:
    """All pairs of codes, and what the oracle says of them in a mode."""

    def __init__(self, name: str, fmt: FloatFormat) -> None:
        self.fmt, self.operation = fmt, getattr(reference, name)
        numbers = [reference.decode(code, fmt) for code in range(1 << fmt.bits)]
        exactly: dict[str, Callable[[Fraction, Fraction], Fraction]] = {
            "add": lambda a, b: a + b,
            "subtract": lambda a, b: a - b,
            "multiply": lambda a, b: a * b,
            "divide": lambda a, b: a / b,
        }
        compute = exactly[name]
        self.pairs: list[tuple[Pair, Fraction | None]] = []
        self.without_result = 0
        for i, a in enumerate(numbers):
            for j, b in enumerate(numbers):
                finite = isinstance(a, Fraction) and isinstance(b, Fraction) and a and b
                exact = compute(a, b) if finite else None  # type: ignore[arg-type]
                # A zero, and whatever is not a fraction, has rules of its own; the oracle's operation knows them.
                if not exact and fmt.specials == "finite" and self._is_nan(a, b):
                    self.without_result += 1
                    continue
                self.pairs.append(((i, j), exact or None))
        self.left = np.array([i for (i, _), _ in self.pairs])
        self.right = np.array([j for (_, j), _ in self.pairs])
        self.numbers = numbers

    def _is_nan(self, a: Any, b: Any) -> bool:
        try:
            self.operation(a, b, self.fmt)
        except OverflowPolicyError:
            return True
        return False

    def results(self, mode: str) -> list[Result]:
        """Return the oracle's result of every pair."""
        options, known = _options(mode), dict[Fraction, Result]()
        found = []
        for (i, j), exact in self.pairs:
            if exact is None:
                found.append(self.operation(self.numbers[i], self.numbers[j], self.fmt, **options))
                continue
            result = known.get(exact)
            if result is None:
                result = known[exact] = reference.round(exact, self.fmt, **options)
            found.append(result)
        return found


class _Roots:
    """All codes that have a square root, and what the oracle says of it in a mode."""

    def __init__(self, fmt: FloatFormat) -> None:
        self.fmt, self.without_result = fmt, 0
        codes = []
        for code in range(1 << fmt.bits):
            try:
                reference.sqrt(reference.decode(code, fmt), fmt)
                codes.append(code)
            except OverflowPolicyError:
                self.without_result += 1
        self.codes = np.array(codes)

    def results(self, mode: str) -> list[Result]:
        """Return the oracle's root of every code."""
        return [
            reference.sqrt(reference.decode(int(code), self.fmt), self.fmt, **_options(mode))
            for code in self.codes
        ]
