"""What do the kinds of tries have in common? Shapes, options, and results as words."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from floatlab import reference
from floatlab.formats import FloatFormat
from floatlab.verify.fuzz.case import Case, Words, flag_words, reference_floats, value_words

__all__ = ["SIZES", "integers_of", "options_of", "random_of", "shape_of", "value_in", "words_of"]

SIZES = (1, 1, 2, 3, 5, 8, 40)


def shape_of(draw: Random, size: int) -> tuple[int, ...]:
    """Return a shape of so many elements."""
    shapes = [(size,), (size,), (1, size), (size, 1)]
    if size % 2 == 0:
        shapes.append((size // 2, 2))
    if size == 1:
        shapes.append(())
    return draw.choice(shapes)


def integers_of(draw: Random, options: dict[str, Any], size: int) -> tuple[int, ...]:
    """Return the random integers of stochastic roundings, if the options ask for such."""
    bits = options.get("random_bits")
    return tuple(draw.getrandbits(bits) for _ in range(size)) if bits else ()


def random_of(case: Case, i: int) -> dict[str, Any]:
    """Return the reference's options of a stochastic rounding of element i."""
    if not case.integers:
        return {}
    return {"random_integer": case.integers[i], "random_bits": case.options["random_bits"]}


def options_of(case: Case) -> dict[str, Any]:
    """Return the reference's options."""
    return {name: value for name, value in case.options.items() if name != "random_bits"}


def words_of(results: Sequence[reference.Result], case: Case, flags: bool) -> Words:
    """Return results as words."""
    words: Words = {"values": value_words(reference_floats(results), case.fmt.nan_has_sign)}
    if flags:
        words["flags"] = flag_words(result.flags for result in results)
    return words


def value_in(x: float, fmt: FloatFormat) -> float:
    """Return a number rounded to the format."""
    return reference.to_float(reference.round(x, fmt).value)
