"""How small can a failure be made and still fail? Fewer elements, plainer options, rounder numbers, one at a time.

A failure that a fuzz finds has forty elements and five options, of which one and one matter. `shrink` tries every
smaller case that it can think of, takes the first that still fails, and begins again, until none does.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from floatlab.errors import FloatlabError
from floatlab.formats import FloatFormat
from floatlab.verify.fuzz.case import Case, Check, difference

__all__ = ["shrink"]

TRIES = 400  # cases to run for one failure


def shrink(case: Case, check: Check) -> tuple[Case, str]:
    """Return a case that still differs and that no single step makes smaller, and what it says."""
    said = difference(case, check)
    assert said is not None
    part = said.part
    tries = 0
    smaller = _smaller(case)
    while tries < TRIES:
        candidate = next(smaller, None)
        if candidate is None:
            break
        tries += 1
        try:
            found = difference(candidate, check)
        except Exception:  # a case that means nothing: shapes that no longer fit, say
            continue
        if found is not None and found.part == part:
            case, said, smaller = candidate, found, _smaller(candidate)
    return case, said.line


def _smaller(case: Case) -> Iterator[Case]:
    """Yield cases that are smaller by one step, the largest steps first."""
    yield from _fewer_elements(case)
    if case.layout != "plain":
        yield replace(case, layout="plain")
    if case.length:
        yield replace(case, length=0)
        if case.length > 8192:
            yield replace(case, length=8192)
    for name in case.options:
        if name != "random_bits":
            fewer = {k: v for k, v in case.options.items() if k != name}
            stays = str(fewer.get("rounding")).startswith("stochastic")
            if not stays:
                fewer.pop("random_bits", None)
            yield replace(case, options=fewer, integers=case.integers if stays else ())
    if case.dtype in ("f2", "f4"):
        yield replace(case, dtype="f8")
    for fmt in _simpler_formats(case.fmt):
        kinds = tuple(fmt if kind == case.fmt else kind for kind in case.kinds)
        yield replace(case, fmt=fmt, kinds=kinds, numbers=_codes_of(fmt, case))
    yield from _rounder_numbers(case)


def _codes_of(fmt: FloatFormat, case: Case) -> tuple[tuple[Any, ...], ...]:
    """Return the numbers of a case; where they are codes, those bits that the format has."""
    if not case.dtype.startswith("u"):
        return case.numbers
    return tuple(tuple(code & (1 << fmt.bits) - 1 for code in codes) for codes in case.numbers)


def _fewer_elements(case: Case) -> Iterator[Case]:
    n = case.size
    if case.check == "unit":
        yield from _smaller_matrices(case)
        return
    if case.check == "sum" and len(case.shape) == 2:  # the first rows, or one of them
        rows, length = case.shape
        if case.what == "sum":
            for i in range(rows):
                row = case.numbers[0][i * length : (i + 1) * length]
                yield replace(case, numbers=(row,), shape=(length,))
        elif rows > 1:
            yield replace(case, numbers=tuple(x[:length] for x in case.numbers), shape=(1, length))
        else:
            yield replace(case, what="dot", shape=(length,))
        return
    if len(case.shape) != 1:
        yield replace(case, shape=(n,))
    ranges = [range(n // 2), range(n // 2, n)] if n > 3 else []
    ranges += [[j for j in range(n) if j != i] for i in range(n)] if n > 1 else []  # type: ignore[misc]
    for kept in ranges:
        if len(kept):
            yield replace(
                case,
                numbers=tuple(tuple(x[i] for i in kept) for x in case.numbers),
                integers=tuple(case.integers[i] for i in kept) if case.integers else (),
                shape=(len(kept),),
            )


def _smaller_matrices(case: Case) -> Iterator[Case]:
    """Yield products of matrices of (m, k) and (k, n) numbers with one row or column, and with fewer terms."""
    m, k, n = case.shape

    def kept(rows: Sequence[int], terms: Sequence[int], columns: Sequence[int]) -> Case:
        a, b, *c = case.numbers
        numbers = [
            tuple(a[i * k + t] for i in rows for t in terms),
            tuple(b[t * n + j] for t in terms for j in columns),
            *(tuple(some[i * n + j] for i in rows for j in columns) for some in c),
        ]
        return replace(case, numbers=tuple(numbers), shape=(len(rows), len(terms), len(columns)))

    every = range(m), range(k), range(n)
    for i in range(m) if m > 1 else ():
        yield kept([i], every[1], every[2])
    for j in range(n) if n > 1 else ():
        yield kept(every[0], every[1], [j])
    for terms in [range(k // 2), range(k // 2, k)] if k > 3 else []:
        yield kept(every[0], terms, every[2])
    for gone in range(k) if k > 1 else ():
        yield kept(every[0], [t for t in range(k) if t != gone], every[2])


def _simpler_formats(fmt: FloatFormat) -> Iterator[FloatFormat]:
    e, m, bias, specials, signed = fmt.exponent_bits, fmt.mantissa_bits, fmt.bias, fmt.specials, fmt.signed
    assert bias is not None
    usual = (1 << e - 1) - 1
    for fields in (
        (e, m, None, "ieee", True),
        (e, m, bias, "ieee", True),
        (e, m, None, specials, signed),
        (e, m // 2, bias, specials, signed),
        (e, m - 1, bias, specials, signed),
        (e - 1, m, bias - (1 << e - 2) if e > 1 else bias, specials, signed),
        (e, m, bias + (1 if bias < usual else -1), specials, signed),
    ):
        if fields == (e, m, bias, specials, signed):
            continue
        try:
            simpler = FloatFormat("z", *fields)
        except FloatlabError:
            continue
        if not simpler.same_as(fmt):
            yield simpler


def _rounder_numbers(case: Case) -> Iterator[Case]:
    for i, numbers in enumerate(case.numbers):
        for j, x in enumerate(numbers):
            for simple in _simpler_numbers(x):
                changed = (*numbers[:j], simple, *numbers[j + 1 :])
                yield replace(case, numbers=(*case.numbers[:i], changed, *case.numbers[i + 1 :]))


def _simpler_numbers(x: Any) -> Iterator[Any]:
    if not isinstance(x, float) or not math.isfinite(x) or x in (0.0, 1.0):
        return
    yield from (0.0, 1.0)
    if x < 0:
        yield -x
    significand, exponent = math.frexp(x)
    for bits in (1, 2, 3, 5, 8):
        rounded = math.ldexp(round(math.ldexp(significand, bits)), exponent - bits) if exponent < 1020 else x
        if rounded != x:
            yield rounded
