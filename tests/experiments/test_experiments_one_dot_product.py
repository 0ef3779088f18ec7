"""One dot product on every chip: what the fraction bits, or a sheet of paper, say is what a unit makes of it."""

from __future__ import annotations

import pytest

from floatlab.errors import OptionError
from floatlab.experiments.one_dot_product import EXACT, A, B, C, Case, cases, measured, predicted
from floatlab.formats import get_format
from floatlab.matrix_units import units

CASES = {f"{case.unit} {case.operands}": case for case in cases()}


@pytest.mark.parametrize("name", CASES)
def test_every_unit_makes_of_it_what_was_predicted(name):
    value, why = predicted(CASES[name])
    assert measured(CASES[name]) == value
    assert why


def test_the_values_are_the_published_ones():
    published = {
        "v100 fp16": 0, "t4 fp16": -0.5, "a100 fp16": -0.5, "h100 fp16": -0.75, "b200 fp16": -0.75, "h100 fp8": 0,
        "mi100 fp16": -0.875, "mi250 fp16": 0, "mi300 fp16": -0.5, "mi300 fp8fnuz": -1, "avx512_bf16 bf16": -0.875,
    }  # fmt: skip
    assert {name: measured(CASES[name]) for name in published} == published
    assert sum(a * b for a, b in zip(A, B, strict=True)) + C == EXACT  # exactly, in float64


def test_every_unit_of_floats_takes_part_with_each_family_that_holds_the_numbers():
    assert {case.unit for case in cases()} == set(units()) - {"avx512_vnni", "maddubs"}
    assert "b200 fp8" in CASES and "b200 fp4" not in CASES
    assert CASES["h100 fp8"].format == get_format("e5m2")  # 2^13 is no e4m3


def test_an_unknown_unit_is_refused():
    with pytest.raises(OptionError, match="h100"):
        Case("h10", "fp16")
