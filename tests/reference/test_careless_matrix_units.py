"""Plausible mistakes about a matrix unit, each of which the recorded rows must tell from the truth.

A mistake is a wrong parameter of the oracle, or one of its parts replaced. Where it does not say `SOME`, every
configuration that it concerns must tell it by its own rows, so that the table of no single unit may have it.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import partial
from typing import Any, NamedTuple

import pytest
from matrix_unit_vectors import configurations, gpu_folder, integer_configurations

from floatlab import reference
from floatlab.formats import get_format
from floatlab.reference import Special, alignment, exact, matrix_units, stepwise_units
from floatlab.reference.numbers import NANS
from floatlab.verify.chips import FP8, Dot, same, step_of
from floatlab.verify.vectors import Rows

FP32 = get_format("fp32")
RECORDED = list(configurations())


def tells(rows: Rows, dot: Dot) -> bool:
    """Say whether a row has another result than the dot product gives."""
    return any(not same(found, wanted, any_zero=rows.any_zero) for found, wanted in rows.answers(dot))


def changed(rows: Rows, block: int | None = None, **options: Any) -> Dot:
    """Return the instruction of the rows with other options, or another block."""
    step, usual = step_of(
        rows.unit, rows.instruction, rows.operands, rows.result, rows.scales and rows.scales.fmt
    )
    scale_block = {"scale_block": rows.scales.block} if rows.scales else {}
    return partial(matrix_units.chain, partial(step, **options), block=block or usual, **scale_block)


def block_of(rows: Rows) -> int:
    return step_of(rows.unit, rows.instruction, rows.operands, rows.result, None)[1]


def bits_of(rows: Rows) -> int:
    if rows.unit == "mi300":
        return 24
    scale = rows.scales and rows.scales.fmt
    step, _ = step_of(rows.unit, rows.instruction, rows.operands, rows.result, scale)
    assert isinstance(step, partial)
    return int(step.keywords["fraction_bits"])


# -- which rows ----------------------------------------------------------------------------------------


def fused(rows: Rows) -> bool:
    return rows.source == "model_nvidia.npz" and rows.result == "fp32"


def in_14_bits(rows: Rows) -> bool:
    return fused(rows) and bits_of(rows) == 13


def multiplies(*operands: str) -> Callable[[Rows], bool]:
    return lambda rows: fused(rows) and rows.operands[0] in operands


def mx(rows: Rows) -> bool:
    return rows.instruction == "mxf8f6f4"


def grouped(rows: Rows) -> bool:
    return rows.source == "model_blackwell_block_scaled.npz" and not mx(rows)


def sixteens(rows: Rows) -> bool:
    return grouped(rows) and rows.instruction == "mxf4nvf4"


def nvfp4(rows: Rows) -> bool:
    return grouped(rows) and rows.scales is not None and rows.scales.fmt == "e4m3"


def fp4_edges(rows: Rows) -> bool:
    return rows.source == "model_edges.npz" and rows.instruction in ("mxf4", "mxf4nvf4")


def small_fp4(rows: Rows) -> bool:
    return fp4_edges(rows) and rows.scales is not None and rows.scales.fmt == "e8m0"


def edges(rows: Rows) -> bool:
    """Rows whose sums lie below the exponent of a zero, which e4m3's scales cannot reach."""
    far = rows.operands[0] in ("bf16", "tf32", "e4m3")
    return rows.source == "model_edges.npz" and (far or small_fp4(rows))


def zero_of(rows: Rows) -> int:
    scale = rows.scales and rows.scales.fmt
    step, _ = step_of(rows.unit, rows.instruction, rows.operands, rows.result, scale)
    assert isinstance(step, partial)
    return int(step.keywords["zero_exponent"])


def unit(name: str, *operands: str) -> Callable[[Rows], bool]:
    return lambda rows: rows.unit == name and (not operands or rows.operands[0] in operands)


FNUZ = ("e4m3fnuz", "e5m2fnuz")

# -- parts of the oracle, done carelessly --------------------------------------------------------------


def nearest(x: Fraction, place: int) -> int:
    return round(x / alignment.power(place))


def renormalised(x: Any, y: Any, operands: Any) -> int:
    both = isinstance(x, Fraction) and isinstance(y, Fraction)
    return alignment.leading_exponent(x * y) if both and x and y else 0


def of_leading_bits(x: Any, y: Any, operands: Any) -> int:
    both = isinstance(x, Fraction) and isinstance(y, Fraction)
    return alignment.leading_exponent(x) + alignment.leading_exponent(y) if both and x and y else 0


def stopped_at_the_largest(total: Fraction, fmt: Any, rounding: str) -> Any:
    value = reference.round(total, fmt, rounding=rounding).value
    return Fraction(0) if value is Special.NEGATIVE_ZERO else value


def c_added_last(rounding: str) -> Callable[[Rows, pytest.MonkeyPatch], Dot]:
    """Return a mistake: the products are aligned without c, which is added to what they gave."""

    def make(rows: Rows, _: pytest.MonkeyPatch) -> Dot:
        step, block = step_of(rows.unit, rows.instruction, rows.operands, rows.result)
        assert isinstance(step, partial)
        kept = step.keywords["kept"]
        return partial(
            matrix_units.chain,
            lambda a, b, c: reference.add(step(a, b, 0), c, kept, rounding=rounding).value,
            block=block,
        )

    return make


def scaled_after(a: Any, b: Any, c: Any, scale_a: Any, scale_b: Any, **options: Any) -> Any:
    """The products are aligned without their scales."""
    if any(exact(x) in NANS for x in (*scale_a, *scale_b)):
        return Special.NAN
    product = matrix_units.fused(a, b, 0, **options)
    factor = exact(scale_a[0]) * exact(scale_b[0])
    return reference.fma(product, factor, c, FP32, rounding="toward_zero").value


def even_first(a: Any, b: Any, c: Any) -> Any:
    return stepwise_units.avx512_bf16(a[::-1], b[::-1], c)


def product_rounded(x: Any, y: Any, c: Any) -> Any:
    fma = FUSED_STEP
    return fma(1, fma(x, y, Fraction(0)), c)


FUSED_STEP = stepwise_units._flushed_fma


def crossed(a: Any, b: Any, c: Any, **options: Any) -> Any:
    """(p0 + p2) + (p1 + p3)."""
    order = [0, 2, 1, 3]
    return stepwise_units.mi250([a[k] for k in order], [b[k] for k in order], c, **options)


def one_after_another(a: Any, b: Any, c: Any, **options: Any) -> Any:
    for x, y in zip(a, b, strict=True):
        c = stepwise_units.mi250([x], [y], c, **options)
    return c


def in_halves(a: Any, b: Any, c: Any, **options: Any) -> Any:
    """The first half of the products and the second are aligned apart, in place of the even and the odd ones."""
    half = len(a) // 2
    order = [k for pair in zip(range(half), range(half, 2 * half), strict=True) for k in pair]
    return matrix_units.mi300([a[k] for k in order], [b[k] for k in order], c, **options)


def stepwise(step: Callable[..., Any], block: int | None = None) -> Callable[[Rows, pytest.MonkeyPatch], Dot]:
    """Return a mistake: another step."""

    def make(rows: Rows, _: pytest.MonkeyPatch) -> Dot:
        usual, length = step_of(rows.unit, rows.instruction, rows.operands, rows.result, None)
        options = usual.keywords if isinstance(usual, partial) else {}
        return partial(matrix_units.chain, partial(step, **options), block=block or length)

    return make


def patched(module: Any, **parts: Any) -> Callable[[Rows, pytest.MonkeyPatch], Dot]:
    """Return a mistake: parts of the oracle replaced."""

    def make(rows: Rows, patch: pytest.MonkeyPatch) -> Dot:
        for name, part in parts.items():
            patch.setattr(module, name, part, raising=False)  # a built-in function, too
        return changed(rows)

    return make


def options(change: Callable[[Rows], dict[str, Any]]) -> Callable[[Rows, pytest.MonkeyPatch], Dot]:
    """Return a mistake: other options."""
    return lambda rows, _: changed(rows, **change(rows))


def without_flush(name: str) -> Any:
    operation = getattr(reference, name)
    return lambda x, y, fmt, subnormals: operation(x, y, fmt)


class Mistake(NamedTuple):
    """A careless version: the rows that it concerns, and how it is made; whether each configuration tells it."""

    concerns: Callable[[Rows], bool]
    make: Callable[[Rows, pytest.MonkeyPatch], Dot]
    each: bool = True


SOME = False
MISTAKES = {
    "one bit less is kept": Mistake(fused, options(lambda r: {"fraction_bits": bits_of(r) - 1})),
    "one bit more is kept": Mistake(fused, options(lambda r: {"fraction_bits": bits_of(r) + 1})),
    "the sum is exact": Mistake(fused, options(lambda r: {"fraction_bits": 999})),
    "terms are floored": Mistake(fused, patched(matrix_units, cut=alignment.floored)),
    "terms are rounded to nearest": Mistake(fused, patched(matrix_units, cut=nearest)),
    "products are renormalised": Mistake(fused, patched(matrix_units, product_exponent=renormalised)),
    "c is added last": Mistake(fused, c_added_last("toward_zero")),
    "c is added last, to nearest": Mistake(fused, c_added_last("nearest_even")),
    "a block is half as long": Mistake(fused, options(lambda r: {"block": block_of(r) // 2})),
    "the end is rounded to nearest": Mistake(fused, options(lambda r: {"rounding": "nearest_even"})),
    "fp8 keeps all of fp32's bits": Mistake(in_14_bits, options(lambda r: {"kept": FP32})),
    "a sum that is cut never overflows": Mistake(
        multiplies("bf16", "tf32"), patched(matrix_units, rounded=stopped_at_the_largest)
    ),
    "subnormal operands are normalised": Mistake(
        multiplies("fp16"), patched(matrix_units, product_exponent=of_leading_bits)
    ),
    "a zero has no exponent": Mistake(edges, options(lambda r: {"zero_exponent": -9999})),
    "a zero's exponent is one less": Mistake(edges, options(lambda r: {"zero_exponent": zero_of(r) - 1})),
    "a zero's exponent is one more": Mistake(edges, options(lambda r: {"zero_exponent": zero_of(r) + 1})),
    "MX: one bit less": Mistake(mx, options(lambda r: {"fraction_bits": 24})),
    "MX: one bit more": Mistake(mx, options(lambda r: {"fraction_bits": 26})),
    "MX: terms are floored": Mistake(mx, patched(matrix_units, cut=alignment.floored)),
    "MX: scales come after the alignment": Mistake(mx, patched(matrix_units, scaled=scaled_after), SOME),
    "fp4: one bit less": Mistake(fp4_edges, options(lambda r: {"fraction_bits": 34})),
    "fp4: one bit more": Mistake(fp4_edges, options(lambda r: {"fraction_bits": 36})),
    "fp4: what cancels has no exponent": Mistake(
        small_fp4, patched(matrix_units, max=lambda zero_exponent, _: zero_exponent)
    ),
    "fp4: the sum is exact": Mistake(grouped, options(lambda r: {"fraction_bits": 999})),
    "fp4: groups are floored": Mistake(grouped, patched(matrix_units, cut=alignment.floored)),
    "fp4: groups of 32": Mistake(sixteens, options(lambda r: {"group": 32})),
    "fp4: scales have signs": Mistake(nvfp4, patched(matrix_units, _magnitude=exact)),
    "MI100: a step is as long as two": Mistake(unit("mi100"), options(lambda r: {"block": 2 * block_of(r)})),
    "MI100: a step is half as long": Mistake(unit("mi100"), options(lambda r: {"block": block_of(r) // 2})),
    "MI250: subnormal operands stay": Mistake(
        unit("mi250", "fp16"), patched(stepwise_units, _without_subnormals=lambda x, fmt: exact(x))
    ),
    "MI250: subnormal results stay": Mistake(
        unit("mi250", "bf16"),
        patched(stepwise_units, add=without_flush("add"), multiply=without_flush("multiply")),
    ),
    "MI250: pairs are crossed": Mistake(
        lambda rows: unit("mi250")(rows) and rows.instruction is None, stepwise(crossed)
    ),
    "MI250: one after another": Mistake(unit("mi250"), stepwise(one_after_another)),
    "MI250: an exact sum": Mistake(
        unit("mi250"), stepwise(lambda a, b, c, **_: stepwise_units.mi100(a, b, c))
    ),
    "MI300: one bit less": Mistake(unit("mi300"), options(lambda r: {"fraction_bits": 23})),
    "MI300: one bit more": Mistake(unit("mi300"), options(lambda r: {"fraction_bits": 25})),
    "MI300: sums are cut": Mistake(unit("mi300"), patched(matrix_units, floored=alignment.cut)),
    "MI300: products are floored": Mistake(unit("mi300"), patched(matrix_units, cut=alignment.floored)),
    "MI300: products are renormalised": Mistake(
        unit("mi300"), patched(matrix_units, product_exponent=renormalised)
    ),
    "MI300: large products stay": Mistake(
        unit("mi300", "bf16", "tf32"), patched(matrix_units, _overflowed=lambda product: product)
    ),
    "MI300: fp8 has one lane": Mistake(unit("mi300", *FNUZ), options(lambda r: {"alternating": False})),
    "MI300: fp8 has halves": Mistake(unit("mi300", *FNUZ), stepwise(in_halves)),
    "MI300: fp16 has two lanes": Mistake(unit("mi300", "fp16"), options(lambda r: {"alternating": True})),
    "VDPBF16PS: the even element first": Mistake(unit("avx512_bf16"), stepwise(even_first)),
    "VDPBF16PS: products are rounded": Mistake(
        unit("avx512_bf16"), patched(stepwise_units, _flushed_fma=product_rounded)
    ),
    "VDPBF16PS: subnormals stay": Mistake(
        unit("avx512_bf16"), patched(stepwise_units, _flushed=lambda x, fmt: x)
    ),
    "VDPBF16PS: a flushed number has no sign": Mistake(
        unit("avx512_bf16"), patched(stepwise_units, _flushed=stepwise_units._without_subnormals)
    ),
    "VDPBF16PS: tiny is what is so among subnormals": Mistake(
        unit("avx512_bf16"), patched(stepwise_units, WIDE=FP32)
    ),
    "VDPBF16PS: Arm's pair sum": Mistake(unit("avx512_bf16"), stepwise(stepwise_units.arm_ebf16)),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_the_records_tell_a_careless_version(name, monkeypatch):
    mistake = MISTAKES[name]
    concerned = [rows for rows in RECORDED if mistake.concerns(rows)]
    silent = []
    for rows in concerned:
        with monkeypatch.context() as patch:
            if not tells(rows, mistake.make(rows, patch)):
                silent.append(rows.name)
    assert len(silent) < len(concerned)
    assert not (mistake.each and silent), silent


@pytest.mark.parametrize(
    ("name", "careless"),
    [
        ("dpbusd", "dpbusds"),
        ("dpbusds", "dpbusd"),
        ("dpwssd", "dpwssds"),
        ("dpwssds", "dpwssd"),
        ("maddubs", "dpbusd"),
        ("dpbusd", "maddubs"),
    ],
)
def test_the_records_tell_sums_of_integers_apart(name, careless):
    rows = next(rows for rows in integer_configurations() if rows.name == name)
    assert rows._replace(name=careless).mismatches()


def test_the_gpus_tell_other_ways_to_run_fp8_by_fp16():
    folder = gpu_folder()
    if folder is None:
        pytest.skip("FLOATLAB_VECTORS names no folder with tensorcore_*.npz")
    for rows in configurations(folder, "tensorcore_b200.npz"):
        if rows.operands[0] in FP8.split() and rows.result == "fp16":
            first = Rows(*(x[:300] if hasattr(x, "dtype") else x for x in rows))
            usual, block = step_of(*rows[1:5])

            def in_order(a, b, c, usual=usual):
                order = [
                    k for four in range(8) for k in (2 * four, 2 * four + 1, 16 + 2 * four, 17 + 2 * four)
                ]
                return usual([a[k] for k in order], [b[k] for k in order], c)

            def added_first(a, b, c, usual=usual):
                options = dict(usual.keywords, operands=(get_format("fp16"),) * 2)
                return matrix_units.chain(partial(matrix_units.fused, **options), a, b, c, block=16)

            for step in (in_order, added_first):
                assert tells(first, partial(matrix_units.chain, step, block=block))
