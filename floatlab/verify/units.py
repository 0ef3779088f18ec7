"""Is a matrix unit's product what its instruction says? Dot products of every size, against integers and fractions.

Every instruction of the catalogue for floats, with scales and without, on chains of several blocks that begin with an
accumulator. The numbers are of one size, of every size, all codes with infinities and NaNs, such as cancel, and such as
have products near the smallest number of the accumulator. Two comparisons:

- *integers*: `floatlab.matmul`, as it is called and by the readable version, against `floatlab.verify.chips`, which is
  `floatlab.reference` with parameters that were typed apart. It takes a fraction of a millisecond a block, so the long
  form has 20,000 dot products of each instruction and format.
- *readable version*: the fast way of tensor cores, in tiles, against the readable one, a block after the other: in the
  long form a million dot products of each. Instructions without a fast way have no such comparison.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from floatlab import reference
from floatlab.codes.decode import decode
from floatlab.formats import FloatFormat, get_format
from floatlab.matrix_units import MatrixUnit, get_unit
from floatlab.matrix_units.aligned import Aligned
from floatlab.matrix_units.catalogue import CHIPS
from floatlab.matrix_units.instruction import FLOAT32, Instruction
from floatlab.matrix_units.scaled import BlockScaled, GroupScaled, Scales
from floatlab.matrix_units.tiles import chain_in_tiles
from floatlab.rounding.quantize import quantize
from floatlab.sums.matmul import matmul
from floatlab.verify.chips import SCALED, oracle, short_name
from floatlab.verify.tasks import Array, Outcome, Tally, Task

__all__ = ["check", "instructions", "operands", "scaled", "tasks"]

KINDS = ("of one size", "of every size", "all codes", "cancelling", "near underflow")
FAST_KINDS = ("of one size", "of many sizes", "cancelling")  # those that the fast way takes
INTEGERS = (6, 250)  # products of matrices of 4 x 4 results, of each kind, short and full: 20,000
TILES = (
    1,
    42,
)  # products of matrices of 100 x 80 results, of three kinds: a million of these in the long form
_ROWS, _COLUMNS = 100, 80
_BY_INTEGERS, _BY_READING = "integers", "readable version"


def instructions() -> Iterator[tuple[str, Instruction, FloatFormat]]:
    """Yield every instruction for floats without scales: the name of a unit, itself, a format of its operands."""
    for name, instruction in _each():
        yield from (
            (name, instruction, fmt) for fmt in instruction.operands if instruction.multiplies(fmt, fmt)
        )


def _each() -> Iterator[tuple[str, Instruction]]:
    """Yield every instruction of the catalogue once, with the name of a unit that has it."""
    for chip in CHIPS:
        seen: list[Instruction] = []
        for suffix in ("", *CHIPS[chip]().variants):
            name = f"{chip}:{suffix}" if suffix else chip
            for instruction in get_unit(name).instructions:
                if instruction not in seen:
                    seen.append(instruction)
                    yield name, instruction


def scaled() -> Iterator[tuple[str, str, BlockScaled, FloatFormat]]:
    """Yield every block-scaled instruction: a unit, a name in `floatlab.verify.chips`, itself, a format of scales."""
    for name, how in _each():
        if isinstance(how, BlockScaled):
            for size in how.scale_blocks:
                called = next(
                    called
                    for called, (block, scale_block, grouped) in SCALED.items()
                    if (block, scale_block, grouped) == (how.block, size, isinstance(how, GroupScaled))
                )
                for fmt in how.scale_formats:
                    if size != 32 or fmt.name != "float8_e4m3fn":  # which has a scale for every 16 numbers
                        yield name, called, how, fmt


def tasks(full: bool, kinds: Sequence[FloatFormat]) -> list[Task]:
    """Return the tasks: for each instruction and format of operands one or two."""
    found = []
    for name, called, how, scale in scaled():
        for fmt in how.operands:
            if any(fmt.same_as(kind) for kind in kinds):
                chip, detail = name.partition(":")[0], f"{called} {scale.spec}"
                part, seconds = f"{chip}, scales, {_BY_INTEGERS}", INTEGERS[full] * 0.15
                found.append(Task("units", part, fmt.name, (), seconds, full=full, detail=detail))
    for name, instruction, fmt in instructions():
        if not any(fmt.same_as(kind) for kind in kinds):
            continue
        chip = name.partition(":")[0]
        seconds = INTEGERS[full] * 0.06
        found.append(Task("units", f"{chip}, {_BY_INTEGERS}", fmt.name, (), seconds, full=full, detail=name))
        if isinstance(instruction, Aligned) and instruction.register.same_as(FLOAT32):
            seconds = TILES[full] * 0.04
            found.append(
                Task("units", f"{chip}, {_BY_READING}", fmt.name, (), seconds, full=full, detail=name)
            )
    return found


def check(task: Task) -> Outcome:
    """Run one task."""
    if ", scales, " in task.part:
        return _check_scaled(task)
    unit, fmt, tally = get_unit(task.detail), get_format(task.subject), Tally()
    how = unit.instruction(fmt, fmt)
    others = [other for other in how.operands if not other.same_as(fmt)] or [fmt]
    rng = np.random.default_rng([fmt.bits, fmt.mantissa_bits, *map(ord, task.detail)])
    integers = task.part.endswith(_BY_INTEGERS)
    for i in range((INTEGERS if integers else TILES)[task.full]):
        formats = (fmt, others[i // 2 % len(others)] if i % 2 else fmt)
        for kind in KINDS if integers else FAST_KINDS:
            if integers:
                _by_integers(unit, how, formats, kind, rng, tally)
            else:
                _by_reading(unit.name, how, formats, kind, rng, tally)
    return tally.outcome()


def operands(
    how: Instruction,
    formats: tuple[FloatFormat, FloatFormat],
    shape: tuple[int, int, int],
    kind: str,
    rng: np.random.Generator,
) -> tuple[Array, Array, Array]:
    """Return matrices a (M, K), b (K, N) and accumulators c (M, N) of a kind of numbers."""
    m, k, n = shape
    a, b = _numbers(formats[0], (m, k), kind, rng), _numbers(formats[1], (k, n), kind, rng)
    c = _numbers(how.register, (m, n), kind, rng)
    if kind == "of many sizes":
        c = _numbers(how.register, (m, n), "of every size", rng)
        c[np.abs(c) >= 2.0**100] = 0.0
    if kind == "near underflow":
        a, b, c = _near_underflow(how, formats, shape, rng)
    if kind == "cancelling" and k > 1:
        half = k // 2
        a[:, half : 2 * half], b[half : 2 * half] = -a[:, :half], b[:half]
        order = rng.permutation(k)
        a, b = a[:, order], b[order]
    c[rng.random((m, n)) < 0.3] = 0.0
    return a, b, c


def _numbers(fmt: FloatFormat, shape: tuple[int, int], kind: str, rng: np.random.Generator) -> Array:
    if kind in ("of one size", "cancelling", "near underflow"):
        spread = 0.0 if kind == "of one size" else 12.0
        x = rng.standard_normal(shape) * np.exp2(rng.uniform(-spread, spread, shape))
        return quantize(x, fmt, overflow="saturate").astype(np.float64)
    with np.errstate(invalid="ignore"):  # of signalling NaNs
        x = decode(rng.integers(0, 1 << fmt.bits, shape, np.uint64).astype(fmt.code_dtype), fmt)
        x = x.astype(np.float64)
    if kind == "of many sizes":
        x[~((np.abs(x) >= 2.0**-63) & (np.abs(x) < 2.0**45))] = 0.0
    if kind in ("of every size", "of many sizes"):
        x[~np.isfinite(x)] = 0.0
        x[rng.random(shape) < 0.2] = 0.0
        x[rng.random(shape) < 0.1] *= -0.0
    return x


def _near_underflow(
    how: Instruction,
    formats: tuple[FloatFormat, FloatFormat],
    shape: tuple[int, int, int],
    rng: np.random.Generator,
) -> tuple[Array, Array, Array]:
    """Return products of one or half a unit in the last place, others far below that tip the scales, and mostly no c.

    There a unit's exponent of zero decides what is cut; a c that is not zero has a larger exponent.
    """
    m, k, n = shape
    last, core = how.register.etiny, getattr(how, "through", how)
    cut = (core.zero_exponent or 0) - core.fraction_bits if isinstance(core, Aligned) else last - 9
    a, b = np.zeros((m, k)), np.zeros((k, n))
    for place in (last, cut):  # products of half a unit there, one, or two
        i = rng.integers(min(k, how.block))
        a[:, i] = np.ldexp(rng.choice([-1.0, 1.0], m), place // 2 + rng.integers(0, 2, m))
        b[i] = np.ldexp(1.0, place - place // 2 - rng.integers(0, 2, n))
    a, b = (
        quantize(x, fmt, overflow="saturate").astype(np.float64)
        for x, fmt in zip((a, b), formats, strict=True)
    )
    return a, b, np.ldexp(1.0, last) * rng.integers(-3, 4, (m, n)) * (rng.random((m, n)) < 0.2)


def _check_scaled(task: Task) -> Outcome:
    """Compare products of blocks that share scales with the integers."""
    called, _, spec = task.detail.partition(" ")
    chip, fmt, scale = task.part.partition(",")[0], get_format(task.subject), get_format(spec)
    how = next(
        how
        for name, found, how, its in scaled()
        if (name.partition(":")[0], found, its.spec) == (chip, called, spec)
    )
    size, tally = SCALED[called][1], Tally()
    rng = np.random.default_rng([fmt.bits, fmt.mantissa_bits, *map(ord, task.part + task.detail)])
    names = short_name(fmt), short_name(fmt)
    dot = oracle(chip, called, names, "fp32", "e8m0" if scale.name.endswith("e8m0fnu") else "e4m3")
    for i in range(INTEGERS[task.full]):
        for kind in KINDS:
            length = how.block * (1 + i % 2)
            a, b, c = operands(how, (fmt, fmt), (4, length, 4), kind, rng)
            of_a, of_b = (_scales(scale, kind, (4, length // size), rng) for _ in "ab")
            wanted = np.array(
                [
                    [
                        reference.to_float(
                            dot(
                                _exact(a[row]),
                                _exact(b[:, column]),
                                reference.exact(c[row, column]),
                                scales=(_exact(of_a[row]), _exact(of_b[column])),
                            )
                        )
                        for column in range(4)
                    ]
                    for row in range(4)
                ]
            )
            shared = Scales(np.repeat(of_a, size, 1), np.repeat(of_b, size, 1).T, scale, size)
            unit = MatrixUnit(chip, (how,), bias_first=True)
            found = unit.multiply_scaled(a, b, c, (fmt, fmt), shared)

            def describe(place: int, kind: str = kind) -> str:
                return f"{chip}:{called}, {fmt} by {scale} for {size}, {kind}: result {place} of 16"

            tally.compare(_bits(found, chip), _bits(wanted, chip), describe)
    return tally.outcome()


def _scales(fmt: FloatFormat, kind: str, shape: tuple[int, int], rng: np.random.Generator) -> Array:
    """Return scales about 1, or any that there are."""
    if kind in ("of one size", "cancelling"):
        return quantize(np.exp2(rng.integers(-3, 4, shape)) * rng.uniform(1, 2, shape), fmt).astype(
            np.float64
        )
    return np.abs(_numbers(fmt, shape, kind, rng)) if fmt.has_zero else _codes(fmt, shape, kind, rng)


def _codes(fmt: FloatFormat, shape: tuple[int, int], kind: str, rng: np.random.Generator) -> Array:
    """Return powers of two of every size, rarely NaN."""
    codes = rng.integers(0, 1 << fmt.bits, shape, np.uint64)
    codes[rng.random(shape) < 0.5] = 127
    x: Array = decode(codes.astype(fmt.code_dtype), fmt).astype(np.float64)
    return x if kind == "all codes" else np.where(np.isnan(x), 1.0, x)


def _exact(x: Array) -> list[reference.Number]:
    return [reference.exact(number) for number in x.tolist()]


# -- the two comparisons -------------------------------------------------------------------------------


def _by_integers(
    unit: MatrixUnit,
    how: Instruction,
    formats: tuple[FloatFormat, FloatFormat],
    kind: str,
    rng: np.random.Generator,
    tally: Tally,
) -> None:
    """Compare products of matrices, and the same ones in a stack, which are computed by the readable version."""
    chip, _, suffix = unit.name.partition(":")
    result = "fp16" if how.register.bits == 16 else "fp32"
    instruction = suffix.removesuffix("fp16").strip(":") or None
    length = int(rng.integers(1, 2 * how.block + 3))
    a, b, c = operands(how, formats, (4, length, 4), kind, rng)
    dot = oracle(chip, instruction, (short_name(formats[0]), short_name(formats[1])), result)
    columns = [[reference.exact(x) for x in column] for column in b.T.tolist()]
    wanted = np.array(
        [
            [reference.to_float(dot(row, column, reference.exact(first))) for column, first in pairs]
            for row, pairs in (
                ([reference.exact(x) for x in numbers], list(zip(columns, firsts, strict=True)))
                for numbers, firsts in zip(a.tolist(), c.tolist(), strict=True)
            )
        ]
    )
    first = MatrixUnit(unit.name, unit.instructions, bias_first=True)
    options: dict[str, Any] = {"accumulator": first, "formats": (*formats, how.register)}

    def describe(i: int) -> str:
        row, column = divmod(i, 4)
        numbers = f"{a[row].tolist()} . {b[:, column].tolist()} + {c[row, column]}"
        return f"{unit.name}, {formats[0]} * {formats[1]} to {result}, {kind}: {numbers}"

    wanted = _bits(wanted, chip)
    matrices = matmul(a, b, result, bias=c, **options)
    tally.compare(_bits(matrices, chip), wanted, describe)
    stack = matmul(a[None], b[None], result, bias=c[None], **options)[0]
    tally.compare(_bits(stack, chip), wanted, lambda i: f"in a stack, {describe(i)}")


def _by_reading(
    name: str,
    how: Instruction,
    formats: tuple[FloatFormat, FloatFormat],
    kind: str,
    rng: np.random.Generator,
    tally: Tally,
) -> None:
    """Compare the fast way with the readable one, where the numbers are such as the fast one takes."""
    assert isinstance(how, Aligned)
    length = int(rng.integers(1, 4 * how.block))
    a, b, c = operands(how, formats, (_ROWS, length, _COLUMNS), kind, rng)
    with np.errstate(all="ignore"):
        fast = chain_in_tiles(how, a, b, c, formats)
        if fast is None:
            tally.exclude("dot products of numbers that only the readable version takes", c.size)
            return
        slow = Instruction.chain(how, a, b, c, formats)

    def describe(i: int) -> str:
        row, column = divmod(i, _COLUMNS)
        numbers = f"{a[row].tolist()} . {b[:, column].tolist()} + {c[row, column]}"
        return f"{name}, {formats[0]} * {formats[1]}, {kind}: {numbers}"

    tally.compare(_bits(fast, name), _bits(slow, name), describe)


def _bits(x: Array, chip: str) -> Array:
    """Return the bits of float64 results, with one NaN; of AMD's units also with one zero, whose sign nobody knows."""
    x = np.where(np.isnan(x), np.nan, x.astype(np.float64))
    return (x + 0.0 if chip.startswith("mi") else x).view(np.uint64)
