"""Training on blocks: four bits learn with a scale for each block, and not without."""

from dataclasses import replace

import numpy as np
import pytest

from floatlab.amp import MXFP4
from floatlab.errors import OptionError
from floatlab.experiments.block_training import EXPERIMENT, RECIPES, BlockTraining, claims, predict, train
from floatlab.experiments.harness.criterion import fails

RUNS = {run.run: run for run in EXPERIMENT.runs}


def test_only_four_bits_without_scales_are_predicted_to_fail():
    assert {name for name, run in RUNS.items() if predict(run)["predicted_failure"]} == {
        "e2m1 without scales"
    }


def test_they_fail_and_with_a_scale_for_each_block_they_learn():
    fp32, without, blocks = (
        train(replace(RUNS[name], epochs=2)) for name in ("fp32", "e2m1 without scales", "mxfp4")
    )
    assert fails(without, fp32) and not fails(blocks, fp32)
    assert without["found"] == 1.0  # nothing is left of the first gradient
    assert predict(RUNS["e2m1 without scales"])["expected"] == 1.0


@pytest.mark.parametrize("name", ["mxfp8", "mxfp4", "nvfp4, nearest"])
def test_the_first_gradient_is_off_by_more_than_its_own_operands_and_not_by_much_more(name):
    """The prediction knows the last layer's operands as fp32 has them; in the run those before have been quantized."""
    run = replace(RUNS[name], epochs=1, batch_size=240)
    expected, found = predict(run)["expected"], train(run)["found"]
    assert expected < found < 4 * expected


def test_a_recipe_is_predicted_by_what_it_does_and_not_by_its_name(monkeypatch):
    monkeypatch.setitem(RECIPES, "mxfp8", RECIPES["e2m1 without scales"])
    assert predict(RUNS["mxfp8"])["predicted_failure"]
    monkeypatch.setitem(RECIPES, "e2m1 without scales", MXFP4())
    assert not predict(RUNS["e2m1 without scales"])["predicted_failure"]


def test_the_same_seed_trains_the_same_weights_and_another_one_draws_other_numbers():
    run = replace(RUNS["mxfp4, stochastic"], epochs=1, batch_size=240)
    first, again = train(run), train(run)
    assert first["weights_sha256"] == again["weights_sha256"]
    assert np.isfinite(first["epoch_losses"]).all()


def test_the_spread_is_claimed_for_each_seed_without_the_run_that_has_no_scales():
    records = [
        {"recipe": recipe, "seed": seed, "outcome": outcome}
        for seed, outcomes in ((0, (0.95, 0.94, 0.1)), (1, (0.95, 0.8, 0.1)))
        for recipe, outcome in zip(("none", "mxfp4", "e2m1 without scales"), outcomes, strict=True)
    ]
    (claim,) = claims(records)
    assert claim.holds == (True, False)


def test_an_unknown_recipe_is_refused():
    with pytest.raises(OptionError, match="nvfp4, all"):
        BlockTraining(recipe="nvfp4, al")
