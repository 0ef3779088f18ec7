"""Some random calls of explain beside quantize and the arithmetic; `tests/explain_many.py` makes a million."""

from __future__ import annotations

import explain_many
import pytest

import floatlab as fl


@pytest.mark.parametrize("number", range(25))
def test_explain_never_contradicts_quantize_or_the_arithmetic(number):
    assert list(explain_many.differences(11, number)) == []


def test_a_printed_form_that_says_something_else_is_found():
    told = fl.explain(0.1, "e4m3")
    assert explain_many.reads_back(str(told), 0.1015625, 0x1D)
    assert not explain_many.reads_back(str(told), 0.09375, 0x1D)
    assert not explain_many.reads_back(str(told), 0.1015625, 0x1C)
    long = fl.explain("1e-39", "bf16", full=True)
    assert explain_many.reads_back(str(long), long.value, long.code)
    assert not explain_many.reads_back(str(long), long.value * (1 + 2.0**-40), long.code)


@pytest.mark.parametrize("mode", ["stochastic", "stochastic_b", "stochastic_c"])
@pytest.mark.parametrize(
    ("call", "zero"), [((1.0, "-", 1.0), "0.0"), ((-0.0, "+", -0.0), "-0.0"), (("sqrt", -0.0), "-0.0"),
                       ((1.0, "/", 0.0), "inf"), (("fma", 1.0, 2.0, -2.0), "0.0")]
)  # fmt: skip
def test_an_exact_zero_and_an_infinity_draw_nothing_in_a_stochastic_mode(call, zero, mode):
    told = fl.explain(call, "fp16", rounding=mode, random_bits=8, random_integers=255)
    assert repr(told.value) == zero
