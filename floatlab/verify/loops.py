"""What does each accumulator mean? Plain loops over `floatlab.reference`, one addition after the other.

The definitions of `floatlab.sums.accumulators`, written a second time: an accumulator is a tuple here, such as
("pairwise", fmt), and a sum is a list of numbers of the reference. Stochastic rounding takes one random integer per
element and rounding. All rows are added side by side, so the integers come in the order of the additions, and within
an addition in that of the rows. `Draws` cuts them out of a generator's words as documented, and so replays a stream.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from floatlab import reference
from floatlab.formats import FloatFormat
from floatlab.reference import Number, Result
from floatlab.reference.numbers import nan_of, negate
from floatlab.reference.operations import exact_product, exact_sum, invalid

__all__ = ["Draws", "Loops", "products"]

Row = list[Number]


@dataclass
class Draws:
    """The random integers that a generator gives: words of 64 bits, cut into 4, 2 or 1 of 16, 32 or 64 bits."""

    rng: np.random.Generator
    bits: int

    def take(self, n: int) -> list[int]:
        """Return the integers of the next rounding of n numbers."""
        width = next(w for w in (16, 32, 64) if self.bits <= w)
        found: list[int] = []
        for word in self.rng.integers(0, 2**64 - 1, -(-n * width // 64), np.uint64, endpoint=True).tolist():
            found += [word >> start & (1 << width) - 1 for start in range(0, 64, width)]
        return [integer >> width - self.bits for integer in found[:n]]


def products(a: Sequence[float], b: Sequence[float]) -> list[Number | None]:
    """Return the exact products; None for an invalid one, zero times infinity."""
    pairs = zip(a, b, strict=True)
    return [exact_product(reference.exact(x), reference.exact(y)) for x, y in pairs]


@dataclass
class Loops:
    """Sums of rows of terms, by the definition of an accumulator."""

    options: dict[str, Any] = field(default_factory=dict)  # of `reference.round`
    draws: Draws | None = None

    def sums(
        self, how: tuple[Any, ...], rows: Sequence[Sequence[Number | None]], fmt: FloatFormat
    ) -> list[Result]:
        """Return the sum of each row in the format. None is an invalid term.

        `how` is ("exact",), ("sequential", fmt), ("pairwise", fmt), ("chunked", inner, outer, size) or ("kahan", fmt).
        """
        if how[0] == "exact":
            return [
                self._exact(row, fmt, 1, integer)
                for row, integer in zip(rows, self._take(len(rows)), strict=True)
            ]
        columns = [
            [reference.Special.NAN if x is None else x for x in column] for column in zip(*rows, strict=True)
        ]
        return self._round(getattr(self, f"_{how[0]}")(columns, *how[1:]), fmt)

    def means(
        self, how: tuple[Any, ...], rows: Sequence[Sequence[Number | None]], fmt: FloatFormat
    ) -> list[Result]:
        """Return the mean of each row: the exact one rounded once, or the sum divided."""
        if how[0] == "exact":
            integers = self._take(len(rows))
            return [
                self._exact(row, fmt, len(row), integer) for row, integer in zip(rows, integers, strict=True)
            ]
        found = self.sums(how, rows, fmt)
        integers = self._take(len(found))
        return [
            reference.divide(x.value, len(row), fmt, **self._with(integer))
            for x, row, integer in zip(found, rows, integers, strict=True)
        ]

    # -- the definitions --

    def _exact(self, row: Sequence[Number | None], fmt: FloatFormat, count: int, integer: int) -> Result:
        options = self._with(integer)
        terms = [x for x in row if x is not None]
        nan = nan_of(*terms)
        if nan is not None:
            return reference.round(reference.Special.NAN, fmt, **options)
        total = exact_sum(terms, options.get("rounding", "nearest_even"))
        if total is None or len(terms) < len(row):
            return invalid(fmt, **options)
        return reference.divide(total, count, fmt, **options)

    def _sequential(self, columns: list[Row], fmt: FloatFormat) -> Row:
        total = self._values(columns[0], fmt)
        for column in columns[1:]:
            total = self._add(total, column, fmt)
        return total

    def _pairwise(self, columns: list[Row], fmt: FloatFormat) -> Row:
        size = len(columns[0])
        while len(columns) > 1:
            left, right = columns[0:-1:2], columns[1::2]
            flat = self._add([x for c in left for x in c], [x for c in right for x in c], fmt)
            rest = columns[2 * len(right) :]
            columns = [flat[i : i + size] for i in range(0, len(flat), size)] + rest
        return self._values(columns[0], fmt)

    def _chunked(self, columns: list[Row], inner: FloatFormat, outer: FloatFormat, size: int) -> Row:
        chunks = [columns[i : i + size] for i in range(0, len(columns), size)]
        height = len(columns[0])
        flat = self._values([x for chunk in chunks for x in chunk[0]], inner)
        totals = [flat[i : i + height] for i in range(0, len(flat), height)]
        for k in range(1, len(chunks[0])):
            live = [i for i, chunk in enumerate(chunks) if k < len(chunk)]  # the last chunk may be shorter
            flat = self._add(
                [x for i in live for x in totals[i]], [x for i in live for x in chunks[i][k]], inner
            )
            for place, i in enumerate(live):
                totals[i] = flat[place * height : (place + 1) * height]
        total = self._values(totals[0], outer)
        for other in totals[1:]:
            total = self._add(total, other, outer)
        return total

    def _kahan(self, columns: list[Row], fmt: FloatFormat) -> Row:
        """Add with Kahan's compensation (CACM 8, 1965): every operation rounded."""
        total = self._values(columns[0], fmt)
        excess: Row = [Fraction(0)] * len(total)
        for column in columns[1:]:
            term = self._add(column, _negated(excess), fmt)
            new = self._add(total, term, fmt)
            excess = self._add(self._add(new, _negated(total), fmt), _negated(term), fmt)
            total = new
        return total

    # -- one rounding of a row --

    def _take(self, n: int) -> list[int]:
        return [0] * n if self.draws is None else self.draws.take(n)

    def _with(self, integer: int) -> dict[str, Any]:
        if self.draws is None:
            return self.options
        return self.options | {"random_integer": integer, "random_bits": self.draws.bits}

    def _round(self, row: Row, fmt: FloatFormat) -> list[Result]:
        pairs = zip(row, self._take(len(row)), strict=True)
        return [reference.round(x, fmt, **self._with(integer)) for x, integer in pairs]

    def _values(self, row: Row, fmt: FloatFormat) -> Row:
        return [result.value for result in self._round(row, fmt)]

    def _add(self, xs: Row, ys: Row, fmt: FloatFormat) -> Row:
        triples = zip(xs, ys, self._take(len(xs)), strict=True)
        return [reference.add(x, y, fmt, **self._with(integer)).value for x, y, integer in triples]


def _negated(row: Row) -> Row:
    return [negate(x) for x in row]
