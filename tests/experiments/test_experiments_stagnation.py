"""Stagnation: an update below half of the distance to the neighbour is lost, and no scale brings it back."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

import floatlab as fl
from floatlab import reference
from floatlab.experiments.stagnation import EXPERIMENT, predict, step_of, train

RUNS = {run.run: replace(run, epochs=2) for run in EXPERIMENT.runs}


def test_bf16_loses_more_updates_than_fp16_and_fp32_almost_none():
    shares = {name: predict(RUNS[name])["expected"] for name in ("fp32", "fp16", "bf16")}
    assert shares["fp32"] < 0.01 < 0.5 < shares["fp16"] < shares["bf16"]


def test_a_larger_learning_rate_loses_fewer_updates():
    shares = [predict(replace(RUNS["bf16"], learning_rate=lr))["expected"] for lr in (1e-3, 1e-2, 1e-1)]
    assert shares[0] > shares[1] > shares[2]


def test_no_loss_scale_is_of_any_help():
    scaled = replace(RUNS["bf16"], loss_scaling="static", initial_scale=1024.0)
    assert predict(scaled) == predict(RUNS["bf16"])


def test_a_master_copy_and_stochastic_rounding_are():
    fp32, bf16, master, stochastic = (
        train(RUNS[name])["train_loss"] for name in ("fp32", "bf16", "bf16, fp32 master", "bf16 stochastic")
    )
    assert bf16 > fp32 + 0.05
    assert master == pytest.approx(fp32, rel=0.02)
    assert stochastic == pytest.approx(fp32, rel=0.02)


@pytest.mark.parametrize("name", RUNS)
def test_the_share_of_weights_that_stay_is_measured_in_the_run(name):
    # Stochastic rounding leaves most weights where they are in any one step, too: only not the same ones for ever.
    run = replace(RUNS[name], epochs=1, batch_size=240)
    expected, found = predict(run)["expected"], train(run)["found"]
    assert found == pytest.approx(expected, abs=0.03)
    assert (found > 0.4) == (name in ("fp16", "bf16", "fp16 stochastic", "bf16 stochastic"))


def test_where_a_weight_goes_agrees_with_exact_arithmetic():
    rng = np.random.default_rng(5)
    weights = fl.quantize(rng.standard_normal(40), "bf16")
    wanted = weights + rng.standard_normal(40) * 2.0 ** rng.integers(-14, 0, 40)
    stays, new = step_of(weights, wanted, "bf16", "nearest_even")
    odds, mean = step_of(weights, wanted, "bf16", "stochastic")
    for k, (w, x) in enumerate(zip(weights, wanted, strict=True)):
        nearest = reference.decode(
            reference.round(Fraction(x), fl.get_format("bf16")).code, fl.get_format("bf16")
        )
        assert new[k] == nearest and stays[k] == (nearest == w)
        low, high = (
            Fraction(float(fl.quantize(x, "bf16", rounding=mode)))
            for mode in ("toward_negative", "toward_positive")
        )
        up = (Fraction(x) - low) / (high - low) if low != high else Fraction(0)
        assert odds[k] == pytest.approx(float((w == low) * (1 - up) + (w == high != low) * up), abs=1e-12)
        assert mean[k] == x


def test_the_figure_draws_the_rule_at_other_rates_and_what_was_measured_at_its_own():
    config = replace(EXPERIMENT.runs[4], learning_rate=1e-3)
    assert config.run == "bf16"
    record = {
        "run": "bf16",
        "seed": 0,
        "learning_rate": 1e-3,
        "found": 0.5,
        "failed": True,
        "predicted_failure": True,
    }
    sweep = EXPERIMENT.sweep
    (row,) = sweep.rows([record])
    assert (row[sweep.x], row[sweep.y], row["failed"]) == (1e-3, 0.5, True)
    along = sweep.predicted([record])
    expected = predict(config)
    (same,) = [r for r in along if r["learning_rate"] == pytest.approx(1e-3)]
    assert same[sweep.y] == pytest.approx(expected["expected"], abs=2e-3)
    assert same["predicted_failure"] == expected["predicted_failure"]
    rates, shares = zip(*[(r[sweep.x], r[sweep.y]) for r in along], strict=True)
    assert list(rates) == sorted(rates) and list(shares) == sorted(shares, reverse=True)
