"""Counting stops where the fraction bits, or half a unit in the last place, say; measured by running."""

from __future__ import annotations

import pytest

from floatlab.experiments.counting import cases, measured, predicted
from floatlab.experiments.one_dot_product import Case
from floatlab.matrix_units import units

CASES = {f"{case.unit} {case.format}": case for case in cases()}
#: Of each way of adding one; the others are in the documentation's table, and take a quarter of a second each.
RUN = (
    "v100 float16", "a100 float16", "h100 float16", "h100 float8_e4m3fn", "b200 float8_e4m3fn", "mi100 bfloat16",
    "mi300 float16", "avx512_bf16 bfloat16", "arm_bf16 bfloat16", "arm_ebf16 bfloat16",
)  # fmt: skip


@pytest.mark.parametrize("name", RUN)
def test_a_count_stops_where_it_was_predicted(name):
    value, why = predicted(CASES[name])
    assert measured(CASES[name]) == value
    assert why


def test_the_counts_are_the_published_ones():
    published = {"v100 float16": 24, "a100 float16": 25, "h100 float16": 26, "b200 float8_e4m3fn": 26}
    published["h100 float8_e4m3fn"] = 14
    assert {name: predicted(CASES[name])[0] for name in published} == {n: 2**k for n, k in published.items()}


def test_with_no_block_left_out_the_count_is_the_same():
    case = Case("h100", "e5m2")
    assert measured(case, whole=True) == measured(case) == 2**14


def test_every_unit_of_floats_counts():
    assert {case.unit for case in cases()} == set(units()) - {"avx512_vnni", "maddubs"}
