"""fp8: unscaled is enough for ordinary losses, and not for small ones."""

from dataclasses import replace

import pytest

from floatlab.errors import OptionError
from floatlab.experiments.fp8_recipes import EXPERIMENT, Fp8, predict, train

RUNS = {run.run: replace(run, epochs=3) for run in EXPERIMENT.runs}


def test_only_unscaled_fp8_with_a_small_loss_weight_is_predicted_to_fail():
    fails = {name for name, run in RUNS.items() if predict(run)["predicted_failure"]}
    assert fails == {"unscaled, w = 0.001", "unscaled, w = 1e-06"}


def test_what_the_first_step_loses_is_predicted_to_the_entry():
    for name in ("unscaled, w = 0.01", "delayed, w = 0.001", "current, w = 1e-06"):
        run = replace(RUNS[name], epochs=1)
        assert train(run)["found"] == predict(run)["expected"]


def test_delayed_scaling_recovers_after_its_first_step():
    run = train(replace(RUNS["delayed, w = 1e-06"], epochs=1))
    assert run["last_layer_zero_share"][0] == 1.0
    assert max(run["last_layer_zero_share"][1:]) < 0.5
    assert run["last_layer_scales"]["gradient"] > 2.0**20


def test_unscaled_fp8_learns_an_ordinary_loss_and_not_a_small_one():
    assert not train(RUNS["unscaled, w = 1"])["failed"]
    assert train(RUNS["unscaled, w = 1e-06"])["failed"]
    assert not train(RUNS["current, w = 1e-06"])["failed"]


def test_an_unknown_recipe_is_refused():
    with pytest.raises(OptionError, match="delayed"):
        Fp8(recipe="delaid")
