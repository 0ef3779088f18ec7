"""The oracle of matrix units against recorded results, and careless versions of it, which the records must tell."""

from __future__ import annotations

from fractions import Fraction

import pytest
from matrix_unit_vectors import VARIABLE, configurations, gpu_folder, integer_configurations

from floatlab.reference import Special
from floatlab.verify.chips import numbers, oracle, step_of
from floatlab.verify.vectors import Rows

RECORDED = list(configurations())
ROWS = {f"{rows.name} {i}": rows for i, rows in enumerate(RECORDED)}
INTEGERS = {rows.name: rows for rows in integer_configurations()}


@pytest.mark.parametrize("name", ROWS)
def test_every_recorded_row_is_the_oracles(name):
    assert ROWS[name].mismatches() == []


@pytest.mark.parametrize("name", INTEGERS)
def test_every_recorded_sum_of_integers_is_the_oracles(name):
    assert INTEGERS[name].mismatches() == []


def test_the_gpus_rows_are_the_oracles():
    folder = gpu_folder()
    if folder is None:
        pytest.skip(f"{VARIABLE} names no folder with tensorcore_*.npz: see tests/matrix_unit_vectors.py")
    total = 0
    for rows in configurations(folder, "tensorcore_*.npz"):
        every_tenth = Rows(*(x[::10] if hasattr(x, "dtype") else x for x in rows))
        assert every_tenth.mismatches() == [], rows.name
        total += len(rows.d)
    assert total == 240_000


def test_the_records_have_every_kind_of_special_row():
    for start in ("model_nvidia", "model_amd"):
        results = {
            d for rows in RECORDED if rows.source.startswith(start) for d in numbers(rows.d, rows.result)
        }
        assert {Special.INFINITY, Special.NEGATIVE_INFINITY, Fraction(0)} <= results, start
        assert results & {Special.NAN, Special.NEGATIVE_NAN}, start
        assert any(isinstance(d, Fraction) and 0 < abs(d) < Fraction(2) ** -126 for d in results), start


# -- published numbers -----------------------------------------------------------------------------------

ONE_DOT_PRODUCT = {  # of which the exact value is -0.875
    ("v100", None, "fp16"): 0,
    ("t4", None, "fp16"): -0.5,
    ("a100", None, "fp16"): -0.5,
    ("h100", None, "fp16"): -0.75,
    ("b200", None, "fp16"): -0.75,
    ("h100", None, "e5m2"): 0,
    ("mi100", None, "fp16"): -0.875,
    ("mi250", None, "fp16"): 0,
    ("mi300", None, "fp16"): -0.5,
    ("mi300", None, "e5m2fnuz"): -1,
    ("avx512_bf16", None, "bf16"): -0.875,
}


@pytest.mark.parametrize("unit", ONE_DOT_PRODUCT, ids=lambda unit: f"{unit[0]} {unit[2]}")
def test_one_dot_product_has_as_many_values_as_published(unit):
    chip, instruction, operand = unit
    dot = oracle(chip, instruction, (operand, operand), "fp32")
    value = dot([-(2.0**13), -0.5, -0.25, -0.125], [2.0**10, 1, 1, 1], 2.0**23)
    assert value == Fraction(ONE_DOT_PRODUCT[unit])


@pytest.mark.parametrize(
    ("unit", "operand", "limit"),
    [
        ("v100", "fp16", 24),
        ("a100", "fp16", 25),
        ("h100", "fp16", 26),
        ("h100", "e4m3", 14),
        ("b200", "e4m3", 26),
    ],
)
def test_counting_stops_at_the_published_power_of_two(unit, operand, limit):
    """A block of ones is added as long as each of them is worth a fraction bit of the count."""
    step, block = step_of(unit, None, (operand, operand), "fp32")
    ones = [1.0] * block
    assert step(ones, ones, 2**limit) == 2**limit
    assert step(ones, ones, 2 ** (limit - 1)) == 2 ** (limit - 1) + block


@pytest.mark.parametrize(
    ("unit", "operand", "lost"),
    [("mi300", "fp16", 1), ("mi300", "bf16", 1), ("mi100", "fp16", 0), ("h100", "fp16", 0)],
)
def test_only_mi300_loses_a_unit_to_a_tiny_negative_accumulator(unit, operand, lost):
    assert oracle(unit, None, (operand, operand), "fp32")([1.0], [1.0], -1e-18) == 1 - Fraction(lost, 2**24)


def test_less_to_begin_with_may_be_more_in_the_end():
    dot = oracle("h100", None, ("fp16", "fp16"), "fp32")
    a, b = [2.0**-13] * 16, [2.0**-13] * 16
    assert dot(a, b, 1 - 2.0**-24) > dot(a, b, 1)


def test_an_empty_dot_product_is_its_accumulator():
    assert oracle("h100", None, ("fp16", "fp16"), "fp32")([], [], 3) == 3


# -- units that no record covers: values worked out by hand ------------------------------------------------


def test_fp8_on_an_fp16_unit_adds_c_last_and_to_nearest():
    """In one block 2**24 + 1 would be cut to 2**24 twice; the two halves are added up before they meet c."""
    dot = oracle("h100", "mma.sync", ("e4m3", "e4m3"), "fp32")
    three = [1.0, 1.0, 1.0] + [0.0] * 29
    assert dot(three, [1.0] * 32, 2**24) == 2**24 + 4  # a tie between +2 and +4, to even
    assert oracle("h100", None, ("fp16", "fp16"), "fp32")(three, [1.0] * 32, 2**24) == 2**24 + 2  # cut


def test_fp8_on_an_fp16_unit_takes_k_mod_4_below_2_first():
    """Beside 2**16 and -2**16 all below 2**(16 - 25) is lost, but only in the half in which those two are."""
    dot = oracle("h100", "mma.sync", ("e4m3", "e4m3"), "fp32")

    def with_small_at(k: int) -> Fraction:
        a = [0.0] * 32
        a[0], a[1], a[k] = 256.0, -256.0, 2.0**-9
        b = [256.0] * 32
        b[k] = 2.0**-6
        return dot(a, b, 0)

    lost = [k for k in range(2, 32) if with_small_at(k) == 0]
    assert lost == [k for k in range(2, 32) if k % 4 < 2]
    assert with_small_at(2) == Fraction(1, 2**15)


def test_amx_keeps_even_and_odd_products_apart_until_the_end():
    dot = oracle("amx_bf16", None, ("bf16", "bf16"), "fp32")
    a = [2.0**24, 1.0, 1.0, 1.0, -(2.0**24), 1.0, 1.0, 1.0]
    assert dot(a, [1.0] * 8, 0) == 5  # even: 2**24 + 1 is 2**24, then -2**24 and 1 more; odd: 4
    assert dot([1.0, 1.0], [1.0, 1.0], 2**24) == 2**24 + 2  # one at a time would leave 2**24
    assert dot([2.0**-100, 0.0], [2.0**-30, 0.0], 0) == 0  # flushed
    assert dot([-0.0, -0.0], [1.0, 1.0], -0.0) == 0  # the chains begin at +0


@pytest.mark.parametrize(
    ("a", "b", "c", "without", "extended"),
    [
        ([1.0, 1.0], [1.0, 2.0**-30], 0.0, 1 + Fraction(1, 2**23), Fraction(1)),  # odd keeps a trace
        ([1.0, 1.0], [2.0**-24, 2.0**-24], 1.0, 1 + Fraction(1, 2**23), 1 + Fraction(1, 2**23)),
        ([1.0, 0.0], [2.0**-24, 0.0], 1.0, 1 + Fraction(1, 2**23), Fraction(1)),  # a tie: to odd and to even
        ([2.0**-100, 0.0], [2.0**-30, 0.0], 0.0, Fraction(0), Fraction(1, 2**130)),  # flushed, and not
        ([2.0**-130, 0.0], [2.0**100, 0.0], 0.0, Fraction(0), Fraction(1, 2**30)),  # a subnormal operand
        ([2.0**64, 2.0**64], [2.0**64, -(2.0**64)], 0.0, Special.NAN, Fraction(0)),  # inf - inf, or exact
        ([2.0**64, 0.0], [2.0**64, 0.0], 0.0, Special.INFINITY, Special.INFINITY),
        ([float("inf"), 0.0], [0.0, 1.0], 0.0, Special.NAN, Special.NAN),
        ([float("inf"), 1.0], [1.0, 1.0], float("-inf"), Special.NAN, Special.NAN),
    ],
)
def test_arm_rounds_each_step_to_odd_or_a_pair_once(a, b, c, without, extended):
    assert oracle("arm_bf16", None, ("bf16", "bf16"), "fp32")(a, b, c) == without
    assert oracle("arm_ebf16", None, ("bf16", "bf16"), "fp32")(a, b, c) == extended


def test_arm_keeps_the_largest_value_short_of_an_infinity():
    """To odd never leaves the largest value, whose significand is odd, until 2**128 is reached."""
    largest = (2 - 2.0**-23) * 2.0**127
    dot = oracle("arm_bf16", None, ("bf16", "bf16"), "fp32")
    assert dot([2.0**102, 0.0], [1.0, 0.0], largest) == largest
    assert dot([2.0**104, 0.0], [1.0, 0.0], largest) is Special.INFINITY
