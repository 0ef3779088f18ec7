"""A rare class on a Hopper's fp8 unit: sorted, it believes several times too much; promoted or shuffled, the truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from floatlab.errors import OptionError
from floatlab.experiments.rare_class_fp8 import (
    EXPERIMENT,
    RareClassFp8,
    _sum_on_paper,
    claims,
    labels_of,
    predict,
    resting_point,
    train,
)
from floatlab.formats import get_format
from floatlab.matrix_units import get_unit
from floatlab.rounding.quantize import quantize

RUNS = {run.run: run for run in EXPERIMENT.runs}
E4M3 = get_format("e4m3")


def test_only_a_hopper_that_sees_the_classes_one_after_the_other_is_predicted_to_fail():
    assert {name for name, run in RUNS.items() if predict(run)["predicted_failure"]} == {
        "h100, 1%",
        "h100, 5%",
    }


def test_it_is_predicted_to_believe_six_and_twenty_four_per_cent():
    assert resting_point(RUNS["h100, 1%"]) == pytest.approx(0.06, rel=0.02)
    assert resting_point(RUNS["h100, 5%"]) == pytest.approx(0.24, rel=0.02)


@pytest.mark.parametrize("name", [name for name in RUNS if name.endswith("1%") and "fp32" not in name])
def test_the_others_are_predicted_to_be_right(name):
    if name != "h100, 1%":
        assert resting_point(replace(RUNS[name], seed=31)) == pytest.approx(0.01, rel=0.03)


@pytest.mark.parametrize("sums", ["h100", "h100:promote=128", "b200"])
@pytest.mark.parametrize("order", ["by class", "shuffled"])
@pytest.mark.parametrize("p", [0.3, 0.06, 0.011])
def test_the_sum_on_paper_is_the_units_bit_for_bit(sums, order, p):
    config = RareClassFp8(sums=sums, order=order, rate=0.03, examples=4096, seed=31)
    labels = labels_of(config)
    scale = 2.0 ** np.floor(np.log2(448 / max(p, 1 - p)))
    gradient = quantize((p - labels.astype(np.float64)) * scale, E4M3)
    made = get_unit(sums).multiply(np.ones((1, 4096)), gradient, None, (E4M3, E4M3)).item()
    assert _sum_on_paper(config, labels, p) == made


def test_a_smaller_batch_believes_what_was_predicted():
    """A quarter of the batch, and 655 positive examples as in the full one: they meet the same 10,000 negative ones."""
    config = RareClassFp8(
        "h100", sums="h100", rate=0.04, examples=16384, epochs=40, learning_rate=12.0, seed=31
    )
    exact = replace(config, sums="exact")
    assert predict(config)["expected"] == pytest.approx(0.06, rel=0.02)
    assert train(config)["found"] == pytest.approx(predict(config)["expected"], rel=0.05)
    assert train(exact)["found"] == pytest.approx(predict(exact)["expected"], rel=0.05)


def test_the_reference_is_fp32_sorted_by_class():
    for run in EXPERIMENT.runs:
        assert (run.reference().sums, run.reference().order) == ("fp32", "by class")


def test_claims_hold_for_each_seed_apart():
    records = [
        {"sums": "b200", "order": "by class", "rate": rate, "seed": seed, "found": rate * (1 + 0.05 * seed)}
        for seed in (0, 1)
        for rate in (0.01, 0.05)
    ]
    (claim,) = claims(records)
    assert claim.holds == (True, False)


def test_labels_are_sorted_or_in_an_order_of_the_seed():
    first, second = (labels_of(RareClassFp8(order="shuffled", seed=seed)) for seed in (0, 1))
    assert first.sum() == second.sum() == round(0.01 * 65536)
    assert not np.array_equal(first, second)
    assert (np.diff(labels_of(RareClassFp8())[:, 0]) >= 0).all()


def test_an_unknown_sum_or_order_is_refused():
    with pytest.raises(OptionError, match="h100"):
        RareClassFp8(sums="h10")
    with pytest.raises(OptionError, match="by class"):
        RareClassFp8(order="by clas")
