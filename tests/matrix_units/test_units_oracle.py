"""Units against the oracle on integers and fractions: random and special dot products, several blocks in a chain."""

from __future__ import annotations

import numpy as np
import pytest

import floatlab as fl
from floatlab import reference
from floatlab.matrix_units.instruction import Instruction
from floatlab.matrix_units.tiles import chain_in_tiles
from floatlab.verify.chips import oracle, same

CASES = [
    ("v100", None, "fp16"), ("t4", None, "fp16"), ("t4", "m8n8k4", "fp16"),
    *[(unit, None, fmt) for unit in ("a100", "ada", "h100", "b200") for fmt in ("fp16", "bf16", "tf32")],
    *[(unit, None, fmt) for unit in ("ada", "h100", "rtx_blackwell") for fmt in ("e4m3", "e5m2")],
    *[("b200", None, fmt) for fmt in ("e2m3", "e3m2", "e2m1")],
    ("h100", "mma.sync", "e4m3"), ("h200", "mma.sync", "e5m2"), ("b200", "mma.sync", "e4m3"),
    ("mi100", None, "fp16"), ("mi100", None, "bf16"), ("mi250", None, "fp16"), ("mi250", None, "bf16"),
    ("mi250", "bf16", "bf16"), ("mi300", None, "fp16"), ("mi300", None, "bf16"), ("mi300", None, "tf32"),
    ("mi300", None, "e4m3fnuz"), ("mi300", None, "e5m2fnuz"),
    *[(unit, None, "bf16") for unit in ("avx512_bf16", "amx_bf16", "arm_bf16", "arm_ebf16")],
]  # fmt: skip
TO_FP16 = [case for case in CASES if case[2] in ("fp16", "e4m3", "e5m2") and not case[0].startswith("mi")]


def numbers(rng: np.random.Generator, shape: tuple[int, ...], name: str, kind: str) -> np.ndarray:
    """Return values of a format: of one size, of every size, or with what is special among them."""
    fmt = fl.get_format(name)
    if kind == "ordinary":
        return fl.quantize(rng.standard_normal(shape), fmt, overflow="saturate")
    codes = rng.integers(0, 2**fmt.bits, shape)
    x = fl.decode(codes, fmt)
    with np.errstate(invalid="ignore"):  # of a signalling NaN
        x = x.astype(np.float64)
    if kind == "every size":
        x[~np.isfinite(x)] = 0.0
        x[rng.random(shape) < 0.2] = 0.0
        x[rng.random(shape) < 0.1] *= -0.0
    return x


@pytest.mark.parametrize("kind", ["ordinary", "every size", "every code"])
@pytest.mark.parametrize(("case", "result"), [(c, "fp32") for c in CASES] + [(c, "fp16") for c in TO_FP16])
def test_the_unit_is_the_oracle_on_chains_of_blocks(case, result, kind):
    name, instruction, operand = case
    rng = np.random.default_rng([sum(map(ord, f"{case}{result}{kind}"))])
    unit = fl.get_unit(":".join(filter(None, (name, instruction, "fp16" if result == "fp16" else None))))
    a, b = numbers(rng, (2, 70), operand, kind), numbers(rng, (70, 3), operand, kind)
    c = numbers(rng, (2, 3), result, kind)
    options = {"unit": unit, "formats": (operand, operand), "bias": c, "bias_first": True}
    with np.errstate(all="ignore"):
        found = fl.matmul(a, b, result, **options)
    dot = oracle(name, instruction, (operand, operand), result)
    for i in range(2):
        for j in range(3):
            exact = [[reference.exact(x) for x in row] for row in (a[i], b[:, j])]
            wanted = dot(*exact, reference.exact(c[i, j]))
            assert same(reference.exact(found[i, j]), wanted, any_zero=name.startswith("mi")), (i, j)


# -- the fast kernel and the readable one ----------------------------------------------------------------------

TILED = [case for case in CASES if case[0] in ("v100", "t4", "a100", "ada", "h100", "b200", "rtx_blackwell")]


@pytest.mark.parametrize("case", [case for case in TILED if case[1] is None])
def test_tiles_give_the_bits_of_the_readable_version(case):
    name, _, operand = case
    rng = np.random.default_rng([sum(map(ord, name + operand)), 1])
    fmt = fl.get_format(operand)
    how = fl.get_unit(name).instruction(fmt, fmt)
    seen = 0
    for spread, zeros, shape in (
        (1, 0.0, (5, 67, 130)),
        (8, 0.5, (70, 33, 9)),
        (14, 0.95, (3, 200, 5)),
        (3, 0.2, (1, 1, 1)),
    ):
        m, k, n = shape

        def matrix(shape, spread=spread, zeros=zeros):
            x = rng.standard_normal(shape) * 2.0 ** rng.uniform(-spread, spread, shape)
            return np.where(rng.random(shape) < zeros, -0.0, fl.quantize(x, fmt, overflow="saturate"))

        a, b = matrix((m, k)), matrix((k, n))
        c = fl.quantize(rng.standard_normal((m, n)) * 2.0 ** rng.uniform(-60, 60, (m, n)), "fp32").astype(
            float
        )
        c[rng.random((m, n)) < 0.3] = 0.0
        for start in (np.zeros((m, n)), c, fl.quantize(c * 2.0**-70, "fp32").astype(float)):
            fast = chain_in_tiles(how, a, b, start, (fmt, fmt))
            if fast is not None:
                seen += 1
                slow = Instruction.chain(how, a, b, start, (fmt, fmt))
                assert np.array_equal(fast.view(np.int64), slow.view(np.int64))
    assert seen >= 3


def test_accumulators_near_underflow_take_the_readable_way_block_by_block(monkeypatch):
    """2^-50 and its opposite cancel, and leave 2^-120 or less beside products of zero."""
    fmt = fl.get_format("bf16")
    how = fl.get_unit("h100").instruction(fmt, fmt)
    a, b = np.zeros((1, 48)), np.zeros((48, 1))
    a[0, :2], b[:2, 0] = [2.0**-40, 2.0**-44], [2.0**-43, -(2.0**-39)]
    c = np.array([[2.0**-110]])
    fast = chain_in_tiles(how, a, b, c, (fmt, fmt))
    assert fast is not None and fast[0, 0] == Instruction.chain(how, a, b, c, (fmt, fmt))[0, 0]


@pytest.mark.parametrize("shift", [-45, -55, -60, -63, 20, 44])
def test_products_near_the_ends_of_float32_are_cut_as_elsewhere(shift):
    rng = np.random.default_rng(shift + 100)
    fmt = fl.get_format("bf16")
    for name in ("a100", "h100"):
        how = fl.get_unit(name).instruction(fmt, fmt)
        a = fl.quantize(rng.standard_normal((9, 64)) * 2.0 ** rng.uniform(shift - 3, shift + 3, (9, 64)), fmt)
        b = fl.quantize(
            rng.standard_normal((64, 11)) * 2.0 ** rng.uniform(shift - 3, shift + 20, (64, 11)), fmt
        )
        a[rng.random(a.shape) < 0.5] = 0.0
        a[:, 16:32] = 0.0
        c = fl.quantize(rng.standard_normal((9, 11)) * 2.0 ** rng.uniform(-149, -90, (9, 11)), "fp32").astype(
            float
        )
        a, b = a.astype(float), b.astype(float)
        for start in (np.zeros(c.shape), c):
            fast = chain_in_tiles(how, a, b, start, (fmt, fmt))
            slow = Instruction.chain(how, a, b, start, (fmt, fmt))
            assert fast is not None or not -50 < shift < 40
            assert fast is None or np.array_equal(fast.view(np.int64), slow.view(np.int64))
