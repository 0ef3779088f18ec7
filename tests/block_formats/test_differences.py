"""What rules and libraries make of the same numbers, counted from what comes out."""

from __future__ import annotations

import numpy as np
import pytest

import floatlab as fl
from floatlab.block_formats import RULES, count_blocks
from floatlab.errors import FormatError


def test_every_rule_that_a_format_can_carry_is_compared_and_no_other():
    x = np.random.default_rng(0).standard_normal(64)
    assert [one.rule for one in fl.compare_rules(x, "mxfp4")] == ["floor", "ceil", "even", "rceil", "nearest"]
    assert {(one.rule, one.arithmetic) for one in fl.compare_rules(x, "nvfp4")} == {
        ("nvfp4", "exact"), ("nvfp4", "te"), ("nvfp4", "torchao"), ("nvfp4_4over6", "exact"), ("nvfp4_4over6", "te"),
    }  # fmt: skip
    tiles = {(one.rule, one.arithmetic) for one in fl.compare_rules(x.reshape(8, 8), "fp8_128x128")}
    assert tiles == {(r.name, a) for r in RULES.values() if r.scales == ("fp32",) for a in r.arithmetics}


def test_an_outcome_is_what_quantize_gives():
    x = np.random.default_rng(1).standard_normal((4, 64)).astype(np.float32)
    for fmt in ("mxfp6_e3m2", "nvfp4"):
        for one in fl.compare_rules(x, fmt):
            values = fl.quantize(x, fmt, rule=one.rule, arithmetic=one.arithmetic)
            np.testing.assert_array_equal(one.values, values)
            wide = x.astype(np.float64)
            error = np.linalg.norm(values - wide) / np.linalg.norm(wide)
            assert one.error == pytest.approx(error, rel=1e-12)


def test_elements_are_counted_as_they_come_out():
    x = np.zeros((4, 32))
    x[0, :4] = [449.0, -460.0, 448.0, 1e-9]  # two beyond 448, one on it, one lost
    x[1, :2] = [np.nan, 5.0]
    x[2, :2] = [3.0, -0.0]
    found = count_blocks(x, fl.encode(x, "mxfp8_e4m3"))
    assert (found.elements, found.blocks, found.saturated, found.flushed, found.nan) == (128, 4, 2, 1, 32)
    assert found.blocks_by_scale == {2.0**-127: 1, 2.0**-7: 1, 1.0: 1, "nan": 1}


def test_shares_of_a_large_array_are_those_of_a_direct_count():
    x = (np.random.default_rng(2).standard_normal((64, 128)) ** 5).astype(np.float32)
    coded = fl.encode(x, "mxfp4")
    scale = np.repeat(coded.scale_values, 32, axis=1)
    found = count_blocks(x, coded)
    assert found.saturated == np.count_nonzero(np.abs(x) > 6 * scale) > 0
    assert found.flushed == np.count_nonzero(np.abs(x) <= 0.25 * scale) > 0


def test_the_table_has_a_line_for_each_rule_and_the_notebook_says_who():
    found = fl.compare_rules([448.0, 100.0, 30.0], "mxfp4")
    assert len(repr(found).splitlines()) == len(found) + 1
    html = found._repr_html_()
    assert html.count("<tr") == len(found) + 1
    assert "Transformer Engine, cuBLAS" in html
    assert [row["scale"] for row in found.to_dicts()] == [64.0, 128.0, 128.0, 128.0, 64.0]


def test_numbers_are_taken_as_float32_once_and_a_format_of_single_numbers_is_refused():
    beside = [1 + 2.0**-40] * 3
    assert fl.compare_rules(beside, "mxfp8_e4m3")[0].error == 0
    with pytest.raises(FormatError, match=r"Did you mean|Use"):
        fl.compare_rules([1.0], "e4m3")
