"""A rare class in four bits: nearest rounding believes a number of the format, stochastic rounding the truth."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from floatlab.errors import OptionError
from floatlab.experiments.harness.criterion import fails
from floatlab.experiments.rare_class import (
    EXPERIMENT,
    RECIPES,
    RareClass,
    claims,
    labels_of,
    loss_at,
    predict,
    resting_point,
    train,
)

RUNS = {run.run: run for run in EXPERIMENT.runs}


def test_four_bits_rounded_to_nearest_rest_where_a_negative_example_falls_silent():
    """A quarter of the scale: of MXFP4 1/4, of NVFP4 (1 - p) / 6, where p = (1 - p) / 24."""
    for rate, recipe, expected in (
        (0.03, "mxfp4", Fraction(1, 16)),
        (0.05, "mxfp4", Fraction(1, 16)),
        (0.1, "mxfp4", Fraction(1, 16)),
        (0.03, "nvfp4", Fraction(1, 25)),
        (0.05, "nvfp4", Fraction(1, 25)),
    ):
        found = resting_point(RareClass(recipe=recipe, rate=rate, seed=7))
        assert found == pytest.approx(float(expected), rel=0.01)


def test_what_is_rounded_stochastically_or_not_at_all_rests_at_the_rate():
    for recipe in ("none", "mxfp4 stochastic", "nvfp4 stochastic"):
        config = RareClass(recipe=recipe, rate=0.1)
        assert resting_point(config) == labels_of(config).mean()


def test_only_mxfp4_far_from_a_sixteenth_is_predicted_to_fail():
    assert {name for name, run in RUNS.items() if predict(run)["predicted_failure"]} == {
        "mxfp4, 3%",
        "mxfp4, 10%",
    }


@pytest.mark.parametrize("name", ["mxfp4, 3%", "mxfp4, 10%", "nvfp4, 5%", "nvfp4 stochastic, 5%"])
def test_a_run_believes_what_was_predicted(name):
    run = replace(RUNS[name], seed=21)
    assert train(run)["found"] == pytest.approx(predict(run)["expected"], rel=0.04)


def test_the_loss_tells_ten_percent_from_six_and_not_five():
    reference = train(RUNS["fp32, 10%"])
    assert fails(train(RUNS["mxfp4, 10%"]), reference)
    assert predict(RUNS["mxfp4, 10%"])["predicted_failure"]
    assert not predict(RUNS["mxfp4, 5%"])["predicted_failure"]
    assert loss_at(1 / 16, 0.05) - loss_at(0.05, 0.05) < 0.01 * loss_at(0.05, 0.05)


def test_claims_hold_for_each_seed_apart():
    records = [
        {"recipe": "mxfp4", "rate": rate, "seed": seed, "found": 0.0625 + 0.01 * seed}
        for seed in (0, 1)
        for rate in (0.03, 0.05)
    ]
    (claim,) = claims(records)
    assert claim.holds == (True, False)


def test_labels_are_as_many_as_the_rate_says_in_an_order_of_the_seed():
    first, second = (labels_of(RareClass(seed=seed)) for seed in (0, 1))
    assert first.sum() == second.sum() == round(0.03 * 1024)
    assert not np.array_equal(first, second)


def test_an_unknown_recipe_is_refused():
    with pytest.raises(OptionError, match="mxfp4 stochastic"):
        RareClass(recipe="mxfp4 stochastik")
    assert RECIPES["none"] is None
