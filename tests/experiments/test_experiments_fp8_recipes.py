"""fp8: unscaled is enough for ordinary losses, and not for small ones."""

from dataclasses import replace

import pytest

from floatlab.amp import DelayedScaling, Unscaled
from floatlab.errors import OptionError
from floatlab.experiments.fp8_recipes import EXPERIMENT, RECIPES, Fp8, predict, train
from floatlab.experiments.harness.criterion import fails

RUNS = {run.run: replace(run, epochs=3) for run in EXPERIMENT.runs}


def test_only_unscaled_fp8_with_a_small_loss_weight_is_predicted_to_fail():
    fails = {name for name, run in RUNS.items() if predict(run)["predicted_failure"]}
    assert fails == {"unscaled, w = 0.001", "unscaled, w = 1e-06"}


@pytest.mark.parametrize(
    "name", ["unscaled, w = 0.01", "delayed, w = 0.001", "current, w = 1e-06", "fp32, w = 1"]
)
def test_what_the_first_step_loses_is_near_the_prediction(name):
    run = replace(RUNS[name], epochs=1)
    assert train(run)["found"] == pytest.approx(predict(run)["expected"], abs=0.02)


def test_the_loss_of_the_first_step_is_measured_in_the_run_and_not_computed_again(monkeypatch):
    # A cast that is spoilt shows in the measurement, and in no prediction.
    run = replace(RUNS["unscaled, w = 1"], epochs=1)
    expected = predict(run)
    quantize = Unscaled.quantize

    def spoilt(self, values, fmt, slot, remember=True, phase="forward"):
        return quantize(self, values * (2.0**-30 if phase == "backward" else 1.0), fmt, slot, remember, phase)

    monkeypatch.setattr(Unscaled, "quantize", spoilt)
    assert predict(run) == expected and expected["expected"] < 0.05
    assert train(run)["found"] == 1.0


def test_a_recipe_is_predicted_by_what_it_does_and_not_by_its_name(monkeypatch):
    monkeypatch.setitem(RECIPES, "current", Unscaled())  # under a name that promises more
    assert predict(replace(RUNS["current, w = 1e-06"]))["predicted_failure"]
    monkeypatch.setitem(
        RECIPES, "unscaled", DelayedScaling(margin=30)
    )  # takes the gradients down by 2^30 in time
    assert predict(RUNS["unscaled, w = 1"])["predicted_failure"]


def test_delayed_scaling_recovers_after_its_first_step():
    run = train(replace(RUNS["delayed, w = 1e-06"], epochs=1))
    assert run["last_layer_zero_share"][0] == 1.0
    assert max(run["last_layer_zero_share"][1:]) < 0.5
    assert run["last_layer_scales"]["gradient"] > 2.0**20


def test_unscaled_fp8_learns_an_ordinary_loss_and_not_a_small_one():
    fp32 = train(RUNS["fp32, w = 1"])
    for name, expected in (
        ("unscaled, w = 1", False),
        ("unscaled, w = 1e-06", True),
        ("current, w = 1e-06", False),
    ):
        assert fails(train(RUNS[name]), fp32) == expected, name


def test_an_unknown_recipe_is_refused():
    with pytest.raises(OptionError, match="delayed"):
        Fp8(recipe="delaid")
